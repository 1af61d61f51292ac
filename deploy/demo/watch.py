"""Watching the node's ledger, as a person would watch the console."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from dicom_node.ledger import queries
from dicom_node.ledger.database import Database
from dicom_node.ledger.queries import JobView

# Jobs that no longer move by themselves.
ENDED = ("verified", "skipped", "held", "failed", "parked", "cancelled", "superseded")


def watch(database: Database, series_uid: str, console: Console) -> list[JobView]:
    """Show the series' jobs as they move, until each has ended; returns them."""
    columns = (
        TextColumn("  {task.description:<44}"),
        BarColumn(30),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("waiting until the series is complete", total=1.0, note="")
        while True:
            found = _jobs(database, series_uid)
            for job in found[-1:]:
                _show(progress, bar, database, job)
            if found and all(_has_ended(job) for job in found):
                return found
            time.sleep(0.2)


def _show(progress: Progress, bar: TaskID, database: Database, job: JobView) -> None:
    deliveries = queries.deliveries_of(database, job.id)
    total = sum(item.total for item in deliveries) or 1
    stored = sum(item.stored for item in deliveries)
    what = {"running": f"restoring with {job.model_name}", "restored": "restored", "verified": "confirmed by the PACS"}
    done = stored / total if job.state in ("sending", "sent", "verified") else job.progress * (job.state == "running")
    note = f"{stored} of {total} sent" if deliveries else ""
    progress.update(bar, description=what.get(job.state, job.state), completed=done, note=note)


def _has_ended(job: JobView) -> bool:
    stays = job.state in ("restored", "sent") and ("unverified" in job.reason or "no destination" in job.reason)
    return job.state in ENDED or stays


def _jobs(database: Database, series_uid: str) -> list[JobView]:
    found = queries.find_series(database, series_uid)
    return queries.jobs_of(database, found[0].id) if found and found[0].state == "complete" else []
