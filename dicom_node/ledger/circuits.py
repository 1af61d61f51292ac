"""A circuit for each PACS: once nothing answers there, one delivery at a time tries whether it is back.

A circuit without ``open_until`` is closed: deliveries go. With one that lies ahead it is open: none goes. Once that
time has come, one delivery goes as a probe and moves the time on for as long as its lease, so that the others wait for
what it finds out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, insert, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.mirror import settle
from dicom_node.ledger.states import DeliveryState
from dicom_node.ledger.tables import circuit, delivery


@dataclass(frozen=True)
class CircuitView:
    """A PACS that does not answer."""

    destination: str
    failures: int
    open_until: datetime
    reason: str


def failed(database: Database, destination: str, reason: str, allowed: int, open_s: Callable[[int], float]) -> bool:
    """No association with a PACS came about. True when its circuit is open now.

    Parameters
    ----------
    allowed : int
        Failures in a row that open it.
    open_s : callable
        Seconds to leave it open, by how often it has opened in a row, from 1.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        failures = _count(connection, destination, reason, now)
        if failures < allowed:
            return False
        wait_s = open_s(failures - allowed + 1)
        values = {"open_until": now + timedelta(seconds=wait_s), "updated_at": now}
        connection.execute(update(circuit).where(circuit.c.destination == destination).values(**values))
        chain.append(
            connection, now, database.actor, "circuit.opened", subject_of(destination),
            destination=destination, failures=failures, seconds=round(wait_s, 1), reason=reason,
        )  # fmt: skip
        return True


def worked(database: Database, destination: str) -> bool:
    """A PACS answered: close its circuit and let everything go that waits for it. False if nothing was amiss."""
    with database.transaction() as connection:
        now = database_now(connection)
        amiss = (circuit.c.destination == destination) & (circuit.c.failures > 0)
        was = connection.execute(select(circuit.c.open_until).where(amiss)).first()
        if was is None:
            return False
        connection.execute(update(circuit).where(amiss).values(failures=0, open_until=None, reason="", updated_at=now))
        if was.open_until is not None:
            waits = (delivery.c.destination == destination) & (delivery.c.state == DeliveryState.PENDING)
            connection.execute(update(delivery).where(waits).values(due_at=now, rung_at=None))
            subject = subject_of(destination)
            chain.append(connection, now, database.actor, "circuit.closed", subject, destination=destination)
        return True


def hold_back(database: Database, limit: int = 100) -> int:
    """Have due deliveries to a PACS that does not answer wait until it is tried next, and say so; returns how many."""
    with database.transaction() as connection:
        now = database_now(connection)
        waits = (
            select(delivery.c.id, delivery.c.job_id, circuit.c.open_until, circuit.c.reason)
            .join(circuit, circuit.c.destination == delivery.c.destination)
            .where(circuit.c.open_until > now, delivery.c.due_at <= now)
            .where(delivery.c.state.in_([DeliveryState.PENDING, DeliveryState.SENT]))
            .limit(limit)
        )
        rows = connection.execute(waits).all()
        for row in rows:
            values = {"due_at": row.open_until, "rung_at": None, "reason": f"waiting: {row.reason}"}
            connection.execute(update(delivery).where(delivery.c.id == row.id).values(**values))
            settle(connection, database.actor, now, row.job_id)
        return len(rows)


def lets_through(now: datetime) -> ColumnElement[bool]:
    """The condition under which a delivery may be claimed, for the UPDATE that claims."""
    is_open = (circuit.c.destination == delivery.c.destination) & (circuit.c.open_until > now)
    return ~select(circuit.c.destination).where(is_open).exists()


def probe(connection: Connection, destination: str, until: datetime) -> None:
    """Let the delivery that was just claimed find out alone whether a PACS is back."""
    was_open = (circuit.c.destination == destination) & circuit.c.open_until.is_not(None)
    connection.execute(update(circuit).where(was_open).values(open_until=until))


def opened(database: Database) -> list[CircuitView]:
    """Every PACS whose circuit is open, also while a probe is under way."""
    columns = [circuit.c[name] for name in CircuitView.__annotations__]
    with database.reading() as connection:
        rows = connection.execute(select(*columns).where(circuit.c.open_until.is_not(None)).order_by(columns[0]))
        return [CircuitView(*row) for row in rows]


def _count(connection: Connection, destination: str, reason: str, now: datetime) -> int:
    same = circuit.c.destination == destination
    values = {"reason": reason, "updated_at": now}
    counted = update(circuit).where(same).values(failures=circuit.c.failures + 1, **values)
    failures = connection.execute(counted.returning(circuit.c.failures)).scalar()
    if failures is None:
        connection.execute(insert(circuit).values(destination=destination, failures=1, **values))
    return int(failures or 1)


def subject_of(destination: str) -> str:
    """What the audit trail calls a destination."""
    return f"pacs:{destination}"[:64]
