"""What people ask the ledger. Reads only; the CLI and the console show these records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Select, case, desc, exists, func, select

from dicom_node.ledger.database import Database
from dicom_node.ledger.states import CommitmentState, JobState
from dicom_node.ledger.tables import (
    audit,
    commitment_reference,
    commitment_request,
    delivery,
    delivery_instance,
    job,
    series,
)
from dicom_node.plans import Plan
from dicom_node.records import ReplacedResult


@dataclass(frozen=True)
class JobView:
    """A job for people; ``figures`` holds the self-check and the timing."""

    id: int
    series_id: int
    series_uid: str
    study_uid: str
    calling_ae: str
    revision: int
    label: str
    state: str
    reason: str
    slices: int
    thin_slices: int | None
    model_name: str
    model_digest: str
    rule: str
    plan: Plan
    priority: int
    progress: float
    attempt: int
    result: str | None
    derived_series_uid: str | None
    figures: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime

    @property
    def has_result(self) -> bool:
        """Whether its result was stored, and not removed since."""
        return bool(self.result)


@dataclass(frozen=True)
class DeliveryView:
    """A delivery for people, with how many instances the PACS answered as stored."""

    id: int
    destination: str
    state: str
    reason: str
    verified_by: str | None
    stored: int
    total: int


@dataclass(frozen=True)
class SeriesView:
    """A series for people."""

    id: int
    series_uid: str
    study_uid: str
    calling_ae: str
    state: str
    revision: int
    instances: int
    first_heard_at: datetime
    last_heard_at: datetime


@dataclass(frozen=True)
class CommitmentRequestView:
    """A scanner's storage commitment request for people, with how many of its instances were decided on and how."""

    id: int
    calling_ae: str
    state: str
    reason: str
    asked_at: datetime
    updated_at: datetime
    attempt: int
    committed: int
    failed: int
    total: int


@dataclass(frozen=True)
class AuditView:
    """One row of the audit trail."""

    at: datetime
    actor: str
    event: str
    subject: str
    detail: str


def counts(database: Database) -> dict[str, int]:
    """Number of series still arriving and of jobs in each state."""
    with database.reading() as connection:
        receiving = connection.execute(select(func.count()).where(series.c.state == "receiving")).scalar_one()
        by_state = connection.execute(select(job.c.state, func.count().label("number")).group_by(job.c.state)).all()
    return {"receiving": receiving} | {row.state: row.number for row in by_state}


def jobs(database: Database, state: str | None = None, limit: int = 50, before: int | None = None) -> list[JobView]:
    """Newest jobs first, of one state or all, with numbers below ``before``."""
    query = jobs_query().order_by(desc(job.c.id)).limit(limit)
    if state is not None:
        query = query.where(job.c.state == state)
    if before is not None:
        query = query.where(job.c.id < before)
    with database.reading() as connection:
        return [JobView(**row) for row in connection.execute(query).mappings()]


def job_by_id(database: Database, job_id: int) -> JobView | None:
    """One job."""
    with database.reading() as connection:
        row = connection.execute(jobs_query().where(job.c.id == job_id)).mappings().first()
        return None if row is None else JobView(**row)


def jobs_of(database: Database, series_id: int) -> list[JobView]:
    """The jobs of a series, oldest first."""
    with database.reading() as connection:
        query = jobs_query().where(job.c.series_id == series_id).order_by(job.c.id)
        return [JobView(**row) for row in connection.execute(query).mappings()]


def find_series(database: Database, key: str) -> list[SeriesView]:
    """Series by number or by the beginning of their SeriesInstanceUID."""
    columns = [series.c[name] for name in SeriesView.__annotations__]
    by_uid = series.c.series_uid.startswith(key, autoescape=True)
    condition = by_uid | (series.c.id == int(key)) if key.isdecimal() and len(key) < 10 else by_uid
    with database.reading() as connection:
        query = select(*columns).where(condition).order_by(series.c.id).limit(20)
        return [SeriesView(**row) for row in connection.execute(query).mappings()]


