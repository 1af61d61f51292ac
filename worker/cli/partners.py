"""Who sends to this node, and where it sends."""

from rich.markup import escape
from rich.table import Table

from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, local, node_from, print_json
from worker.console import answers
from worker.console.shapes import Partners


def list_partners(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List the scanners that sent something, the destinations and what waits for each, and who was turned away."""
    found = answers.partners(node_from(config))
    if as_json:
        print_json(found)
        return
    console.print(_scanners(found) if found.scanners else f"No scanner has sent anything to {found.ae_title} yet.")
    console.print(_destinations(found) if found.destinations else "The settings name no destination.")
    for row in found.refused:
        console.print(f"{local(row.at)}  turned away: {row.subject}  {row.detail.get('reason', '')}", markup=False)


def _scanners(found: Partners) -> Table:
    table = Table("scanner", "last image", "series", box=None)
    for item in found.scanners:
        silent = " [yellow]silent[/]" if item.is_silent else ""
        table.add_row(escape(item.ae_title), local(item.last_heard_at) + silent, str(item.series_id))
    return table


def _destinations(found: Partners) -> Table:
    table = Table("destination", "where", "waiting", "state", box=None)
    for item in found.destinations:
        state = f"[red]does not answer[/]: {escape(item.circuit.reason)}" if item.circuit else "fine"
        table.add_row(escape(item.name), escape(f"{item.kind} {item.place}"), str(item.waiting), state)
    return table


COMMANDS = {"partners": list_partners}
