"""What jobs and deliveries share as claimable rows: when their bell rings, and when their worker counts as lost."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, Table, select, update

from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.tables import delivery, job

RING_AGAIN_S = 60


def ring_due(database: Database, table: Table, states: Sequence[str]) -> list[int]:
    """Rows of a claimable table that are due, each at most once per RING_AGAIN_S; the mark is not a claim."""
    with database.transaction() as connection:
        now = database_now(connection)
        silent = table.c.rung_at.is_(None) | (table.c.rung_at < now - timedelta(seconds=RING_AGAIN_S))
        due = table.c.state.in_(states) & (table.c.due_at <= now) & silent
        ids = list(connection.execute(select(table.c.id).where(due).order_by(table.c.due_at).limit(100)).scalars())
        if ids:
            connection.execute(update(table).where(table.c.id.in_(ids)).values(rung_at=now))
        return ids


def ring_all_again(database: Database) -> None:
    """Forget which bells were rung: those who heard them may have died with the node. A bell too many does no harm."""
    with database.transaction() as connection:
        for table in (job, delivery):
            connection.execute(update(table).where(table.c.rung_at.is_not(None)).values(rung_at=None))


def lost_claims(
    connection: Connection, table: Table, state: str, is_gone: Callable[[str], bool], now: datetime
) -> list[RowMapping]:
    """Claimed rows whose lease ended or whose owner is known to be dead."""
    columns = (table.c.id, table.c.owner, table.c.fence, table.c.deaths, table.c.lease_until)
    claimed = connection.execute(select(*columns).where(table.c.state == state)).mappings().all()
    return [row for row in claimed if row["lease_until"] < now or is_gone(row["owner"])]
