"""The command that shows what the processes logged."""

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from dicom_node.errors import InputError
from dicom_node.ledger import queries
from dicom_node.ledger.queries import SeriesView
from worker import logbook
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, find_series, local, node_from
from worker.logbook import LogLine
from worker.wiring import Node

FOLLOW_S = 0.5


def show_log(
    series: Annotated[
        str,
        typer.Argument(help="Number of the series, or the beginning of its SeriesInstanceUID. Without: warnings."),
    ] = "",
    config: Config = DEFAULT_CONFIG,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="At most so many, the last ones.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the processes of this machine logged about a series, or their last warnings."""
    node = node_from(config)
    if node.settings.worker.logs is None:
        raise InputError('[worker] logs = "" keeps no lines: name a folder there and restart')
    view = find_series(node, series) if series else None
    shown = _found(node, view, lines)
    for line in shown:
        _tell(line, as_json)
    if not shown and not follow and not as_json:
        console.print("No line about it is kept on this machine." if view else "No warning is kept on this machine.")
    try:
        while follow:
            time.sleep(FOLLOW_S)
            now = _found(node, view, lines)
            for line in now:
                if line not in shown and (not shown or line.at >= shown[-1].at):
                    _tell(line, as_json)
            shown = now or shown
    except KeyboardInterrupt:
        return


def _found(node: Node, view: SeriesView | None, limit: int) -> list[LogLine]:
    if view is None:
        return logbook.warnings(node.settings.worker, limit, most_bytes=None)
    jobs = {job.id for job in queries.jobs_of(node.database, view.id)}
    return logbook.about(node.settings.worker, view.id, jobs, limit, most_bytes=None)


def _tell(line: LogLine, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(line), default=lambda at: at.isoformat()))
        return
    numbers = " ".join(f"{key}={value}" for key, value in line.numbers.items())
    colour = "yellow" if line.is_bad else "default"
    console.print(
        f"{local(line.at)}  {line.process:<8} [{colour}]{line.level:<7} {escape(line.event)}[/]  {escape(numbers)}"
    )


COMMANDS = {"log": show_log}
