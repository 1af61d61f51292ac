"""What jobs and deliveries share as claimable rows: when their bell rings, and when their worker counts as lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, RowMapping, ScalarSelect, Table, desc, func, select, update

from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.states import DeliveryState, JobState
from dicom_node.ledger.switches import claims_open, ring_anew
from dicom_node.ledger.tables import delivery, job

RING_AT_ONCE = 100
# Only the first few are rung again and again: else a broker whose workers are busy fills up with bells.
RING_AGAIN = 20


@dataclass(frozen=True)
class Due:
    """A row that is due: its number, and how urgent it is (1 for STAT)."""

    id: int
    priority: int


@dataclass(frozen=True)
class UnderWay:
    """How much is claimed at the moment."""

    jobs: int
    deliveries: int

    @property
    def nothing(self) -> bool:
        """Every worker has its hands free."""
        return not self.jobs and not self.deliveries


def ring_due(
    database: Database,
    table: Table,
    condition: Callable[[datetime], ColumnElement[bool]],
    priority: ColumnElement[int] | ScalarSelect[int],
    again_s: float,
) -> list[Due]:
    """Rows that meet ``condition`` (now) and are due, the most urgent first; the mark that they rang is not a claim.

    A row is rung once, and while it is among the first, again every ``again_s``. Of two clocks each rings other rows:
    what one has locked the other passes over.
    """
    with database.transaction(in_turn=False) as connection:
        now = database_now(connection)
        due = condition(now) & (table.c.due_at <= now) & claims_open()
        order = (desc(priority), table.c.due_at, table.c.id)
        first = select(table.c.id).where(due).order_by(*order).limit(RING_AGAIN)
        silent = (table.c.rung_at < now - timedelta(seconds=again_s)) & table.c.id.in_(first)
        query = select(table.c.id, priority.label("priority")).where(due, table.c.rung_at.is_(None) | silent)
        locking = query.order_by(*order).limit(RING_AT_ONCE).with_for_update(skip_locked=True, of=table)
        found = [Due(row.id, row.priority) for row in connection.execute(locking)]
        if found:
            chosen = table.c.id.in_([item.id for item in found])
            connection.execute(update(table).where(chosen).values(rung_at=now))
        return found


def unring(database: Database, table: Table, ids: Sequence[int]) -> None:
    """The bell did not sound: ring these at the next tick."""
    with database.transaction() as connection:
        connection.execute(update(table).where(table.c.id.in_(ids)).values(rung_at=None))


def ring_all_again(database: Database) -> None:
    """Forget which bells were rung: those who heard them may have died with the node."""
    with database.transaction() as connection:
        ring_anew(connection)


def lost_claims(
    connection: Connection, table: Table, state: str, is_gone: Callable[[str], bool], now: datetime
) -> list[RowMapping]:
    """Claimed rows whose lease ended or whose owner is known to be dead; rows that are being changed are left alone."""
    columns = (table.c.id, table.c.state, table.c.owner, table.c.fence, table.c.deaths, table.c.lease_until)
    query = select(*columns).where(table.c.state == state).order_by(table.c.id).with_for_update(skip_locked=True)
    claimed = connection.execute(query).mappings().all()
    return [row for row in claimed if row["lease_until"] < now or is_gone(row["owner"])]


def under_way(database: Database) -> UnderWay:
    """Jobs and deliveries that a worker holds."""
    with database.reading() as connection:
        claimed = (
            job.c.state == JobState.RUNNING,
            delivery.c.state.in_([DeliveryState.SENDING, DeliveryState.VERIFYING]),
        )
        return UnderWay(*(connection.execute(select(func.count()).where(state)).scalar_one() for state in claimed))
