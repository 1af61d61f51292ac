"""Commands about notices: what is amiss, what was told, and a trial."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.ledger.channels import MessageView
from dicom_node.ledger.notices import NoticeView
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, local, node_from, print_json
from worker.console import answers
from worker.notices.telling import send_trial

app = typer.Typer(help="What is amiss, and whom the node told.", invoke_without_command=True)
COLOURS = {"bad": "bold red", "warn": "yellow"}


@app.callback()
def list_notices(
    context: typer.Context,
    config: Config = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option(help="At most this many that are over, and messages.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show what is amiss, what is over, and what was sent."""
    if context.invoked_subcommand is not None:
        return
    found = answers.notices_of(node_from(config), limit)
    if as_json:
        print_json(found)
        return
    for channel in found.failing:
        again = f"tried {channel.attempt} times, next at {local(channel.due_at)}"
        console.print(f"[bold red]{escape(channel.name)} does not work[/]: {escape(channel.reason)} ({again})")
    console.print(_table_of(found.lasting) if found.lasting else "Nothing is amiss.")
    if found.ended:
        console.print(_table_of(found.ended))
    console.print(_sent(found.sent) if found.sent else "No message was sent.")


@app.command("test")
def send_one(
    name: Annotated[str, typer.Argument(help="Name of a webhook or email in [notices].")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Send a trial by a webhook or e-mail."""
    console.print(escape(send_trial(node_from(config), name, datetime.now(UTC))))


def _table_of(found: Sequence[NoticeView]) -> Table:
    table = Table("since", "over", "kind", "what", box=None)
    for item in found:
        over = local(item.over_at) if item.over_at else "lasts"
        colour = "dim" if item.over_at else COLOURS.get(item.level, "default")
        table.add_row(local(item.since), over, item.kind, f"[{colour}]{escape(item.sentence)}[/]")
    return table


def _sent(found: Sequence[MessageView]) -> Table:
    table = Table("sent", "by", "notices", box=None)
    for item in found:
        table.add_row(local(item.at), escape(item.channel), escape(item.summary))
    return table
