"""What the pages of series show, as data; /api shows the same. Nothing of it names a patient."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dicom_node.ledger import browse, feedback
from dicom_node.ledger.browse import InstanceView, SeriesEntry
from dicom_node.ledger.feedback import Opinion
from dicom_node.ledger.queries import AuditView, DeliveryView, JobView
from dicom_node.ledger.series_search import ATTENTION
from dicom_node.ledger.states import SeriesState
from dicom_node.plans import Plan
from worker.console.stack_drawing import Drawing, draw
from worker.deeds import possible
from worker.wiring import Node

# The way of a job, by the events that mark its steps in the audit trail.
STEPS = (
    ("complete", "complete"), ("job.running", "running"), ("job.restored", "restored"), ("job.sent", "sent"),
    ("job.verified", "verified"),
)  # fmt: skip
# Images of one series that a page, and that /api lists.
SHOWN, ALL = 100, 10_000
ENDED_ELSEWHERE = ("held", "failed", "parked", "cancelled", "skipped", "superseded")


@dataclass(frozen=True)
class JobFact:
    """A job with its deliveries; ``has_result`` says whether its result can still be looked at."""

    id: int
    label: str
    state: str
    reason: str
    slices: int
    thin_slices: int | None
    model_name: str
    rule: str
    plan: Plan
    priority: int
    progress: float
    attempt: int
    derived_series_uid: str | None
    figures: dict[str, Any]
    has_result: bool
    created_at: datetime
    updated_at: datetime
    deliveries: tuple[DeliveryView, ...]
    feedback: Opinion | None


@dataclass(frozen=True)
class SeriesFact:
    """A series with its jobs; ``state`` is the one of theirs that a person should see first."""

    id: int
    series_uid: str
    study_uid: str
    calling_ae: str
    state: str
    revision: int
    instances: int
    first_heard_at: datetime
    last_heard_at: datetime
    jobs: tuple[JobFact, ...]

    @property
    def acts(self) -> frozenset[str]:
        """What a person may do with it."""
        return possible(self.state, self.jobs)


@dataclass(frozen=True)
class Step:
    """A step on a job's way: ``state`` is done, now, next or ended; ``took_s`` since the one before."""

    name: str
    state: str
    at: datetime | None
    took_s: float | None


@dataclass(frozen=True)
class JobDetail:
    """A job in full: its way, and what its slices look like in space."""

    job: JobFact
    steps: tuple[Step, ...]
    drawing: Drawing | None


@dataclass(frozen=True)
class Detail:
    """A series in full."""

    series: SeriesFact
    jobs: tuple[JobDetail, ...]
    instances: tuple[InstanceView, ...]
    history: tuple[AuditView, ...]
    feedback: tuple[Opinion, ...]


def page_of(entries: Sequence[SeriesEntry]) -> list[SeriesFact]:
    """Lines of a page."""
    return [_fact(item) for item in entries]


def detail_of(node: Node, series_id: int, *, drawn: bool = True) -> Detail | None:
    """Everything about one series; None where there is none of that number.

    Parameters
    ----------
    drawn : bool
        For a page: with the positions of its slices, read from the spool, and the first ``SHOWN`` images alone.
    """
    entry = browse.entry(node.database, series_id)
    if entry is None:
        return None
    series, history = _fact(entry), browse.history_of(node.database, entry)
    jobs = tuple(
        JobDetail(
            job, _steps(series, job, history), draw(node, job.id, _thin_step(job), job.thin_slices) if drawn else None
        )
        for job in series.jobs
    )
    instances = tuple(browse.instances_of(node.database, series_id, SHOWN if drawn else ALL))
    said = tuple(feedback.everything_about(node.database, series_id))
    return Detail(series, jobs, instances, tuple(history), said)


def _fact(entry: SeriesEntry) -> SeriesFact:
    jobs = tuple(_job(job, entry.deliveries.get(job.id, ()), entry.feedback.get(job.id)) for job in entry.jobs)
    return SeriesFact(**{**asdict(entry.series), "state": _state(entry.series.state, jobs)}, jobs=jobs)


def _job(job: JobView, deliveries: tuple[DeliveryView, ...], said: Opinion | None) -> JobFact:
    same = {name: getattr(job, name) for name in JobFact.__annotations__ if hasattr(job, name)}
    has_result = bool(job.result) and Path(job.result or "").is_dir()
    kept = {"figures": job.figures or {}, "has_result": has_result}
    return JobFact(**{**same, **kept}, deliveries=deliveries, feedback=said)


def _state(series_state: str, jobs: Sequence[JobFact]) -> str:
    if series_state == SeriesState.RECEIVING or not jobs:
        return series_state
    return min((job.state for job in jobs), key=ATTENTION.index)


def _thin_step(job: JobFact) -> float | None:
    step = job.figures.get("spacing_mm")
    return float(step) if step else None


def _steps(series: SeriesFact, job: JobFact, history: Sequence[AuditView]) -> tuple[Step, ...]:
    """The way of a job so far, and what is still to come unless it ended elsewhere."""
    times: dict[str, datetime] = {}
    for row in history:
        if row.subject == f"job:{job.id}":
            times[row.event] = row.at
        elif row.event == "series.complete" and row.at <= job.updated_at:
            times.setdefault("complete", row.at)
    found = [Step("first image", "done", series.first_heard_at, None)]
    last = series.first_heard_at
    for name, at in [("last image", min(series.last_heard_at, job.created_at)), *_reached(times)]:
        found.append(Step(name, "done", at, max((at - last).total_seconds(), 0.0)))
        last = at
    return (*found, *_rest(job, {step.name for step in found}))


def _reached(times: dict[str, datetime]) -> list[tuple[str, datetime]]:
    """Steps that were reached since the last restoration began."""
    running = times.get("job.running")
    return [
        (name, times[event])
        for event, name in STEPS
        if event in times and (event == "complete" or running is None or times[event] >= running)
    ]


def _rest(job: JobFact, reached: set[str]) -> list[Step]:
    if job.state in ENDED_ELSEWHERE:
        return [Step(job.state, "ended", job.updated_at, None)]
    missing = [name for _, name in STEPS if name not in reached]
    if job.state == "verified":
        return []
    return [Step(name, "now" if not index else "next", None, None) for index, name in enumerate(missing)]
