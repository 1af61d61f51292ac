"""Commands about storage commitment that scanners ask of this node."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.ledger import commitment_requests, queries
from worker.acts import ASKED
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, Reason, console, local, node_from, print_json
from worker.console import answers

COLOURS = {"reported": "green", "reporting": "cyan", "waiting": "blue", "parked": "yellow"}


def list_commitments(
    config: Config = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """List what scanners asked this node to commit to, newest first, and whether they were told."""
    node = node_from(config)
    if as_json:
        print_json(answers.commitments_page(node, limit=limit))
        return
    found = queries.commitment_requests(node.database, limit=limit)
    if not found:
        console.print("No scanner has asked for storage commitment.")
        return
    table = Table("request", "from", "state", "images", "committed", "not", "updated", "why", box=None)
    for item in found:
        table.add_row(
            str(item.id), escape(item.calling_ae), f"[{COLOURS[item.state]}]{item.state}[/]", str(item.total),
            str(item.committed), str(item.failed), local(item.updated_at), escape(item.reason),
        )  # fmt: skip
    console.print(table)


def report(
    request: Annotated[int, typer.Argument(help="Number of the request; `thinslice commitments` lists them.")],
    config: Config = DEFAULT_CONFIG,
    reason: Reason = ASKED,
) -> None:
    """Decide anew on a scanner's storage commitment request, and report to it again."""
    if commitment_requests.retry(node_from(config).database, request, reason):
        console.print(f"Commitment request {request} is decided and reported again.")
    else:
        console.print(f"There is no commitment request {request}, or its report is on its way already.")


COMMANDS = {"commitments": list_commitments, "report": report}
