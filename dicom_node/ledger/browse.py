"""Page by page through series, instances and the audit trail. Reads only.

Pages begin after a key, not after a count of rows: the thousandth costs as much as the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from dicom_node.ledger import feedback as opinions
from dicom_node.ledger import trail
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
from dicom_node.ledger.states import JobState, SeriesState
from dicom_node.ledger.tables import audit, delivery, feedback, instance, job, job_instance, series

PAGE = 50


@dataclass(frozen=True)
class SeriesFilter:
    """Which series are asked for; what is empty is not asked for.

    Attributes
    ----------
    state : str
        ``receiving``, or the state of one of its jobs.
    text : str
        The number of a series, or the beginning of its SeriesInstanceUID.
    feedback : str
        ``accepted`` or ``rejected``: what people think of one of its results.
    """

    state: str = ""
    calling_ae: str = ""
    text: str = ""
    feedback: str = ""


@dataclass(frozen=True)
class SeriesEntry:
    """A series with its jobs, oldest first; by job their deliveries, and what people think of the result."""

    series: SeriesView
    jobs: tuple[JobView, ...]
    deliveries: dict[int, tuple[DeliveryView, ...]]
    feedback: dict[int, Opinion] = field(default_factory=dict)


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
    database: Database, wanted: SeriesFilter, before: int | None = None, limit: int = PAGE
) -> list[SeriesEntry]:
    """Series, newest first, with numbers below ``before``."""
    columns = [series.c[name] for name in SeriesView.__annotations__]
    with database.reading() as connection:
        query = select(*columns).where(*_conditions(database, wanted, before))
        found = [SeriesView(**row) for row in connection.execute(_newest(query, wanted, limit)).mappings()]
        return _with_jobs(connection, found)


def entry(database: Database, series_id: int) -> SeriesEntry | None:
    """One series."""
    columns = [series.c[name] for name in SeriesView.__annotations__]
    with database.reading() as connection:
        rows = connection.execute(select(*columns).where(series.c.id == series_id)).mappings()
        found = _with_jobs(connection, [SeriesView(**row) for row in rows])
        return found[0] if found else None


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


def _conditions(database: Database, wanted: SeriesFilter, before: int | None) -> list[ColumnElement[bool]]:
    conditions = [] if before is None else [series.c.id < before]
    if wanted.calling_ae:
        conditions.append(series.c.calling_ae == wanted.calling_ae)
    if wanted.text:
        conditions.append(_named(database, wanted.text))
    if wanted.state == SeriesState.RECEIVING:
        conditions.append(series.c.state == SeriesState.RECEIVING)
    if wanted.feedback:
        said = select(feedback.c.series_id).where(feedback.c.latest, feedback.c.verdict == wanted.feedback)
        conditions.append(series.c.id.in_(said))
    return conditions


def _newest(query: Select[Any], wanted: SeriesFilter, limit: int) -> Select[Any]:
    """Order and limit; for a state of jobs along their index, so that a rare one among many is found at once."""
    if wanted.state not in {str(item) for item in JobState}:
        return query.order_by(series.c.id.desc()).limit(limit)
    joined = series.join(job, job.c.series_id == series.c.id)
    ordered = query.select_from(joined).where(job.c.state == wanted.state).distinct()
    return ordered.order_by(series.c.id.desc()).limit(limit)


def _named(database: Database, text: str) -> ColumnElement[bool]:
    """By number, or by the beginning of the UID: digits and dots sort alike in every database's bytes."""
    if text.isdecimal() and len(text) < 10:
        return series.c.id == int(text)
    uid = series.c.series_uid
    if database.engine.dialect.name == "postgresql":
        uid = uid.collate("C")  # type: ignore[assignment]
    return (uid >= text) & (uid < text + "\x7f")


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
