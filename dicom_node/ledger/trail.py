"""The audit trail from its beginning to its end, a page at a time: no reader keeps writers waiting for long."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Function, func, select

from dicom_node.ledger import chain
from dicom_node.ledger.chain import AuditRow
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.tables import audit

PAGE = 1000
# The subject of rows about the trail itself.
TRAIL = "audit"


@dataclass(frozen=True)
class Head:
    """The newest row: its number, its hash, and when it was written."""

    seq: int
    hash: str
    at: datetime


@dataclass(frozen=True)
class Span:
    """Rows from ``first`` to ``last``; empty where ``last`` is less."""

    first: int
    last: int


def head(database: Database) -> Head | None:
    """The newest row; None of an empty trail."""
    with database.reading() as connection:
        query = select(audit.c.seq, audit.c.hash, audit.c.at).order_by(audit.c.seq.desc()).limit(1)
        row = connection.execute(query).first()
        return None if row is None else Head(*row)


def rows(database: Database, span: Span, size: int = PAGE) -> Iterator[AuditRow]:
    """The rows of a span in their order, each page read in a transaction of its own."""
    after = span.first - 1
    while found := page(database, after, size, span.last):
        yield from found
        after = found[-1].seq


def page(database: Database, after: int, size: int, last: int | None = None) -> list[AuditRow]:
    """The next rows after a number, none of them beyond ``last``."""
    upto = [] if last is None else [audit.c.seq <= last]
    with database.reading() as connection:
        query = select(audit).where(audit.c.seq > after, *upto).order_by(audit.c.seq).limit(size)
        return [AuditRow(**row) for row in connection.execute(query).mappings()]


def hashes(database: Database, numbers: Sequence[int]) -> dict[int, str]:
    """Hashes of these rows by their number, of those that there are."""
    with database.reading() as connection:
        query = select(audit.c.seq, audit.c.hash).where(audit.c.seq.in_(numbers))
        return {row.seq: row.hash for row in connection.execute(query)}


def span_of(database: Database, since: datetime | None = None, until: datetime | None = None) -> Span:
    """The rows written from ``since`` on and before ``until``; None: from the first, to the last there is now.

    Found along the rows' numbers, which rise with their times but for a database's clock that was set back.
    """
    with database.reading() as connection:
        first = _end(connection, func.min) if since is None else _first_from(connection, since)
        last = _end(connection, func.max) if until is None else _first_from(connection, until) - 1
        return Span(first, last)


def unread(database: Database, seq: int) -> tuple[int, datetime | None]:
    """About how many rows come after a number, and when the oldest of them was written."""
    with database.reading() as connection:
        query = select(audit.c.seq, audit.c.at).where(audit.c.seq > seq).order_by(audit.c.seq).limit(1)
        row = connection.execute(query).first()
        return (0, None) if row is None else (_end(connection, func.max) - row.seq + 1, row.at)


def note(database: Database, event: str, subject: str = TRAIL, **detail: Any) -> None:
    """Write down what changes nothing else: that someone looked, used the trail itself, or found something with it."""
    with database.transaction() as connection:
        chain.append(connection, database_now(connection), database.actor, event, subject, **detail)


def _end(connection: Connection, which: Callable[..., Function[Any]]) -> int:
    return connection.execute(select(which(audit.c.seq))).scalar() or 0


def _first_from(connection: Connection, moment: datetime) -> int:
    """Number of the first row written at a moment or later; one more than the last where there is none."""
    low, high = _end(connection, func.min), _end(connection, func.max) + 1
    while low < high:
        middle = (low + high) // 2
        query = select(audit.c.seq, audit.c.at).where(audit.c.seq >= middle).order_by(audit.c.seq).limit(1)
        row = connection.execute(query).one()
        if row.at < moment:
            low = row.seq + 1
        else:
            high = middle
    return low
