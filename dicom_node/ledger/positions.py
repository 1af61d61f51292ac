"""How far readers of the audit trail have come that take its rows elsewhere. One process at a time reads for each."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, update

from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.tables import audit, audit_position


@dataclass(frozen=True)
class Position:
    """The last row that a reader has taken; ``reason`` says why it gets no further, empty where it does."""

    seq: int
    reason: str
    updated_at: datetime


def begin(database: Database, reader: str) -> None:
    """Enter a reader that is new: it takes the rows that are written from now on."""
    if position(database, reader) is not None:
        return
    with database.transaction() as connection:
        if connection.execute(select(audit_position.c.seq).where(audit_position.c.reader == reader)).first() is None:
            newest = connection.execute(select(func.max(audit.c.seq))).scalar() or 0
            values = {"reader": reader, "seq": newest, "reason": "", "updated_at": database_now(connection)}
            connection.execute(insert(audit_position).values(**values))


def position(database: Database, reader: str) -> Position | None:
    """Where a reader is; None where it never began."""
    columns = [audit_position.c[name] for name in Position.__annotations__]
    with database.reading() as connection:
        row = connection.execute(select(*columns).where(audit_position.c.reader == reader)).first()
        return None if row is None else Position(*row)


def take(database: Database, reader: str, owner: str, lease_s: float) -> int | None:
    """Be the one who reads for so long: the last row taken; None where another process has it, or nobody began."""
    with database.transaction(in_turn=False) as connection:
        now = database_now(connection)
        free = audit_position.c.lease_until.is_(None) | (audit_position.c.lease_until < now)
        mine = (audit_position.c.reader == reader) & (free | (audit_position.c.owner == owner))
        values = {"owner": owner, "lease_until": now + timedelta(seconds=lease_s)}
        taken = update(audit_position).where(mine).values(**values).returning(audit_position.c.seq)
        return connection.execute(taken).scalar()


def advance(database: Database, reader: str, owner: str, seq: int) -> None:
    """Note that every row up to this one is taken."""
    _leave(database, reader, owner, {"seq": seq, "reason": ""})


def stuck(database: Database, reader: str, owner: str, reason: str) -> None:
    """Note why the next rows could not be taken."""
    _leave(database, reader, owner, {"reason": reason})


def _leave(database: Database, reader: str, owner: str, values: dict[str, object]) -> None:
    with database.transaction(in_turn=False) as connection:
        mine = (audit_position.c.reader == reader) & (audit_position.c.owner == owner)
        left = {**values, "lease_until": None, "updated_at": database_now(connection)}
        connection.execute(update(audit_position).where(mine).values(**left))
