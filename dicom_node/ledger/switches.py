"""Switches that people turn: whether anything new is claimed, and whether deliveries to one destination are."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.circuits import subject_of
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.tables import delivery, job, paused_destination, switch

CLAIMS, PAUSED = "claims", "paused"


@dataclass(frozen=True)
class Pause:
    """Why nothing new is claimed, who wanted it, and since when."""

    reason: str
    by: str
    since: datetime


def pause(database: Database, reason: str) -> bool:
    """Have no job and no delivery claimed any more; what is under way goes on. False where that was so already."""
    with database.transaction() as connection:
        if _row(connection) is not None:
            return False
        now = database_now(connection)
        values = {"name": CLAIMS, "value": PAUSED, "reason": reason, "changed_by": database.actor, "changed_at": now}
        connection.execute(insert(switch).values(**values))
        chain.append(connection, now, database.actor, "claims.paused", "node", reason=reason)
        return True


def resume(database: Database, reason: str) -> bool:
    """Have work claimed again, and every bell rung anew. False where it was claimed all along."""
    with database.transaction() as connection:
        if not connection.execute(delete(switch).where(switch.c.name == CLAIMS)).rowcount:
            return False
        ring_anew(connection)
        chain.append(connection, database_now(connection), database.actor, "claims.resumed", "node", reason=reason)
        return True


def paused(database: Database) -> Pause | None:
    """The pause, while there is one."""
    with database.reading() as connection:
        return _row(connection)


def claims_open() -> ColumnElement[bool]:
    """The condition under which anything may be claimed, for the UPDATE that claims."""
    return ~select(switch.c.name).where(switch.c.name == CLAIMS, switch.c.value == PAUSED).exists()


def pause_destination(database: Database, destination: str, reason: str) -> bool:
    """Have no delivery to a destination claimed, for its maintenance; one under way goes on. False: so already."""
    with database.transaction() as connection:
        known = select(paused_destination.c.destination).where(paused_destination.c.destination == destination)
        if connection.execute(known).first() is not None:
            return False
        now = database_now(connection)
        values = {"destination": destination, "reason": reason, "paused_by": database.actor, "paused_at": now}
        connection.execute(insert(paused_destination).values(**values))
        chain.append(
            connection, now, database.actor, "destination.paused", subject_of(destination),
            destination=destination, reason=reason,
        )  # fmt: skip
        return True


def resume_destination(database: Database, destination: str, reason: str) -> bool:
    """Have deliveries to a destination claimed again. False where they were all along."""
    with database.transaction() as connection:
        paused_one = delete(paused_destination).where(paused_destination.c.destination == destination)
        if not connection.execute(paused_one).rowcount:
            return False
        waits = (delivery.c.destination == destination) & delivery.c.rung_at.is_not(None)
        connection.execute(update(delivery).where(waits).values(rung_at=None))
        chain.append(
            connection, database_now(connection), database.actor, "destination.resumed", subject_of(destination),
            destination=destination, reason=reason,
        )  # fmt: skip
        return True


def paused_destinations(database: Database) -> dict[str, Pause]:
    """Every destination that is paused, by its name."""
    with database.reading() as connection:
        rows = connection.execute(select(paused_destination).order_by(paused_destination.c.destination))
        return {row.destination: Pause(row.reason, row.paused_by, row.paused_at) for row in rows}


def deliveries_open() -> ColumnElement[bool]:
    """The condition under which a delivery may be claimed, for the UPDATE that claims."""
    paused_one = select(paused_destination.c.destination).where(
        paused_destination.c.destination == delivery.c.destination
    )
    return claims_open() & ~paused_one.exists()


def ring_anew(connection: Connection) -> None:
    """Forget which bells were rung; one too many does no harm."""
    for table in (job, delivery):
        connection.execute(update(table).where(table.c.rung_at.is_not(None)).values(rung_at=None))


def _row(connection: Connection) -> Pause | None:
    columns = (switch.c.reason, switch.c.changed_by, switch.c.changed_at)
    row = connection.execute(select(*columns).where(switch.c.name == CLAIMS, switch.c.value == PAUSED)).first()
    return None if row is None else Pause(*row)
