"""What people think of derived series: accepted or rejected, and why. All is kept; the latest word on a job counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from dicom_node.errors import InputError
from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.tables import feedback, job, series

LONGEST_REMARK = 500
PAGE = 50


class Verdict(StrEnum):
    """Whether somebody would read the derived series."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Fault(StrEnum):
    """Why a derived series is rejected; few enough to be counted."""

    ARTEFACT = "artefact"
    ANATOMY = "anatomy"
    DENSITY = "density"
    MISREGISTRATION = "misregistration"
    NOISE = "noise"
    OTHER = "other"


@dataclass(frozen=True)
class Opinion:
    """What somebody said about the result of one job."""

    id: int
    job_id: int
    series_id: int
    at: datetime
    actor: str
    verdict: str
    reason: str
    remark: str
    calling_ae: str
    model_name: str
    model_digest: str
    latest: bool


@dataclass(frozen=True)
class Tally:
    """How often a verdict counts: of one scanner, model, day (UTC) and reason."""

    calling_ae: str
    model_name: str
    model_digest: str
    day: str
    verdict: str
    reason: str
    number: int


@dataclass(frozen=True)
class OpinionFilter:
    """Which opinions that count are asked for: from the day ``since`` until before ``until``; empty: whichever."""

    calling_ae: str = ""
    model_digest: str = ""
    verdict: str = ""
    reason: str = ""
    since: str = ""
    until: str = ""


def give(database: Database, job_id: int, verdict: Verdict, fault: Fault | None, remark: str) -> bool:
    """Keep what the database's actor thinks of a job's result. False where it has none to think of.

    Raises
    ------
    InputError
        Rejected without a reason, accepted with one, or for another reason that the remark does not tell.
    """
    remark = " ".join(remark.split())[:LONGEST_REMARK]
    if (verdict is Verdict.REJECTED) != (fault is not None):
        raise InputError("say why it is rejected" if fault is None else "a reason belongs to a rejection alone")
    if fault is Fault.OTHER and not remark:
        raise InputError("say in a few words what the other reason is")
    with database.transaction() as connection:
        now = database_now(connection)
        columns = (job.c.series_id, series.c.calling_ae, job.c.model_name, job.c.model_digest)
        joined = job.join(series, series.c.id == job.c.series_id)
        made = (job.c.id == job_id) & job.c.derived_series_uid.is_not(None)
        row = connection.execute(select(*columns).select_from(joined).where(made)).mappings().first()
        if row is None:
            return False
        connection.execute(update(feedback).where(_latest_of([job_id])).values(latest=False))
        said = {"verdict": verdict, "reason": fault or "", "remark": remark}
        when = {"at": now, "day": now.date().isoformat()}
        connection.execute(
            insert(feedback).values(job_id=job_id, actor=database.actor, latest=True, **row, **said, **when)
        )
        why = ": ".join(filter(None, (fault, remark)))
        chain.append(connection, now, database.actor, f"feedback.{verdict}", f"job:{job_id}", reason=why)
        return True


def latest_of(connection: Connection, job_ids: Sequence[int]) -> dict[int, Opinion]:
    """The word that counts, by job."""
    return {item.job_id: item for item in _opinions(connection, _latest_of(job_ids))}


def everything_about(database: Database, series_id: int) -> list[Opinion]:
    """All that was said about a series, oldest first."""
    with database.reading() as connection:
        return _opinions(connection, feedback.c.series_id == series_id)[::-1]


def page(database: Database, wanted: OpinionFilter, before: int | None = None, limit: int = PAGE) -> list[Opinion]:
    """What was said and counts, newest first, with numbers below ``before``."""
    names = ("calling_ae", "model_digest", "verdict", "reason")
    conditions = [feedback.c[name] == getattr(wanted, name) for name in names if getattr(wanted, name)]
    conditions += [feedback.c.day >= wanted.since] if wanted.since else []
    conditions += [feedback.c.day < wanted.until] if wanted.until else []
    conditions += [] if before is None else [feedback.c.id < before]
    with database.reading() as connection:
        return _opinions(connection, feedback.c.latest, *conditions, limit=limit)


def tally(database: Database, since: str) -> list[Tally]:
    """What counts, from this day on (ISO 8601), counted by scanner, model, day and reason."""
    columns = [feedback.c[name] for name in Tally.__annotations__ if name != "number"]
    counted = feedback.c.latest & (feedback.c.day >= since)
    query = select(*columns, func.count().label("number")).where(counted).group_by(*columns).order_by(*columns)
    with database.reading() as connection:
        return [Tally(**row) for row in connection.execute(query).mappings()]


def _latest_of(job_ids: Sequence[int]) -> ColumnElement[bool]:
    return feedback.c.job_id.in_(job_ids) & feedback.c.latest


def _opinions(connection: Connection, *conditions: ColumnElement[Any], limit: int | None = None) -> list[Opinion]:
    """Newest first."""
    columns = [feedback.c[name] for name in Opinion.__annotations__]
    query = select(*columns).where(*conditions).order_by(feedback.c.id.desc()).limit(limit)
    return [Opinion(**row) for row in connection.execute(query).mappings()]
