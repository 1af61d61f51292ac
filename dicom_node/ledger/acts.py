"""Verbs for what a person decides about a job. Each says why, for the audit trail; the database's actor says who."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Update, select, update

from dicom_node.ledger import chain, deliveries
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.jobs import NOWHERE
from dicom_node.ledger.mirror import settle
from dicom_node.ledger.states import JOB_MOVES, DeliveryState, JobState, sources
from dicom_node.ledger.tables import delivery, job

KEPT = job.c.result.is_not(None) & job.c.purged_at.is_(None)
WAITING = (JobState.QUEUED, JobState.RUNNING, JobState.RESTORED, JobState.SENDING)


def cancel(database: Database, job_id: int, reason: str) -> bool:
    """Stop a job wherever it is; its worker and its senders may not finish. False where it has ended already."""
    with database.transaction() as connection:
        now = database_now(connection)
        legal = (job.c.id == job_id) & job.c.state.in_(sources(JOB_MOVES, JobState.CANCELLED))
        values = {"state": JobState.CANCELLED, "reason": reason, "owner": None, "lease_until": None, "updated_at": now}
        if not connection.execute(update(job).where(legal).values(fence=job.c.fence + 1, **values)).rowcount:
            return False
        deliveries.stop(connection, now, job_id)
        _note(connection, database.actor, now, "job.cancelled", job_id, reason)
        return True


def prioritise(database: Database, job_id: int, priority: int, reason: str) -> bool:
    """Let a job and its deliveries go before those of a lower priority. False where it waits for nothing any more."""
    with database.transaction() as connection:
        now = database_now(connection)
        waits = (job.c.id == job_id) & job.c.state.in_(WAITING)
        if not connection.execute(update(job).where(waits).values(priority=priority, rung_at=None)).rowcount:
            return False
        connection.execute(update(delivery).where(delivery.c.job_id == job_id).values(rung_at=None))
        _note(connection, database.actor, now, f"job.priority.{priority}", job_id, reason)
        return True


def retry(database: Database, job_id: int, reason: str) -> bool:
    """Take up a job that failed, was cancelled, or was parked before there was a result. False for any other.

    Where its result is still there, the deliveries go on where they stopped; else it is queued.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        goes_somewhere = select(delivery.c.id).where(delivery.c.job_id == job_id).exists()
        has_result = KEPT & goes_somewhere
        taken_back = connection.execute(_again(job_id, has_result, (JobState.CANCELLED,), JobState.RESTORED, now))
        if taken_back.rowcount:
            waits = (delivery.c.job_id == job_id) & (delivery.c.state == DeliveryState.PENDING)
            connection.execute(update(delivery).where(waits).values(due_at=now, rung_at=None))
            settle(connection, database.actor, now, job_id)
        else:
            ended = (JobState.FAILED, JobState.CANCELLED, JobState.PARKED)
            queued = connection.execute(_again(job_id, ~has_result, ended, JobState.QUEUED, now))
            if not queued.rowcount:
                return False
        _note(connection, database.actor, now, "job.retry", job_id, reason)
        return True


def release(database: Database, job_id: int, sop_uids: Sequence[str], destinations: Sequence[str], reason: str) -> bool:
    """Let a result that is held for its doubt go to its destinations after all. False where none is held.

    Parameters
    ----------
    sop_uids : sequence of str
        SOP Instance UIDs of the result.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        values = {"state": JobState.RESTORED, "reason": "" if destinations else NOWHERE, "updated_at": now}
        if not connection.execute(update(job).where(_held(job_id)).values(**values)).rowcount:
            return False
        for name in destinations:
            deliveries.enter(connection, now, job_id, name, sop_uids)
        _note(connection, database.actor, now, "job.released", job_id, reason)
        return True


def reject(database: Database, job_id: int, reason: str) -> bool:
    """Decide that a result that is held for its doubt is not sent. False where none is held."""
    with database.transaction() as connection:
        now = database_now(connection)
        values = {"state": JobState.CANCELLED, "reason": f"rejected: {reason}", "updated_at": now}
        if not connection.execute(update(job).where(_held(job_id)).values(**values)).rowcount:
            return False
        _note(connection, database.actor, now, "job.rejected", job_id, reason)
        return True


def _held(job_id: int) -> ColumnElement[bool]:
    """Held with a result; a stack that is held has none."""
    return (job.c.id == job_id) & (job.c.state == JobState.HELD) & KEPT


def _again(
    job_id: int, condition: ColumnElement[bool], from_states: tuple[JobState, ...], state: JobState, now: datetime
) -> Update:
    anew = {"attempt": 0, "deaths": 0, "due_at": now, "rung_at": None, "updated_at": now, "purged_at": None}
    ended = (job.c.id == job_id) & job.c.state.in_(from_states) & condition
    return update(job).where(ended).values(state=state, **anew)


def _note(connection: Connection, actor: str, now: datetime, event: str, job_id: int, reason: str) -> None:
    chain.append(connection, now, actor, event, f"job:{job_id}", reason=reason)
