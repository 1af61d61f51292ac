"""Commands about notices: what is amiss, what was told, and a trial."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.ledger import channels, notices
from dicom_node.ledger.channels import MessageView
from dicom_node.ledger.notices import NoticeView
from worker.cli.common import DEFAULT_CONFIG, Config, console, local, node_from
from worker.notices.telling import send_trial

app = typer.Typer(help="What is amiss, and whom the node told.", invoke_without_command=True)
COLOURS = {"bad": "bold red", "warn": "yellow"}


@app.callback()
def list_notices(
    context: typer.Context,
    config: Config = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option(help="At most this many that are over, and messages.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Tell programs: JSON.")] = False,
) -> None:
    """Show what is amiss, what is over, and what was sent."""
    if context.invoked_subcommand is not None:
        return
    database = node_from(config).database
    lasting, ended = notices.lasting(database), notices.ended(database, limit)
    sent, failing = channels.messages(database, limit), channels.failing(database)
    if as_json:
        found: dict[str, Sequence[Any]] = {"lasting": lasting, "ended": ended, "sent": sent, "failing": failing}
        typer.echo(json.dumps({key: [asdict(item) for item in items] for key, items in found.items()}, default=str))
        return
    for channel in failing:
        again = f"tried {channel.attempt} times, next at {local(channel.due_at)}"
        console.print(f"[bold red]{escape(channel.name)} does not work[/]: {escape(channel.reason)} ({again})")
    console.print(_table_of(lasting) if lasting else "Nothing is amiss.")
    if ended:
        console.print(_table_of(ended))
    console.print(_sent(sent) if sent else "No message was sent.")


@app.command("test")
def send_one(
    name: Annotated[str, typer.Argument(help="Name of a webhook or email in [notices].")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Send a trial by a webhook or e-mail."""
    console.print(escape(send_trial(node_from(config), name, datetime.now(UTC))))


def _table_of(found: list[NoticeView]) -> Table:
    table = Table("since", "over", "kind", "what", box=None)
    for item in found:
        over = local(item.over_at) if item.over_at else "lasts"
        colour = "dim" if item.over_at else COLOURS.get(item.level, "default")
        table.add_row(local(item.since), over, item.kind, f"[{colour}]{escape(item.sentence)}[/]")
    return table


def _sent(found: list[MessageView]) -> Table:
    table = Table("sent", "by", "notices", box=None)
    for item in found:
        table.add_row(local(item.at), escape(item.channel), escape(item.summary))
    return table
