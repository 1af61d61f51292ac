"""Verbs of retention: that something may go is decided here, in the ledger, before any file is removed.

Only what is settled goes: what every PACS confirmed, what is none of our business, and what a person or a later
revision set aside. A series goes when all its jobs are settled and none of its images contradict each other.
While a scanner waits to hear whether the node commits to one of them it stays; what was committed to never goes early.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, String, cast, exists, literal, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.states import CommitmentState, JobState, SeriesState
from dicom_node.ledger.tables import commitment_reference, commitment_request, instance, job, series

SETTLED = (JobState.VERIFIED, JobState.SKIPPED, JobState.CANCELLED, JobState.SUPERSEDED)
# Their worker may have left files behind that the ledger never heard of.
WITH_LEFTOVERS = (JobState.CANCELLED, JobState.SUPERSEDED)
# What stands in the place of an instance's path once its file is gone; names are unique.
GONE = "purged:"


@dataclass(frozen=True)
class OldResult:
    """A job whose result may go."""

    job_id: int
    job_key: str


def results_due(database: Database, settled_for_s: float, limit: int = 50) -> list[OldResult]:
    """Jobs that are settled for so long and whose result is still here, the oldest first."""
    with database.reading() as connection:
        before = database_now(connection) - timedelta(seconds=settled_for_s)
        query = select(job.c.id, job.c.job_key).where(_result_may_go(), job.c.updated_at < before)
        return [OldResult(*row) for row in connection.execute(query.order_by(job.c.updated_at).limit(limit))]


def results_of(database: Database, series_id: int) -> list[OldResult]:
    """Settled jobs of a series whose result is still here."""
    with database.reading() as connection:
        query = select(job.c.id, job.c.job_key).where(_result_may_go(), job.c.series_id == series_id)
        return [OldResult(*row) for row in connection.execute(query)]


def purge_result(database: Database, job_id: int, folder: str, reason: str) -> bool:
    """Decide that a job's result goes; ``folder`` holds everything its workers wrote. False where it has to stay."""
    with database.transaction() as connection:
        now = database_now(connection)
        decided = update(job).where(job.c.id == job_id, _result_may_go()).values(purged_at=now, result=folder)
        if not connection.execute(decided).rowcount:
            return False
        chain.append(connection, now, database.actor, "job.purged", f"job:{job_id}", reason=reason)
        return True


def results_to_remove(database: Database) -> dict[int, str]:
    """Folder by job of every result that goes and may still be on disk."""
    with database.reading() as connection:
        pending = job.c.purged_at.is_not(None) & job.c.result.is_not(None)
        return {row.id: row.result for row in connection.execute(select(job.c.id, job.c.result).where(pending))}


def result_removed(database: Database, job_id: int) -> None:
    """The folder is gone."""
    with database.transaction() as connection:
        gone = (job.c.id == job_id) & job.c.purged_at.is_not(None)
        connection.execute(update(job).where(gone).values(result=None))


def series_due(database: Database, settled_for_s: float, limit: int = 50, *, early: bool = False) -> list[int]:
    """Series that are settled for so long and whose images are still here, the oldest first; ``early`` as below."""
    with database.reading() as connection:
        before = database_now(connection) - timedelta(seconds=settled_for_s)
        query = select(series.c.id).where(_is_settled(before) & _is_free(early=early))
        return list(connection.execute(query.order_by(series.c.last_heard_at).limit(limit)).scalars())


def purge_series(
    database: Database, series_id: int, reason: str, *, by_person: bool = False, early: bool = False
) -> bool:
    """Decide that the images of a series go. False where they have to stay.

    Parameters
    ----------
    by_person : bool
        A person may decide on a conflict, and on what the node has committed to, too.
    early : bool
        Before its time, because a disk fills up.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        settled = (series.c.id == series_id) & _is_settled(now)
        may_go = settled if by_person else settled & _is_free(early=early)
        if not connection.execute(update(series).where(may_go).values(purged_at=now)).rowcount:
            return False
        chain.append(connection, now, database.actor, "series.purged", f"series:{series_id}", reason=reason)
        return True


def files_to_remove(database: Database) -> dict[int, list[str]]:
    """Paths by series of every image that goes and may still be on disk."""
    pending = series.c.purged_at.is_not(None) & ~instance.c.path.startswith(GONE)
    query = select(instance.c.series_id, instance.c.path).join(series, series.c.id == instance.c.series_id)
    found: dict[int, list[str]] = {}
    with database.reading() as connection:
        for row in connection.execute(query.where(pending)):
            found.setdefault(row.series_id, []).append(row.path)
    return found


def files_removed(database: Database, series_id: int) -> None:
    """The files are gone, unless some came back meanwhile."""
    with database.transaction() as connection:
        purged = exists().where(series.c.id == series_id, series.c.purged_at.is_not(None))
        here = (instance.c.series_id == series_id) & ~instance.c.path.startswith(GONE)
        mark = literal(GONE) + cast(instance.c.id, String)
        connection.execute(update(instance).where(here, purged).values(path=mark))


def is_kept() -> ColumnElement[bool]:
    """The condition of an instance that is here, and that nothing was decided against."""
    stays = exists().where(series.c.id == instance.c.series_id, series.c.purged_at.is_(None))
    return ~instance.c.path.startswith(GONE) & stays


def _result_may_go() -> ColumnElement[bool]:
    here = job.c.result.is_not(None) | job.c.state.in_(WITH_LEFTOVERS)
    return job.c.state.in_(SETTLED) & job.c.purged_at.is_(None) & here


def _is_settled(before: datetime) -> ColumnElement[bool]:
    """A complete series whose jobs have all been settled since then."""
    jobs_of_it = job.c.series_id == series.c.id
    unsettled = exists().where(jobs_of_it, job.c.state.not_in(SETTLED) | (job.c.updated_at > before))
    return (
        (series.c.state == SeriesState.COMPLETE)
        & series.c.purged_at.is_(None)
        & (series.c.last_heard_at <= before)
        & exists().where(jobs_of_it)
        & ~unsettled
    )


def _is_free(*, early: bool) -> ColumnElement[bool]:
    """No image of a series contradicts another, and no scanner relies on one."""
    conflict = exists().where(instance.c.series_id == series.c.id, instance.c.conflict)
    undecided = commitment_request.c.state.in_([CommitmentState.WAITING, CommitmentState.REPORTING])
    relied_on = undecided | (commitment_reference.c.failure == 0) if early else undecided
    promised = exists().where(
        instance.c.series_id == series.c.id,
        instance.c.sop_uid == commitment_reference.c.sop_uid,
        commitment_reference.c.request_id == commitment_request.c.id,
        relied_on,
    )
    return ~conflict & ~promised
