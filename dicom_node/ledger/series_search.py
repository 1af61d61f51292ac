"""Which series a page holds: filters, orders, and the place where a page begins. Reads only.

A page begins beside a key, the value that is sorted by and the series' number, never after a count of rows. Moments
and durations lie in the order of an index. States and senders are walked one after the other, each along its index and
the newest series first: so they come by urgency, and not by the alphabet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, FromClause, exists, func, literal, select, tuple_

from dicom_node.ledger.states import JobState, SeriesState
from dicom_node.ledger.tables import delivery, feedback, job, series

# Which of several states of a series' jobs a person should see first.
ATTENTION = (
    "failed", "held", "parked", "running", "sending", "restored", "queued", "sent", "verified", "cancelled", "skipped",
    "superseded",
)  # fmt: skip
# The states that series are walked by. What is superseded stands beside the job that took its place.
WALKED = (*ATTENTION[:7], str(SeriesState.RECEIVING), *ATTENTION[7:-1])
AFTER_EVERY_DIGIT = "\x7f"
FEW = 5000


class Sort(StrEnum):
    """What series are sorted by."""

    NUMBER = "number"  # in the order they came
    LAST_IMAGE = "last"
    DURATION = "duration"  # of the latest restoration; series without one are left out
    STATE = "state"  # by urgency
    SCANNER = "scanner"


@dataclass(frozen=True)
class Order:
    """How series are sorted; ``reverse`` turns what a person expects first into the last.

    Expected first are the newest, the longest, the most urgent, and senders by the alphabet.
    """

    sort: Sort = Sort.NUMBER
    reverse: bool = False


@dataclass(frozen=True)
class Key:
    """The place of a series in an order: the value that it is sorted by, and its number."""

    value: Any
    series_id: int

    def __str__(self) -> str:
        """For a link: ``61.5_17``; by number alone ``17``."""
        value = self.value.astimezone(UTC).isoformat() if isinstance(self.value, datetime) else self.value
        return str(self.series_id) if value is None else f"{value}_{self.series_id}"


@dataclass(frozen=True)
class SeriesFilter:
    """Which series are asked for; what is empty is not asked for.

    Attributes
    ----------
    state : str
        ``receiving``, or the state of one of its jobs.
    text : str
        The number of a series, or the beginning of its SeriesInstanceUID or StudyInstanceUID.
    feedback : str
        ``accepted`` or ``rejected``: what people think of one of its results.
    destination, model, rule : str
        Of one of its jobs.
    since, until : date or None
        First and last day (UTC) of its last image.
    """

    state: str = ""
    calling_ae: str = ""
    text: str = ""
    feedback: str = ""
    destination: str = ""
    model: str = ""
    rule: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Choices:
    """Names that series can be filtered by, as the ledger knows them."""

    destinations: tuple[str, ...]
    models: tuple[str, ...]
    rules: tuple[str, ...]


def key_of(order: Order, text: str) -> Key:
    """The key that a link holds. ValueError where it is none of this order."""
    value, _, number = text.rpartition("_")
    if not (number.isdecimal() and number.isascii() and len(number) < 16):
        raise ValueError(text)
    return Key(_value_of(order.sort, value), int(number))


def find(
    connection: Connection, wanted: SeriesFilter, order: Order, beside: Key | None, limit: int, *, back: bool = False
) -> list[Key]:
    """Keys of the series of a page, in its order.

    Parameters
    ----------
    beside : Key or None
        The page begins after it; None: with the first of all.
    back : bool
        The page ends before ``beside`` instead.
    """
    if order.sort in (Sort.STATE, Sort.SCANNER):
        found = _walked(connection, wanted, order, beside, limit, back=back)
    else:
        found = _along(connection, wanted, order, beside, limit, back=back)
    return found[::-1] if back else found


def choices(connection: Connection) -> Choices:
    """What there is to choose from: one step along an index for each."""
    columns = (delivery.c.destination, job.c.model_name, job.c.rule)
    return Choices(*(tuple(filter(None, distinct(connection, column))) for column in columns))


def distinct(connection: Connection, column: Column[str]) -> list[str]:
    """Every value of an indexed column, by the alphabet; one step along the index for each."""
    first = select(func.min(column).label("value")).cte(f"every_{column.name}", recursive=True)
    following = select(func.min(column)).where(column > first.c.value).correlate(first).scalar_subquery()
    values = first.union_all(select(following).where(first.c.value.is_not(None)))
    return list(connection.execute(select(values.c.value).where(values.c.value.is_not(None))).scalars())


def _value_of(sort: Sort, text: str) -> str | float | datetime | None:
    if sort is Sort.NUMBER:
        return None
    if sort is Sort.DURATION:
        return float(text)
    if sort is not Sort.LAST_IMAGE:
        return text
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    return at


@dataclass(frozen=True)
class _Step:
    """Where to look for series: these tables, this column as the number, and what must hold."""

    tables: FromClause
    number: Column[int]
    condition: ColumnElement[bool]


def _along(
    connection: Connection, wanted: SeriesFilter, order: Order, beside: Key | None, limit: int, *, back: bool
) -> list[Key]:
    """Along the index of the value: both it and the number fall, or both rise."""
    tables, columns = _valued(order.sort)
    falls = order.reverse == back
    query = select(*columns).select_from(tables).where(*_conditions(connection, wanted))
    if beside is not None:
        place = [item for item in (beside.value, beside.series_id) if item is not None]
        here = tuple_(*(literal(item, column.type) for item, column in zip(place, columns, strict=True)))
        query = query.where(tuple_(*columns) < here if falls else tuple_(*columns) > here)
    few = _are_few(connection, wanted, order.sort)
    asked = [func.coalesce(item, item) for item in columns] if few else columns
    ordered = query.order_by(*(item.desc() if falls else item.asc() for item in asked)).limit(limit)
    return [Key(row[0] if len(row) > 1 else None, row[-1]) for row in connection.execute(ordered)]


def _valued(sort: Sort) -> tuple[FromClause, list[Column[Any]]]:
    """Tables of an order, and the columns of its index."""
    if sort is Sort.NUMBER:
        return series, [series.c.id]
    if sort is Sort.LAST_IMAGE:
        return series, [series.c.last_heard_at, series.c.id]
    latest, later = job.alias("latest"), job.alias("later")
    replaced = exists().where(later.c.series_id == latest.c.series_id, later.c.id > latest.c.id)
    restored = (latest.c.series_id == series.c.id) & latest.c.seconds.is_not(None) & ~replaced
    return series.join(latest, restored), [latest.c.seconds, latest.c.series_id]


def _walked(
    connection: Connection, wanted: SeriesFilter, order: Order, beside: Key | None, limit: int, *, back: bool
) -> list[Key]:
    """One state or sender after the other, each with its newest series first."""
    steps = _states(connection) if order.sort is Sort.STATE else _senders(connection, wanted)
    names = list(steps) if order.reverse == back else list(steps)[::-1]
    if beside is not None and beside.value in names:
        names = names[names.index(beside.value) :]
    conditions, few = _conditions(connection, wanted), _are_few(connection, wanted, order.sort)
    found: list[Key] = []
    for name in names:
        step = steps[name]
        query = select(step.number).select_from(step.tables).where(step.condition, *conditions)
        if beside is not None and name == beside.value:
            # of both columns, though they are equal: else the database may begin one of the two tables at its end
            for column in {step.number, series.c.id}:
                query = query.where(column > beside.series_id if back else column < beside.series_id)
        number = step.number + 0 if few else step.number
        ordered = query.order_by(number.asc() if back else number.desc()).limit(limit - len(found))
        found += [Key(name, number) for number in connection.execute(ordered).scalars()]
        if len(found) >= limit:
            break
    return found


def _are_few(connection: Connection, wanted: SeriesFilter, sort: Sort) -> bool:
    """Whether days or a UID leave so few series that they are better sorted than looked for along an index.

    The databases misjudge that, so an order that no index is in (``+ 0``, ``coalesce``) tells them.
    """
    narrow = [] if sort is Sort.LAST_IMAGE else _of_days(wanted)  # days lie side by side in the order of that index
    narrow += [_named(connection, wanted.text)] if wanted.text else []
    if not narrow:
        return False
    within = select(series.c.id).where(*narrow).limit(FEW + 1).subquery()
    return connection.execute(select(func.count()).select_from(within)).scalar_one() <= FEW


def _states(connection: Connection) -> Mapping[str, _Step]:
    """States that there are, by urgency."""
    known = {*distinct(connection, job.c.state), str(SeriesState.RECEIVING)}
    return {name: _state(name) for name in WALKED if name in known}


@cache
def _state(name: str) -> _Step:
    """A series stands once, under the most urgent of its jobs, as people are shown it."""
    arriving = series.c.state == SeriesState.RECEIVING
    if name == SeriesState.RECEIVING:
        return _Step(series, series.c.id, arriving)
    mine, other = job.alias("mine"), job.alias("other")
    more_urgent = other.c.state.in_(ATTENTION[: ATTENTION.index(name)])
    before = more_urgent | ((other.c.state == name) & (other.c.id > mine.c.id))
    condition = (mine.c.state == name) & ~arriving & ~exists().where(other.c.series_id == mine.c.series_id, before)
    return _Step(mine.join(series, series.c.id == mine.c.series_id), mine.c.series_id, condition)


def _senders(connection: Connection, wanted: SeriesFilter) -> Mapping[str, _Step]:
    names = [wanted.calling_ae] if wanted.calling_ae else distinct(connection, series.c.calling_ae)
    return {name: _Step(series, series.c.id, series.c.calling_ae == name) for name in names}


def _conditions(connection: Connection, wanted: SeriesFilter) -> list[ColumnElement[bool]]:
    conditions = [series.c.calling_ae == wanted.calling_ae] if wanted.calling_ae else []
    if wanted.text:
        conditions.append(_named(connection, wanted.text))
    if wanted.state == SeriesState.RECEIVING:
        conditions.append(series.c.state == SeriesState.RECEIVING)
    if wanted.feedback:
        said = select(feedback.c.series_id).where(feedback.c.latest, feedback.c.verdict == wanted.feedback)
        conditions.append(series.c.id.in_(said))
    return [*conditions, *_of_days(wanted), *_of_jobs(wanted)]


def _of_days(wanted: SeriesFilter) -> list[ColumnElement[bool]]:
    conditions = [series.c.last_heard_at >= _midnight(wanted.since)] if wanted.since else []
    if wanted.until:
        conditions.append(series.c.last_heard_at < _midnight(wanted.until) + timedelta(days=1))
    return conditions


def _of_jobs(wanted: SeriesFilter) -> list[ColumnElement[bool]]:
    """What one job of the series must be."""
    state = wanted.state if wanted.state in {str(item) for item in JobState} else ""
    asked = {job.c.state: state, job.c.model_name: wanted.model, job.c.rule: wanted.rule}
    conditions = [column == value for column, value in asked.items() if value]
    if wanted.destination:
        conditions += [delivery.c.job_id == job.c.id, delivery.c.destination == wanted.destination]
    return [exists().where(job.c.series_id == series.c.id, *conditions)] if conditions else []


def _named(connection: Connection, text: str) -> ColumnElement[bool]:
    """By number, or by the beginning of a UID, compared byte by byte as the indexes on them are."""
    if text.isdecimal() and len(text) < 10:
        return series.c.id == int(text)
    least, below = (">=", "<") if connection.dialect.name == "sqlite" else ("~>=~", "~<~")
    by_series, by_study = (
        column.op(least, is_comparison=True)(text) & column.op(below, is_comparison=True)(text + AFTER_EVERY_DIGIT)
        for column in (series.c.series_uid, series.c.study_uid)
    )
    return by_series | by_study


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
