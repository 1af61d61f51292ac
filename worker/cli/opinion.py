"""The command by which people say what they think of a derived series, and see what others think."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.errors import InputError
from dicom_node.ledger import feedback as opinions
from dicom_node.ledger import queries
from dicom_node.ledger.feedback import Fault, Opinion, Verdict
from dicom_node.ledger.queries import SeriesView
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, find_series, local, node_from
from worker.feedback import FAULTS, Span, Summary, summary
from worker.wiring import Node


class Said(StrEnum):
    """What is typed for a verdict."""

    ACCEPT = "accept"
    REJECT = "reject"


VERDICTS = {Said.ACCEPT: Verdict.ACCEPTED, Said.REJECT: Verdict.REJECTED}


def feedback(
    series: Annotated[str, typer.Argument(help="Number or UID of the series; without one, what was said lately.")] = "",
    verdict: Annotated[Said | None, typer.Argument(help="Without one, what was said about the series.")] = None,
    reason: Annotated[Fault | None, typer.Option(help="Why it is rejected.")] = None,
    remark: Annotated[str, typer.Option(help="In your own words; no patient's name.")] = "",
    counted: Annotated[bool, typer.Option("--summary", help="Count by scanner and model.")] = False,
    by: Annotated[Span, typer.Option(help="With --summary: by week or month.")] = Span.WEEK,
    as_json: AsJson = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Say whether you would read a derived series, and why not; or see what people said. It sends and stops nothing."""
    node = node_from(config)
    if counted:
        _show_summary(summary(node.database, by), as_json=as_json)
        return
    view = find_series(node, series) if series else None
    if view is not None and verdict is not None:
        _give(node, view, VERDICTS[verdict], reason, remark)
    found = opinions.everything_about(node.database, view.id) if view else opinions.page(node.database, _ALL)[::-1]
    _show(found, as_json=as_json)


_ALL = opinions.OpinionFilter()


def _give(node: Node, view: SeriesView, verdict: Verdict, reason: Fault | None, remark: str) -> None:
    """About each result of the series that no later one replaces."""
    made = [job.id for job in queries.jobs_of(node.database, view.id) if job.state != "superseded"]
    if not [job for job in made if opinions.give(node.database, job, verdict, reason, remark)]:
        raise InputError(f"series {view.id} has no derived series yet; `thinslice show {view.id}` says why")


def _show(found: list[Opinion], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(item) for item in found], indent=1, default=str))
        return
    table = Table("series", "job", "opinion", "why", "from", "model", "who", "when", box=None)
    for item in found:
        why = ": ".join(filter(None, (FAULTS[Fault(item.reason)] if item.reason else "", item.remark)))
        opinion = item.verdict if item.latest else f"{item.verdict} (before)"
        table.add_row(
            str(item.series_id), str(item.job_id), opinion, escape(why), escape(item.calling_ae), item.model_name,
            escape(item.actor), local(item.at),
        )  # fmt: skip
    console.print(table if found else "Nobody has said anything yet.")


def _show_summary(counted: Summary, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(counted), indent=1))
        return
    table = Table("from", "model", counted.span, "accepted", "rejected", "share", "why", box=None)
    for line in counted.lines:
        periods = [(period.since, period.count) for period in line.periods if period.count.total]
        for when, count in [(f"since {counted.since}", line.count), *periods]:
            why = ", ".join(f"{reason} {times}" for reason, times in count.reasons.items())
            share = f"{count.rejected_percent:.0f} %"
            model = f"{line.model_name} {line.model_digest[:8]}"
            table.add_row(escape(line.calling_ae), model, when, str(count.accepted), str(count.rejected), share, why)
    console.print(table if counted.lines else "Nobody has said anything yet.")


COMMANDS = {"feedback": feedback}
