"""Commands that show the ledger."""

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.ledger import circuits, queries, switches, workers
from dicom_node.ledger.queries import JobView
from dicom_node.ledger.states import CommitmentState, JobState
from dicom_node.ledger.workers import WorkerView
from worker.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    Config,
    SeriesKey,
    console,
    describe,
    find_series,
    local,
    node_from,
    print_json,
)
from worker.cli.figures import figure_lines
from worker.console import answers, facts
from worker.wiring import Node

COLOURS = {
    "verified": "green", "sent": "cyan", "sending": "cyan", "restored": "cyan", "running": "blue", "queued": "blue",
    "held": "yellow", "parked": "yellow", "failed": "red", "skipped": "dim", "superseded": "dim", "cancelled": "dim",
}  # fmt: skip


def status(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show what stands in the way of work, how many series are arriving and how many jobs are in each state."""
    node = node_from(config)
    if as_json:
        print_json(facts.now(node))
        return
    for line in _obstacles(node):
        console.print(line)
    counts = queries.counts(node.database)
    table = Table("state", "count", box=None)
    for state in ("receiving", *(str(item) for item in JobState)):
        if counts.get(state):
            table.add_row(_coloured(state), str(counts[state]))
    console.print(table if table.row_count else "Nothing has arrived yet.")


def _obstacles(node: Node) -> list[str]:
    """One line for each reason why work does not get done, those of people first."""
    pause = switches.paused(node.database)
    lines = []
    if pause is not None:
        since = local(pause.since)
        lines.append(f"[bold white on red] PAUSED [/] since {since} by {escape(pause.by)}: {escape(pause.reason)}")
        lines.append("  Nothing new is begun; images are received. `thinslice resume` goes on.")
    lines += [
        f"[bold yellow]{escape(item.destination)} does not answer[/] ({item.failures} times in a row): "
        f"tried next at {local(item.open_until)}; {escape(item.reason)}"
        for item in circuits.opened(node.database)
    ]
    lines += [
        f"[bold yellow]{escape(item.calling_ae)} was not told of its storage commitment[/]: {escape(item.reason)}; "
        f"`thinslice report {item.id}` tries again"
        for item in queries.commitment_requests(node.database, CommitmentState.PARKED)
    ]
    return lines + [_sentence_of(item) for item in workers.everyone(node.database) if item.is_amiss]


def _sentence_of(process: WorkerView) -> str:
    host, _, number, _ = process.owner.rsplit("/", 3)
    name = f"{process.role} {escape(host)}/{number}"
    if process.is_silent:
        return f"[bold yellow]{name}[/] has not been seen for {process.silent_s / 60:.0f} minutes"
    return f"[bold red]{name} refuses to work[/]: {escape(process.reason)}"


def list_jobs(
    config: Config = DEFAULT_CONFIG,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most this many, newest first.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first: one job is one stack of thick slices to be restored."""
    node = node_from(config)
    if as_json:
        print_json(answers.jobs_page(node, state, limit=limit))
        return
    found = queries.jobs(node.database, state, limit)
    if not found:
        console.print("No jobs." if state is None else f"No jobs are {state}.")
        return
    table = Table("job", "series", "from", "state", "slices", "rule", "updated", "why", box=None)
    for item in found:
        slices = f"{item.slices} → {item.thin_slices}" if item.thin_slices else str(item.slices)
        table.add_row(
            str(item.id), str(item.series_id), item.calling_ae, _coloured(_with_progress(item)), slices,
            escape(item.rule), local(item.updated_at), escape(item.reason or item.label),
        )  # fmt: skip
    console.print(table)


def show(
    series: SeriesKey,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show one series: what arrived, its jobs, where each result went, and everything that happened."""
    node = node_from(config)
    view = find_series(node, series)
    if as_json:
        print_json(answers.one_series(node, view.id))
        return
    console.print(f"[bold]series {view.id}[/]  {view.series_uid}")
    console.print(
        f"  study {view.study_uid}\n"
        f"  from {view.calling_ae}, {view.instances} images, {view.state}, revision {view.revision}"
    )
    subjects = [f"series:{view.id}", view.series_uid]
    for job in queries.jobs_of(node.database, view.id):
        subjects.append(f"job:{job.id}")
        _show_job(node, job, subjects)
    console.print("[bold]what happened[/]")
    for row in queries.audit_of(node.database, subjects):
        reason = json.loads(row.detail).get("reason", "")
        console.print(f"  {local(row.at)}  {row.event:<20} {row.subject[:12]:<12} {reason}", markup=False)


def _show_job(node: Node, job: JobView, subjects: list[str]) -> None:
    console.print(f"[bold]job {job.id}[/] {_coloured(_with_progress(job))}  {escape(job.label)} {escape(job.reason)}")
    if job.rule:
        console.print(f"  by the rule {escape(repr(job.rule))} {escape(describe(job.plan))}")
    if job.thin_slices:
        console.print(
            f"  {job.slices} thick → {job.thin_slices} thin slices, series {job.derived_series_uid}\n  in {job.result}"
        )
    if job.figures:
        for line in figure_lines(job.figures):
            console.print(f"  {line}", markup=False)
    if job.state == JobState.HELD and job.result:
        console.print(
            f"  kept: `thinslice release {job.series_id}` sends it, `thinslice reject {job.series_id}` does not"
        )
    for item in queries.deliveries_of(node.database, job.id):
        subjects.append(f"delivery:{item.id}")
        how = f" by {item.verified_by}" if item.verified_by else ""
        console.print(
            f"  to {escape(item.destination)}: {_coloured(item.state)}{how}, "
            f"{item.stored} of {item.total} stored  {escape(item.reason)}"
        )


def _with_progress(job: JobView) -> str:
    return f"{job.state} {job.progress:.0%}" if job.state == JobState.RUNNING else job.state


def _coloured(text: str) -> str:
    colour = COLOURS.get(text.split()[0], "default")
    return f"[{colour}]{text}[/]"


COMMANDS = {"status": status, "jobs": list_jobs, "show": show}
