"""Verbs for jobs: one stack of one series, from the decision to restore it until the result is on disk.

Every verb is one conditional UPDATE and its audit row in one transaction. A verb that changes no row did not happen.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Update, select, update

from dicom_node.errors import StaleFence
from dicom_node.ledger import chain, claims, deliveries, entries
from dicom_node.ledger.claims import Due, lost_claims, ring_due
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.entries import NewJob
from dicom_node.ledger.states import JobState, SeriesState
from dicom_node.ledger.switches import claims_open
from dicom_node.ledger.tables import instance, job, job_instance, series
from dicom_node.plans import Plan
from dicom_node.records import DerivedSeries

NOWHERE = "no destination is configured: the result stays on the node"


@dataclass(frozen=True)
class Claim:
    """A worker's right to a job until its lease ends. Only the holder of the latest fence may finish."""

    job_id: int
    job_key: str
    fence: int
    attempt: int
    series_id: int
    series_uid: str
    model_digest: str
    source_paths: tuple[tuple[str, str], ...]
    plan: Plan


def job_key(series_uid: str, sources_: Sequence[tuple[str, str]], model_digest: str, config_digest: str) -> str:
    """Name of a job by what goes into it: same input, model and settings, same key, same derived UIDs.

    Parameters
    ----------
    sources_ : sequence of (SOPInstanceUID, sha256 of its data set)
    """
    content = json.dumps([series_uid, sorted(sources_), model_digest, config_digest])
    return hashlib.sha256(content.encode()).hexdigest()


def complete(
    database: Database, series_id: int, instances: int, revision: int, jobs: Sequence[NewJob], *, keep: bool = False
) -> bool:
    """Close a series and enter its jobs in one transaction. False when images arrived meanwhile: judge again.

    A job whose key is known is not made twice: it keeps its state, unless it was only skipped or held and the new
    verdict differs. Jobs of the series that the new verdicts no longer name are superseded; where these have nothing
    restored, as after a conflict, what a PACS has or is getting stays as it is until something replaces it. With
    ``keep`` none is superseded.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        closed = connection.execute(
            update(series)
            .where(
                series.c.id == series_id,
                series.c.state == SeriesState.RECEIVING,
                series.c.instances == instances,
                series.c.revision == revision,
            )
            .values(state=SeriesState.COMPLETE, forced=False)
        )
        if closed.rowcount == 0:
            return False
        chain.append(
            connection, now, database.actor, "series.complete", f"series:{series_id}",
            revision=revision, instances=instances, stacks=len(jobs),
        )  # fmt: skip
        for new in jobs:
            entries.enter(connection, database.actor, now, series_id, revision, new)
        replaced = any(new.state is JobState.QUEUED for new in jobs)
        if not keep:
            entries.supersede(connection, database.actor, now, series_id, [new.job_key for new in jobs], replaced)
        return True


def due_jobs(database: Database, again_s: float) -> list[Due]:
    """Queued jobs that are due and whose bell is not ringing, the most urgent first; marks them as rung.

    A bell that was heard by nobody rings again after ``again_s``.
    """
    return ring_due(database, job, lambda _now: job.c.state == JobState.QUEUED, job.c.priority, again_s)


def unring(database: Database, job_ids: Sequence[int]) -> None:
    """No bell sounded for these: ring them at the next tick."""
    claims.unring(database, job, job_ids)


def claim(database: Database, job_id: int, owner: str, lease_s: float) -> Claim | None:
    """Take a queued job: None when another worker has it, it is not due, or nothing is claimed at the moment."""
    with database.transaction() as connection:
        now = database_now(connection)
        taken = connection.execute(
            update(job)
            .where(job.c.id == job_id, job.c.state == JobState.QUEUED, job.c.due_at <= now, claims_open())
            .values(
                state=JobState.RUNNING, reason="", owner=owner, lease_until=now + timedelta(seconds=lease_s),
                fence=job.c.fence + 1, attempt=job.c.attempt + 1, progress=0.0, updated_at=now,
            )
            .returning(job)
        ).mappings().first()  # fmt: skip
        if taken is None:
            return None
        chain.append(
            connection, now, database.actor, "job.running", f"job:{job_id}",
            fence=taken["fence"], attempt=taken["attempt"], owner=owner,
        )  # fmt: skip
        return _claim_of(connection, taken)


def beat(database: Database, claim_: Claim, lease_s: float, progress: float) -> None:
    """Renew the lease and show progress (0 to 1). StaleFence when the job is someone else's now."""
    with database.transaction(in_turn=False) as connection:
        now = database_now(connection)
        lease_until = now + timedelta(seconds=lease_s)
        done = connection.execute(_mine(claim_).values(lease_until=lease_until, progress=progress, updated_at=now))
        if done.rowcount == 0:
            raise StaleFence(f"job {claim_.job_id} is no longer ours")


