"""Verbs by which a result is made once more with another network, or sent once more to one destination."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

from dicom_node.ledger import chain, deliveries, entries
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.entries import NewJob
from dicom_node.ledger.mirror import DELIVERABLE, settle
from dicom_node.ledger.states import DeliveryState, JobState, SeriesState
from dicom_node.ledger.tables import delivery, instance, job, job_instance, series
from dicom_node.plans import Plan

# A stack that was restored, or is to be. One that is skipped, or held without a result, cannot be.
RESTORABLE = (
    JobState.QUEUED, JobState.RUNNING, JobState.RESTORED, JobState.SENDING, JobState.SENT, JobState.VERIFIED,
    JobState.FAILED, JobState.PARKED, JobState.CANCELLED,
)  # fmt: skip
UNDER_WAY = (DeliveryState.SENDING, DeliveryState.VERIFYING)


def sources_of(database: Database, job_id: int) -> list[tuple[int, str, str]]:
    """Number, SOP Instance UID and sha256 of every image that goes into a job."""
    joined = job_instance.join(instance, instance.c.id == job_instance.c.instance_id)
    query = select(instance.c.id, instance.c.sop_uid, instance.c.sha256).select_from(joined)
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(query.where(job_instance.c.job_id == job_id))]


def times_made(database: Database, series_id: int, label: str) -> int:
    """How many jobs a stack of a series has had."""
    same = (job.c.series_id == series_id) & (job.c.label == label)
    with database.reading() as connection:
        return connection.execute(select(func.count()).where(same)).scalar_one()


def chosen_plans(database: Database, series_id: int) -> dict[str, Plan]:
    """By the label of the stack, what a person last chose for it; empty where nobody did."""
    query = select(job.c.label, job.c.plan).where(job.c.series_id == series_id).order_by(job.c.id)
    with database.reading() as connection:
        return {row.label: row.plan for row in connection.execute(query) if row.plan.again is not None}


def restore_again(database: Database, job_id: int, new: NewJob, reason: str) -> str:
    """Put a job in the place of another of the same images, as images that come later do.

    Returns
    -------
    str
        Why not; empty where it is queued.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        joined = job.join(series, series.c.id == job.c.series_id)
        own, its_state = (job.c.series_id, job.c.revision, job.c.state), series.c.state.label("series_state")
        row = connection.execute(
            select(*own, its_state, series.c.purged_at).select_from(joined).where(job.c.id == job_id)
        ).one()
        if row.series_state != SeriesState.COMPLETE:
            return f"images of series {row.series_id} still arrive, or it is being judged"
        if row.purged_at is not None:
            return f"the images of series {row.series_id} are no longer on this node: have the series sent again"
        why = f"restored again with {new.model_name} at a person's wish"
        if not entries.replace(connection, database.actor, now, _may_be_made(job_id), why):
            return f"job {job_id} is {row.state} now"
        entries.enter(connection, database.actor, now, row.series_id, row.revision, new)
        chain.append(
            connection, now, database.actor, "job.again", f"job:{job_id}", reason=reason, network=new.model_name
        )
        return ""


def resend(database: Database, job_id: int, destination: str, sop_uids: Sequence[str], reason: str) -> str:
    """Send a stored result once more, or for the first time, to one destination.

    The same instances go, under the same UIDs; each is answered for anew.

    Returns
    -------
    str
        Why not; empty where it is on its way.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        row = connection.execute(select(job.c.state, job.c.result, job.c.purged_at).where(job.c.id == job_id)).one()
        if row.result is None or row.purged_at is not None:
            return f"the result of job {job_id} is no longer on this node: restore the series again"
        if row.state not in DELIVERABLE:
            return f"job {job_id} is {row.state}: only a result that was meant to be sent can be sent again"
        there = _state_at(connection, job_id, destination)
        if there in UNDER_WAY or there == DeliveryState.PENDING:
            return f"job {job_id} is being sent to {destination} already"
        _enter(connection, database.actor, now, job_id, destination, sop_uids, reason)
        return ""


def _enter(
    connection: Connection,
    actor: str,
    now: datetime,
    job_id: int,
    destination: str,
    sop_uids: Sequence[str],
    reason: str,
) -> None:
    deliveries.enter(connection, now, job_id, destination, sop_uids)
    chain.append(connection, now, actor, "delivery.resent", f"job:{job_id}", destination=destination, reason=reason)
    settle(connection, actor, now, job_id)


def _state_at(connection: Connection, job_id: int, destination: str) -> str | None:
    same = (delivery.c.job_id == job_id) & (delivery.c.destination == destination)
    found: str | None = connection.execute(select(delivery.c.state).where(same)).scalar()
    return found


def _may_be_made(job_id: int) -> ColumnElement[bool]:
    doubted = (job.c.state == JobState.HELD) & job.c.result.is_not(None)
    return (job.c.id == job_id) & (job.c.state.in_(RESTORABLE) | doubted)
