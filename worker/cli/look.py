"""Commands that show the ledger."""

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.ledger import queries, switches
from dicom_node.ledger.queries import JobView
from dicom_node.ledger.states import JobState
from dicom_node.ledger.users import Role
from worker import patients
from worker.around import look_around
from worker.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    Config,
    SeriesKey,
    console,
    find_series,
    local,
    node_from,
    print_json,
)
from worker.cli.figures import figure_lines
from worker.console import answers, facts
from worker.notice_settings import Kind
from worker.trial import describe
from worker.troubles import OF_JOBS, Trouble, troubles_of
from worker.wiring import Node

COLOURS = {
    "verified": "green", "sent": "cyan", "sending": "cyan", "restored": "cyan", "running": "blue", "queued": "blue",
    "held": "yellow", "parked": "yellow", "failed": "red", "skipped": "dim", "superseded": "dim", "cancelled": "dim",
}  # fmt: skip

LEVELS = {"bad": "bold red", "warn": "bold yellow"}
# These have a line, or a place in the table, of their own.
TOLD_OTHERWISE = {Kind.PAUSED, Kind.DESTINATION_DOWN, *OF_JOBS.values()}
ADVICE = {Kind.COMMITMENT_UNTOLD: "; `thinslice commitments` lists them, `thinslice report` tries again"}


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
    """One line for each reason why work does not get done; what waits for a person is counted in the table."""
    pause = switches.paused(node.database)
    lines = []
    if pause is not None:
        since = local(pause.since)
        lines.append(f"[bold white on red] PAUSED [/] since {since} by {escape(pause.by)}: {escape(pause.reason)}")
        lines.append("  Nothing new is begun; images are received. `thinslice resume` goes on.")
    around = look_around(node)
    lines += [
        f"[bold red]{escape(item.name)} does not answer[/] ({item.circuit.failures} times in a row): "
        f"tried next at {local(item.circuit.open_until)}; {escape(item.circuit.reason)}"
        for item in around.destinations
        if item.circuit is not None
    ]
    lines += [
        f"[bold yellow]{escape(name)} is paused[/] by {escape(pause.by)}: {escape(pause.reason)}; "
        f"`thinslice resume --to {escape(name)}` goes on"
        for name, pause in switches.paused_destinations(node.database).items()
    ]
    lines += [
        f"[bold yellow]{item.role} {escape(item.name)} is drained[/] by {escape(item.drained_by)}: "
        f"{escape(item.drain_reason or '')}; `thinslice resume --worker {escape(item.name)}` goes on"
        for item in around.processes
        if item.drained_by
    ]
    return lines + [_line_of(item) for item in troubles_of(node, around) if item.kind not in TOLD_OTHERWISE]


def _line_of(trouble: Trouble) -> str:
    since = f" (since {local(trouble.since)})" if trouble.since else ""
    return f"[{LEVELS[trouble.level]}]{escape(trouble.sentence)}[/]{since}{ADVICE.get(trouble.kind, '')}"


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
    patient: Annotated[
        bool,
        typer.Option("--patient", help="Show whose images these are instead; the audit trail keeps it."),
    ] = False,
    reason: Annotated[str, typer.Option(help="With --patient: why, for the audit trail.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show one series: what arrived, its jobs, where each result went, and everything that happened."""
    node = node_from(config)
    view = find_series(node, series)
    if patient:
        for called, value in patients.look(node, view.id, Role.ADMIN, reason).facts.items():
            console.print(f"{called:<17} {value or '–'}", markup=False)
        return
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