def restored(
    database: Database,
    claim_: Claim,
    result: DerivedSeries,
    figures: dict[str, Any],
    destinations: Sequence[str],
    doubt: str = "",
) -> None:
    """The result is on disk: keep where, and enter one delivery per destination in the same transaction.

    With a ``doubt`` it is held for that reason, without deliveries, until a person releases it (``acts.release``).
    """
    with database.transaction() as connection:
        now = database_now(connection)
        values = {
            "result": str(result.folder), "derived_series_uid": result.series_instance_uid,
            "thin_slices": result.thin_slices, "figures": figures, "seconds": figures.get("seconds"), "progress": 1.0,
        }  # fmt: skip
        if doubt:
            _leave_running(connection, database.actor, now, claim_, JobState.HELD, doubt, values)
            return
        reason = "" if destinations else NOWHERE
        _leave_running(connection, database.actor, now, claim_, JobState.RESTORED, reason, values)
        uids = [item.sop_instance_uid for item in result.instances]
        for name in destinations:
            deliveries.enter(connection, now, claim_.job_id, name, uids)


def give_back(database: Database, claim_: Claim, reason: str, retry_in_s: float, *, counted: bool = True) -> None:
    """The cause may pass: queue the job again after a while. Not counted, it was no attempt: the worker had to stop."""
    with database.transaction() as connection:
        now = database_now(connection)
        attempt = claim_.attempt if counted else claim_.attempt - 1
        values = {"due_at": now + timedelta(seconds=retry_in_s), "rung_at": None, "attempt": attempt}
        _leave_running(connection, database.actor, now, claim_, JobState.QUEUED, reason, values)


def end(database: Database, claim_: Claim, state: JobState, reason: str, **values: Any) -> None:
    """Leave a running job as held, failed or parked with a reason for people."""
    with database.transaction() as connection:
        _leave_running(connection, database.actor, database_now(connection), claim_, state, reason, values)


def expire(database: Database, is_gone: Callable[[str], bool], deaths_allowed: int) -> int:
    """Take back running jobs whose lease ended or whose process is gone; returns how many.

    A job that killed its worker ``deaths_allowed`` times fails instead of killing the next.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        lost = lost_claims(connection, job, JobState.RUNNING, is_gone, now)
        for row in lost:
            poison = row["deaths"] + 1 >= deaths_allowed
            state = JobState.FAILED if poison else JobState.QUEUED
            reason = (
                f"the worker died {row['deaths'] + 1} times on this job" if poison else "the worker died; queued again"
            )
            connection.execute(
                update(job)
                .where(job.c.id == row["id"])
                .values(
                    state=state, reason=reason, owner=None, lease_until=None, fence=job.c.fence + 1,
                    deaths=job.c.deaths + 1, due_at=now, rung_at=None, updated_at=now,
                )
            )  # fmt: skip
            subject, owner = f"job:{row['id']}", row["owner"]
            chain.append(connection, now, database.actor, f"job.{state}", subject, reason=reason, owner=owner)
        return len(lost)


def _claim_of(connection: Connection, taken: RowMapping) -> Claim:
    columns = (instance.c.path, instance.c.sha256)
    joined = job_instance.join(instance, instance.c.id == job_instance.c.instance_id)
    rows = connection.execute(select(*columns).select_from(joined).where(job_instance.c.job_id == taken["id"]))
    uid = connection.execute(select(series.c.series_uid).where(series.c.id == taken["series_id"])).scalar_one()
    return Claim(
        job_id=taken["id"],
        job_key=taken["job_key"],
        fence=taken["fence"],
        attempt=taken["attempt"],
        series_id=taken["series_id"],
        series_uid=uid,
        model_digest=taken["model_digest"],
        source_paths=tuple((row.path, row.sha256) for row in rows),
        plan=taken["plan"],
    )


def _mine(claim_: Claim) -> Update:
    return update(job).where(job.c.id == claim_.job_id, job.c.fence == claim_.fence, job.c.state == JobState.RUNNING)


def _leave_running(
    connection: Connection,
    actor: str,
    now: datetime,
    claim_: Claim,
    state: JobState,
    reason: str,
    values: dict[str, Any],
) -> None:
    values = {"due_at": now, **values, "state": state, "reason": reason, "updated_at": now}
    left = connection.execute(_mine(claim_).values(owner=None, lease_until=None, **values))
    if left.rowcount == 0:
        raise StaleFence(f"job {claim_.job_id} is no longer ours")
    chain.append(connection, now, actor, f"job.{state}", f"job:{claim_.job_id}", reason=reason, fence=claim_.fence)
