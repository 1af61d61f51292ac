"""Commands for files that came and could not be read."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.receive.quarantine import Item, by_prefix
from worker import quarantine
from worker.acts import ASKED
from worker.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    Config,
    Reason,
    WhyAsked,
    Yes,
    console,
    local,
    node_from,
    print_json,
)
from worker.console import answers
from worker.wiring import Node

app = typer.Typer(no_args_is_help=True, help="Files that came and could not be read, or contradict others.")
Digest = Annotated[str, typer.Argument(help="Beginning of the file's digest, as `list` shows it.")]
LEFT = 1
SHOWN = 16


@app.command("list")
def list_files(
    config: Config = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """List them, newest first, with the reason."""
    found = answers.quarantine_of(node_from(config), limit)
    if as_json:
        print_json(found)
        return
    table = Table("digest", "came", "from", "bytes", "why", box=None)
    for item in found.files:
        size = "conflict" if item.size is None else str(item.size)
        sender = f"{item.calling_ae or '-'} {item.peer_ip}"
        table.add_row(item.name[:SHOWN], local(item.received_at), escape(sender), size, escape(item.reason))
    console.print(table if found.files else "Quarantine is empty.")
    if found.count > len(found.files):
        console.print(f"The newest {len(found.files)} of {found.count}; --limit shows more.")


@app.command("retry")
def retry(digest: Digest, config: Config = DEFAULT_CONFIG, reason: Reason = ASKED) -> None:
    """Try a file again, as when it came: after an upgrade, or once a setting was changed."""
    node, item = _find(config, digest)
    outcome = quarantine.retry(node, item, reason)
    console.print(outcome.said, markup=False)
    if not outcome.done:
        raise typer.Exit(LEFT)


@app.command("export")
def export(
    digest: Digest,
    target: Annotated[Path, typer.Argument(help="A new file, or a folder.")],
    config: Config = DEFAULT_CONFIG,
    reason: WhyAsked = "",
) -> None:
    """Copy a file out of quarantine, to look at it. It may name a patient."""
    node, item = _find(config, digest)
    path = quarantine.export(node, item, target, reason)
    console.print(f"It is in {escape(str(path))}. {quarantine.WARNING}")


@app.command("remove")
def remove(digest: Digest, config: Config = DEFAULT_CONFIG, reason: WhyAsked = "", yes: Yes = False) -> None:
    """Remove a file from quarantine for good."""
    node, item = _find(config, digest)
    if not yes:
        typer.confirm(f"Remove {item.name[:SHOWN]} ({item.reason}) for good?", abort=True)
    console.print(quarantine.remove(node, item, reason).said)


def _find(config: Path, digest: str) -> tuple[Node, Item]:
    node = node_from(config)
    return node, by_prefix(node.settings.receive.spool, digest)
