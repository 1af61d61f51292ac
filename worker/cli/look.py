"""Commands that show the ledger, and let an admin act on it."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.derive.writer import load_series
from dicom_node.errors import InputError
from dicom_node.ledger import deliveries, jobs, queries, receipts
from dicom_node.ledger.queries import JobView, SeriesView
from dicom_node.ledger.states import JobState
from worker.cli.common import DEFAULT_CONFIG, Config, console, node_from
from worker.wiring import Node

COLOURS = {
    "verified": "green", "sent": "cyan", "sending": "cyan", "restored": "cyan", "running": "blue", "queued": "blue",
    "held": "yellow", "parked": "yellow", "failed": "red", "skipped": "dim", "superseded": "dim", "cancelled": "dim",
}  # fmt: skip

SeriesKey = Annotated[str, typer.Argument(help="Number of the series, or the beginning of its SeriesInstanceUID.")]


def status(config: Config = DEFAULT_CONFIG) -> None:
    """Show how many series are arriving and how many jobs are in each state."""
    node = node_from(config)
    counts = queries.counts(node.database)
    table = Table("state", "count", box=None)
    for state in ("receiving", *(str(item) for item in JobState)):
        if counts.get(state):
            table.add_row(_coloured(state), str(counts[state]))
    console.print(table if table.row_count else "Nothing has arrived yet.")


def list_jobs(
    config: Config = DEFAULT_CONFIG,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most this many, newest first.")] = 20,
) -> None:
    """List jobs, newest first: one job is one stack of thick slices to be restored."""
    found = queries.jobs(node_from(config).database, state, limit)
    if not found:
        console.print("No jobs." if state is None else f"No jobs are {state}.")
        return
    table = Table("job", "series", "from", "state", "slices", "updated", "why", box=None)
    for item in found:
        slices = f"{item.slices} → {item.thin_slices}" if item.thin_slices else str(item.slices)
        table.add_row(
            str(item.id), str(item.series_id), item.calling_ae, _coloured(_with_progress(item)), slices,
            _local(item.updated_at), escape(item.reason or item.label),
        )  # fmt: skip
    console.print(table)


def show(
    series: SeriesKey,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Show one series: what arrived, its jobs, where each result went, and everything that happened."""
    node = node_from(config)
    view = _find(node, series)
    console.print(f"[bold]series {view.id}[/]  {view.series_uid}")
    console.print(
        f"  study {view.study_uid}\n"
        f"  from {view.calling_ae}, {view.instances} images, {view.state}, revision {view.revision}"
    )
    subjects = [f"series:{view.id}"]
    for job in queries.jobs_of(node.database, view.id):
        subjects.append(f"job:{job.id}")
        _show_job(node, job, subjects)
    console.print("[bold]what happened[/]")
    for row in queries.audit_of(node.database, subjects):
        reason = json.loads(row.detail).get("reason", "")
        console.print(f"  {_local(row.at)}  {row.event:<20} {row.subject:<12} {reason}", markup=False)


def retry(
    series: SeriesKey,
    config: Config = DEFAULT_CONFIG,
    reason: Annotated[str, typer.Option(help="Why, for the audit trail.")] = "an admin asked for it",
) -> None:
    """Try a series again: failed jobs are queued, parked results sent, held stacks judged anew."""
    node = node_from(config)
    view = _find(node, series)
    found = queries.jobs_of(node.database, view.id)
    acted = [sentence for job in found for sentence in _retry_job(node, job, reason)]
    if any(job.state in (JobState.HELD, JobState.SKIPPED) for job in found):
        receipts.reopen(node.database, view.id, reason)
        acted.append("its held and skipped stacks are judged anew")
    console.print("; ".join(acted) if acted else f"Series {view.id} has nothing to retry.")


def _retry_job(node: Node, job: JobView, reason: str) -> list[str]:
    if jobs.retry(node.database, job.id, reason):
        return [f"job {job.id} is queued again"]
    if job.state not in (JobState.RESTORED, JobState.SENT, JobState.PARKED):
        return []
    known = queries.deliveries_of(node.database, job.id)
    acted = [
        f"job {job.id} is sent to {item.destination} again"
        if item.state == "parked"
        else f"{item.destination} is asked"
        for item in known
        if deliveries.retry(node.database, item.id, reason)
    ]
    new = sorted(set(node.destinations) - {item.destination for item in known})
    if new:
        uids = [item.sop_instance_uid for item in load_series(Path(job.result or "")).instances]
        deliveries.add(node.database, job.id, new, uids)
    return acted + [f"job {job.id} is sent to {name}" for name in new]


def _show_job(node: Node, job: JobView, subjects: list[str]) -> None:
    console.print(f"[bold]job {job.id}[/] {_coloured(_with_progress(job))}  {escape(job.label)} {escape(job.reason)}")
    if job.thin_slices:
        console.print(
            f"  {job.slices} thick → {job.thin_slices} thin slices, series {job.derived_series_uid}\n  in {job.result}"
        )
    if job.figures:
        check = job.figures.get("check", {})
        console.print(
            f"  {job.figures['model']}, {job.figures['spacing_mm']} mm, {job.figures['seconds']} s; averaged back: "
            f"mean offset {check['mean_offset_hu']:+.2f} HU, RMS {check['rms_error_hu']:.1f} HU"
        )
    for item in queries.deliveries_of(node.database, job.id):
        subjects.append(f"delivery:{item.id}")
        how = f" by {item.verified_by}" if item.verified_by else ""
        console.print(
            f"  to {escape(item.destination)}: {_coloured(item.state)}{how}, "
            f"{item.stored} of {item.total} stored  {escape(item.reason)}"
        )


def _find(node: Node, key: str) -> SeriesView:
    found = queries.find_series(node.database, key)
    if len(found) == 1:
        return found[0]
    exact = [item for item in found if str(item.id) == key or item.series_uid == key]
    if len(exact) == 1:
        return exact[0]
    problem = "no series" if not found else f"{len(found)} series"
    raise InputError(f"{problem} begin with {key!r}; `thinslice jobs` lists them")


def _with_progress(job: JobView) -> str:
    return f"{job.state} {job.progress:.0%}" if job.state == JobState.RUNNING else job.state


def _coloured(text: str) -> str:
    colour = COLOURS.get(text.split()[0], "default")
    return f"[{colour}]{text}[/]"


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


COMMANDS = {"status": status, "jobs": list_jobs, "show": show, "retry": retry}
