"""The registry of processes: who serves this ledger, who was seen when, and who refuses to work and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.tables import worker

SILENT_S = 60.0


class WorkerState(StrEnum):
    """What a process says of itself."""

    READY = "ready"
    REFUSING = "refusing"
    STOPPING = "stopping"


@dataclass(frozen=True)
class WorkerView:
    """A process for people; ``silent_s`` is how long ago it was seen, ``is_amiss`` that an admin should look at it."""

    owner: str
    role: str
    state: str
    reason: str
    started_at: datetime
    silent_s: float

    @property
    def is_silent(self) -> bool:
        """It was not seen for so long that it says nothing of itself any more."""
        return self.silent_s > SILENT_S

    @property
    def is_amiss(self) -> bool:
        """Silent, or refusing to work."""
        return self.is_silent or self.state == WorkerState.REFUSING


def register(database: Database, owner: str, role: str) -> None:
    """Enter a process that is ready; one that is known starts anew."""
    with database.transaction() as connection:
        now = _note(connection, database.actor, "process.started", owner, role)
        connection.execute(delete(worker).where(worker.c.owner == owner))
        values = {"owner": owner, "role": role, "state": WorkerState.READY, "reason": ""}
        connection.execute(insert(worker).values(**values, started_at=now, seen_at=now))


def see(database: Database, owner: str) -> bool:
    """Note that a process lives. False where it was forgotten and has to register again."""
    with database.transaction(in_turn=False) as connection:
        now = database_now(connection)
        return connection.execute(update(worker).where(worker.c.owner == owner).values(seen_at=now)).rowcount > 0


def declare(database: Database, owner: str, state: WorkerState, reason: str = "") -> bool:
    """Note that a process is ready, refuses to work (say why), or stops. False where nothing changed."""
    with database.transaction() as connection:
        now = database_now(connection)
        news = (worker.c.owner == owner) & ((worker.c.state != state) | (worker.c.reason != reason))
        if not connection.execute(update(worker).where(news).values(state=state, reason=reason, seen_at=now)).rowcount:
            return False
        chain.append(connection, now, database.actor, f"worker.{state}", "worker", owner=owner, reason=reason)
        return True


def forget(database: Database, owner: str) -> None:
    """A process ended in good order."""
    with database.transaction() as connection:
        left = delete(worker).where(worker.c.owner == owner).returning(worker.c.role)
        role = connection.execute(left).scalar()
        if role is not None:
            _note(connection, database.actor, "process.stopped", owner, role)


def note_start(database: Database, owner: str, role: str) -> None:
    """A process began that serves the ledger without being in the registry."""
    with database.transaction() as connection:
        _note(connection, database.actor, "process.started", owner, role)


def note_stop(database: Database, owner: str, role: str) -> None:
    """It ended in good order."""
    with database.transaction() as connection:
        _note(connection, database.actor, "process.stopped", owner, role)


def forget_silent(database: Database, silent_s: float) -> int:
    """Forget the processes that were not seen for so long; returns how many."""
    with database.transaction() as connection:
        before = database_now(connection) - timedelta(seconds=silent_s)
        return connection.execute(delete(worker).where(worker.c.seen_at < before)).rowcount


def everyone(database: Database) -> list[WorkerView]:
    """Every process in the registry, by role."""
    with database.reading() as connection:
        now = database_now(connection)
        rows = connection.execute(select(worker).order_by(worker.c.role, worker.c.started_at)).mappings().all()
        return [
            WorkerView(
                **{name: row[name] for name in WorkerView.__annotations__ if name != "silent_s"},
                silent_s=(now - row["seen_at"]).total_seconds(),
            )
            for row in rows
        ]


def _note(connection: Connection, actor: str, event: str, owner: str, role: str) -> datetime:
    now = database_now(connection)
    chain.append(connection, now, actor, event, "process", owner=owner, role=role)
    return now
