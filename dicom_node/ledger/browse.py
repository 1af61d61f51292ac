"""Page by page through series, instances and the audit trail. Reads only.

Pages begin after a key, not after a count of rows: the thousandth costs as much as the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select

from dicom_node.ledger import feedback as opinions
from dicom_node.ledger import series_search, trail
from dicom_node.ledger.database import Database
from dicom_node.ledger.feedback import Opinion
from dicom_node.ledger.queries import (
    AuditView,
    DeliveryView,
    JobView,
    SeriesView,
    audit_of,
    deliveries_query,
    jobs_query,
)
from dicom_node.ledger.series_search import Choices, Key, Order
from dicom_node.ledger.series_search import SeriesFilter as SeriesFilter
from dicom_node.ledger.tables import audit, delivery, instance, job, job_instance, series

PAGE = 50
NEWEST = Order()


@dataclass(frozen=True)
class SeriesEntry:
    """A series with its jobs, oldest first; by job their deliveries, and what people think of the result."""

    series: SeriesView
    jobs: tuple[JobView, ...]
    deliveries: dict[int, tuple[DeliveryView, ...]]
    feedback: dict[int, Opinion] = field(default_factory=dict)


@dataclass(frozen=True)
class SeriesLeaf:
    """A page of series; ``newer`` and ``older`` are the keys that the pages beside it end and begin at, if any are."""

    entries: tuple[SeriesEntry, ...]
    newer: Key | None
    older: Key | None


@dataclass(frozen=True)
class InstanceView:
    """A received image for people: no more of it than the ledger holds."""

    id: int
    sop_uid: str
    sha256: str
    path: str
    size: int
    transfer_syntax_uid: str
    calling_ae: str
    peer_ip: str
    received_at: datetime
    conflict: bool


@dataclass(frozen=True)
class AuditFilter:
    """Which rows of the audit trail are asked for; what is empty is not asked for.

    Attributes
    ----------
    since, until : datetime or None
        Written from the one moment on, and before the other.
    """

    event: str = ""
    actor: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class AuditEntry:
    """A row of the audit trail with its number."""

    seq: int
    at: datetime
    actor: str
    event: str
    subject: str
    detail: str


def series_page(
    database: Database,
    wanted: SeriesFilter,
    before: int | Key | None = None,
    limit: int = PAGE,
    order: Order = NEWEST,
    *,
    back: bool = False,
) -> list[SeriesEntry]:
    """Series in an order, the newest first: those after the key ``before``, or with ``back`` those that lead to it."""
    with database.reading() as connection:
        beside = Key(None, before) if isinstance(before, int) else before
        return _entries(connection, series_search.find(connection, wanted, order, beside, limit, back=back))


def series_leaf(
    database: Database, wanted: SeriesFilter, order: Order, beside: Key | None, *, back: bool = False
) -> SeriesLeaf:
    """A page of series with the keys of those beside it."""
    with database.reading() as connection:
        found = series_search.find(connection, wanted, order, beside, PAGE + 1, back=back)
        more = len(found) > PAGE
        keys = found[-PAGE:] if back else found[:PAGE]
        older = keys[-1] if keys and (more or back) else None
        newer = keys[0] if keys and (more if back else beside is not None) else None
        return SeriesLeaf(tuple(_entries(connection, keys)), newer, older)


def series_choices(database: Database) -> Choices:
    """Names that series can be filtered by."""
    with database.reading() as connection:
        return series_search.choices(connection)


def entry(database: Database, series_id: int) -> SeriesEntry | None:
    """One series."""
    found = entries(database, [series_id])
    return found[0] if found else None


def entries(database: Database, series_ids: Sequence[int]) -> list[SeriesEntry]:
    """These series, in the order of their numbers; those that there are not are left out."""
    columns = [series.c[name] for name in SeriesView.__annotations__]
    with database.reading() as connection:
        query = select(*columns).where(series.c.id.in_(series_ids)).order_by(series.c.id)
        return _with_jobs(connection, [SeriesView(**row) for row in connection.execute(query).mappings()])


def instances_of(database: Database, series_id: int, limit: int = PAGE) -> list[InstanceView]:
    """Images of a series in the order they came."""
    columns = [instance.c[name] for name in InstanceView.__annotations__]
    with database.reading() as connection:
        query = select(*columns).where(instance.c.series_id == series_id).order_by(instance.c.id).limit(limit)
        return [InstanceView(**row) for row in connection.execute(query).mappings()]


def sources_of(database: Database, job_id: int) -> list[tuple[str, str]]:
    """Path and sha256 of every image that goes into a job."""
    joined = job_instance.join(instance, instance.c.id == job_instance.c.instance_id)
    query = select(instance.c.path, instance.c.sha256).select_from(joined).where(job_instance.c.job_id == job_id)
    with database.reading() as connection:
        return [(row.path, row.sha256) for row in connection.execute(query)]


def audit_page(
    database: Database, wanted: AuditFilter, before: int | None = None, limit: int = PAGE
) -> list[AuditEntry]:
    """Rows of the audit trail, newest first, with numbers below ``before``."""
    columns = [audit.c[name] for name in AuditEntry.__annotations__]
    equal = [audit.c[name] == value for name in ("event", "actor", "subject") if (value := getattr(wanted, name))]
    within = [] if before is None else [audit.c.seq < before]
    if wanted.since or wanted.until:
        span = trail.span_of(database, wanted.since, wanted.until)
        within.append(audit.c.seq.between(span.first, span.last))
    with database.reading() as connection:
        query = select(*columns).where(*equal, *within).order_by(audit.c.seq.desc()).limit(limit)
        return [AuditEntry(**row) for row in connection.execute(query).mappings()]


def history_of(database: Database, one: SeriesEntry) -> list[AuditView]:
    """The audit rows of a series, its jobs and their deliveries, oldest first."""
    subjects = [f"series:{one.series.id}", *(f"job:{item.id}" for item in one.jobs)]
    subjects += [f"delivery:{item.id}" for items in one.deliveries.values() for item in items]
    return audit_of(database, subjects)


def _entries(connection: Connection, keys: Sequence[Key]) -> list[SeriesEntry]:
    """The series of these keys, in their order."""
    columns = [series.c[name] for name in SeriesView.__annotations__]
    numbers = [item.series_id for item in keys]
    rows = connection.execute(select(*columns).where(series.c.id.in_(numbers))).mappings()
    found = {row["id"]: SeriesView(**row) for row in rows}
    return _with_jobs(connection, [found[number] for number in numbers if number in found])


def _with_jobs(connection: Connection, found: Sequence[SeriesView]) -> list[SeriesEntry]:
    numbers = [item.id for item in found]
    query = jobs_query().where(job.c.series_id.in_(numbers)).order_by(job.c.id)
    jobs = [JobView(**row) for row in connection.execute(query).mappings()]
    sent = deliveries_query([delivery.c.job_id]).where(delivery.c.job_id.in_([item.id for item in jobs]))
    deliveries: dict[int, list[DeliveryView]] = {}
    for row in connection.execute(sent).mappings():
        view = DeliveryView(**{name: row[name] for name in DeliveryView.__annotations__})
        deliveries.setdefault(row["job_id"], []).append(view)
    said = opinions.latest_of(connection, [item.id for item in jobs])
    return [
        SeriesEntry(
            item,
            tuple(one for one in jobs if one.series_id == item.id),
            {one.id: tuple(deliveries.get(one.id, ())) for one in jobs if one.series_id == item.id},
            {one.id: said[one.id] for one in jobs if one.series_id == item.id and one.id in said},
        )
        for item in found
    ]
