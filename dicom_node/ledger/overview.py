"""What the console's first page asks the ledger: how much moves, how fast, and what waits. Reads only.

Every query runs along an index, so that a million series cost no more than a hundred.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, String, cast, func, literal, select, union_all

from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.jobs import NOWHERE
from dicom_node.ledger.series_search import distinct
from dicom_node.ledger.states import DeliveryState, JobState, SeriesState
from dicom_node.ledger.tables import audit, delivery, job, series

# Where a job has nothing more to do for its PACSs, or none to go to.
DONE = (JobState.VERIFIED, JobState.SENT, JobState.RESTORED)
UNVERIFIED = (JobState.RESTORED, JobState.SENDING, JobState.SENT)
AT_MOST = 20_000
COUNTED = 10_000


@dataclass(frozen=True)
class Finished:
    """A job that came to its end: when, and how many seconds after the last image of its series."""

    at: datetime
    seconds: float


@dataclass(frozen=True)
class Waiting:
    """The series that waits longest for something, and since when."""

    series_id: int
    since: datetime


@dataclass(frozen=True)
class Oldest:
    """What waits longest to be restored, and what waits longest to be confirmed by a PACS."""

    waiting: Waiting | None
    unverified: Waiting | None


@dataclass(frozen=True)
class Running:
    """A restoration under way."""

    job_id: int
    series_id: int
    calling_ae: str
    slices: int
    model_name: str
    progress: float
    started_at: datetime
    owner: str


@dataclass(frozen=True)
class Scanner:
    """A sender: when it was last heard, and with which series."""

    ae_title: str
    last_heard_at: datetime
    series_id: int


def now(database: Database) -> datetime:
    """The database's clock, by which all times here are measured."""
    with database.reading() as connection:
        return database_now(connection)


def counts(database: Database) -> dict[str, int]:
    """Series that arrive and jobs in each state, of each ``COUNTED`` at the most: where there are more, who counts."""
    by_state = [
        select(literal(str(state)).label("state"), func.count().label("number")).select_from(
            select(job.c.id).where(job.c.state == state).limit(COUNTED).subquery()
        )
        for state in JobState
    ]
    arriving = select(func.count()).where(series.c.state == SeriesState.RECEIVING)
    with database.reading() as connection:
        found = {"receiving": connection.execute(arriving).scalar_one()}
        return found | {row.state: row.number for row in connection.execute(union_all(*by_state)) if row.number}


def finished(database: Database, within_s: float) -> list[Finished]:
    """Jobs that came to their end within this time, the latest first; seconds count for the current revision alone."""
    with database.reading() as connection:
        since = database_now(connection) - timedelta(seconds=within_s)
        joined = job.join(series, (series.c.id == job.c.series_id) & (series.c.revision == job.c.revision))
        found = (job.c.state.in_(DONE)) & (job.c.updated_at >= since)
        query = select(job.c.updated_at, series.c.last_heard_at).select_from(joined).where(found)
        rows = connection.execute(query.order_by(job.c.updated_at.desc()).limit(AT_MOST))
        return [Finished(row.updated_at, (row.updated_at - row.last_heard_at).total_seconds()) for row in rows]


def oldest(database: Database) -> Oldest:
    """What waits longest."""
    with database.reading() as connection:
        queued = _longest(connection, job.c.state == JobState.QUEUED)
        # A result that has no PACS to go to waits for nothing.
        unverified = [_longest(connection, (job.c.state == state) & (job.c.reason != NOWHERE)) for state in UNVERIFIED]
    found = [item for item in unverified if item is not None]
    return Oldest(queued, min(found, key=lambda item: item.since, default=None))


def running(database: Database) -> list[Running]:
    """Restorations under way, with the time of their latest claim."""
    subject = literal("job:") + cast(job.c.id, String)
    started = (
        select(func.max(audit.c.at)).where(audit.c.subject == subject, audit.c.event == "job.running").scalar_subquery()
    )
    own = [job.c[name] for name in ("slices", "model_name", "progress", "owner", "series_id", "updated_at")]
    joined = job.join(series, series.c.id == job.c.series_id)
    query = select(*own, job.c.id.label("job_id"), series.c.calling_ae, started.label("started_at"))
    with database.reading() as connection:
        rows = connection.execute(query.select_from(joined).where(job.c.state == JobState.RUNNING).order_by(job.c.id))
        return [
            Running(
                **{name: row[name] for name in Running.__annotations__ if name not in ("started_at", "owner")},
                started_at=row["started_at"] or row["updated_at"],
                owner=row["owner"] or "",
            )
            for row in rows.mappings()
        ]


def scanners(database: Database) -> list[Scanner]:
    """Every AE title that ever sent something, the most recent first; one step along the index for each."""
    with database.reading() as connection:
        names = distinct(connection, series.c.calling_ae)
        found = [_last_of(connection, name) for name in names]
    return sorted(found, key=lambda item: item.last_heard_at, reverse=True)


def waiting_for(database: Database) -> dict[str, int]:
    """How many deliveries each PACS has still to get or to confirm, parked ones too."""
    open_ = delivery.c.state.in_([state for state in DeliveryState if state is not DeliveryState.VERIFIED])
    query = select(delivery.c.destination, func.count().label("number")).where(open_)
    with database.reading() as connection:
        return {row.destination: row.number for row in connection.execute(query.group_by(delivery.c.destination))}


def _longest(connection: Connection, condition: ColumnElement[bool]) -> Waiting | None:
    query = select(job.c.series_id, job.c.updated_at).where(condition).order_by(job.c.updated_at).limit(1)
    row = connection.execute(query).first()
    return None if row is None else Waiting(*row)


def _last_of(connection: Connection, ae_title: str) -> Scanner:
    mine = select(series.c.last_heard_at, series.c.id).where(series.c.calling_ae == ae_title)
    row = connection.execute(mine.order_by(series.c.last_heard_at.desc()).limit(1)).one()
    return Scanner(ae_title, row.last_heard_at, row.id)
