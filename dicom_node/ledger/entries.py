"""What becomes of the verdicts on a series: a job that is new, known already, or replaced by a later one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from dicom_node.ledger import chain, deliveries
from dicom_node.ledger.states import JOB_MOVES, JobState, sources
from dicom_node.ledger.tables import job, job_instance
from dicom_node.plans import Plan

# A PACS has these, or is getting them: not withdrawn because of images that only put the series in doubt.
DELIVERED = frozenset({JobState.SENDING, JobState.SENT, JobState.VERIFIED})


@dataclass(frozen=True)
class NewJob:
    """What a verdict on one stack becomes: ``state`` is queued, held or skipped; ``rule`` decided, if any did."""

    job_key: str
    label: str
    state: JobState
    reason: str
    instance_ids: tuple[int, ...]
    model_name: str
    model_digest: str
    rule: str = ""
    plan: Plan = field(default_factory=Plan)
    priority: int = 0


def enter(connection: Connection, actor: str, now: datetime, series_id: int, revision: int, new: NewJob) -> None:
    """Make a job. A known one changes only where it was skipped or held, and the new verdict says otherwise."""
    query = select(job.c.id, job.c.state, job.c.reason).where(job.c.job_key == new.job_key)
    known = connection.execute(query).first()
    if known is None:
        job_id = _insert(connection, now, series_id, revision, new)
    elif _says_otherwise(known.state, known.reason, new):
        job_id = known.id
        values = _decided(new) | {"due_at": now, "rung_at": None, "updated_at": now}
        connection.execute(update(job).where(job.c.id == job_id).values(**values))
    else:
        chain.append(connection, now, actor, "job.duplicate", f"job:{known.id}", state=known.state)
        return
    detail = {"reason": new.reason, "series": series_id, "revision": revision, "rule": new.rule}
    chain.append(connection, now, actor, f"job.{new.state}", f"job:{job_id}", **detail)


def _says_otherwise(state: str, reason: str, new: NewJob) -> bool:
    """Whether a job that was none of a worker's is to change. One that is held may be so for what its result shows."""
    if state == JobState.SKIPPED:
        return (state, reason) != (new.state, new.reason)
    return state == JobState.HELD and state != new.state


def _decided(new: NewJob) -> dict[str, Any]:
    """The columns that a later look at the same stack may change."""
    return {name: getattr(new, name) for name in ("state", "reason", "rule", "plan", "priority")}


def _insert(connection: Connection, now: datetime, series_id: int, revision: int, new: NewJob) -> int:
    values = {
        "job_key": new.job_key, "series_id": series_id, "revision": revision, "label": new.label,
        "slices": len(new.instance_ids), "model_name": new.model_name, "model_digest": new.model_digest,
        "created_at": now, "updated_at": now, "due_at": now,
    } | _decided(new)  # fmt: skip
    job_id = int(connection.execute(insert(job).values(**values).returning(job.c.id)).scalar_one())
    connection.execute(insert(job_instance), [{"job_id": job_id, "instance_id": item} for item in new.instance_ids])
    return job_id


def supersede(
    connection: Connection, actor: str, now: datetime, series_id: int, kept: Sequence[str], replaced: bool
) -> None:
    """Replace the jobs of a series other than those kept, by their key.

    Not ``replaced``, nothing takes their place: then what a PACS has, or is getting, stays.
    """
    states = set(sources(JOB_MOVES, JobState.SUPERSEDED)) - (set() if replaced else DELIVERED)
    old = (job.c.series_id == series_id) & job.c.job_key.not_in(kept) & job.c.state.in_(states)
    later = "a later one replaces it" if replaced else "with them nothing of the series can be restored"
    replace(connection, actor, now, old, f"images arrived, or settings changed, after this job was made; {later}")


def replace(connection: Connection, actor: str, now: datetime, old: ColumnElement[bool], reason: str) -> int:
    """Supersede jobs and stop their deliveries; returns how many."""
    values = {"state": JobState.SUPERSEDED, "reason": reason, "owner": None, "lease_until": None, "updated_at": now}
    superseding = update(job).where(old).values(fence=job.c.fence + 1, **values).returning(job.c.id)
    found = connection.execute(superseding).scalars().all()
    for job_id in found:
        deliveries.stop(connection, now, job_id)
        chain.append(connection, now, actor, "job.superseded", f"job:{job_id}", reason=reason)
    return len(found)