def deliveries_of(database: Database, job_id: int) -> list[DeliveryView]:
    """The deliveries of a job with their counts."""
    query = deliveries_query().where(delivery.c.job_id == job_id)
    with database.reading() as connection:
        return [DeliveryView(**row) for row in connection.execute(query).mappings()]


def deliveries_query(more: Sequence[Column[Any]] = ()) -> Select[Any]:
    """What a ``DeliveryView`` is made of, and more columns of the delivery."""
    stored = func.count().filter(delivery_instance.c.stored)
    return (
        select(
            delivery.c.id, delivery.c.destination, delivery.c.state, delivery.c.reason, delivery.c.verified_by,
            stored.label("stored"), func.count().label("total"), *more,
        )
        .join(delivery_instance, delivery_instance.c.delivery_id == delivery.c.id)
        .group_by(delivery.c.id)
        .order_by(delivery.c.id)
    )  # fmt: skip


def commitment_requests(
    database: Database, *states: CommitmentState, limit: int = 50, before: int | None = None
) -> list[CommitmentRequestView]:
    """Newest requests first, of these states or all, with numbers below ``before``."""
    own = [name for name in CommitmentRequestView.__annotations__ if name in commitment_request.c]
    columns, failure = [commitment_request.c[name] for name in own], commitment_reference.c.failure
    sums = (
        func.count(case((failure == 0, 1))).label("committed"),
        func.count(case((failure != 0, 1))).label("failed"),
        func.count().label("total"),
    )
    query = (
        select(*columns, *sums)
        .join(commitment_reference, commitment_reference.c.request_id == commitment_request.c.id)
        .group_by(commitment_request.c.id)
        .order_by(desc(commitment_request.c.id))
        .limit(limit)
    )
    if states:
        query = query.where(commitment_request.c.state.in_(states))
    if before is not None:
        query = query.where(commitment_request.c.id < before)
    with database.reading() as connection:
        return [CommitmentRequestView(**row) for row in connection.execute(query).mappings()]


def audit_of(database: Database, subjects: list[str]) -> list[AuditView]:
    """Audit rows about these subjects, for example ``series:3`` and ``job:7``."""
    columns = [audit.c[name] for name in AuditView.__annotations__]
    with database.reading() as connection:
        query = select(*columns).where(audit.c.subject.in_(subjects)).order_by(audit.c.seq)
        return [AuditView(**row) for row in connection.execute(query).mappings()]


def replaced_by(database: Database, job_id: int) -> tuple[ReplacedResult, ...]:
    """Superseded results that a job stands in for and of which some PACS has something, oldest first.

    Of the same series: those of the same stack, and those of stacks that the series has no longer. What another stack's
    job replaces is that job's to tell: its own result may never come.
    """
    with database.reading() as connection:
        mine = connection.execute(select(job.c.series_id, job.c.label).where(job.c.id == job_id)).one()
        superseded = job.c.state == JobState.SUPERSEDED
        stacks = select(job.c.label).where(job.c.series_id == mine.series_id, ~superseded)
        taken = delivery_instance.join(delivery, delivery.c.id == delivery_instance.c.delivery_id)
        query = (
            select(job.c.id, job.c.job_key, job.c.thin_slices)
            .where(
                job.c.series_id == mine.series_id, superseded,
                (job.c.label == mine.label) | job.c.label.not_in(stacks),
                exists().select_from(taken).where(delivery.c.job_id == job.c.id, delivery_instance.c.stored),
            )
            .order_by(job.c.id)
        )  # fmt: skip
        uids = select(delivery_instance.c.sop_uid).distinct().select_from(taken).order_by(delivery_instance.c.sop_uid)
        return tuple(
            ReplacedResult(
                row.job_key,
                row.thin_slices or 0,
                tuple(connection.execute(uids.where(delivery.c.job_id == row.id)).scalars()),
            )
            for row in connection.execute(query).all()
        )


def jobs_query() -> Select[Any]:
    """What a ``JobView`` is made of."""
    own = [job.c[name] for name in JobView.__annotations__ if name not in ("series_uid", "study_uid", "calling_ae")]
    joined = job.join(series, series.c.id == job.c.series_id)
    return select(*own, series.c.series_uid, series.c.study_uid, series.c.calling_ae).select_from(joined)
