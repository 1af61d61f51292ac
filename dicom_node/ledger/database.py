"""Opening the ledger's database, its transactions and its clock."""

import copy
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from dicom_node.errors import LedgerError, SettingsError

BUSY_TIMEOUT_S = 30
TURN = 0x7448534C  # any constant of ours; PostgreSQL advisory locks are numbered
# A host that vanished is noticed in half a minute; what the URL says comes before.
KEEPALIVE = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}
# SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when the log is reset; the rollback journal is safe in all.
FIRST_SQLITE_WITH_SAFE_WAL = (3, 51, 3)


class Database:
    """The ledger's connections. Every verb runs in one short transaction.

    Parameters
    ----------
    url : str
        SQLAlchemy URL: ``sqlite:///path`` or ``postgresql+psycopg://...``.
    actor : str
        Who acts, for the audit trail: a program or person, never a patient.
    """

    def __init__(self, url: str, actor: str) -> None:
        self.url = driver_url(url)
        self.actor = actor
        self.engine = _open(self.url)

    def acting_as(self, actor: str) -> "Database":
        """The same connections in the name of someone else."""
        other = copy.copy(self)
        other.actor = actor
        return other

    @contextmanager
    def transaction(self, *, in_turn: bool = True) -> Iterator[Connection]:
        """A transaction that writes: all or nothing. LedgerError where the database fails.

        Writers take turns, on SQLite by nature and on PostgreSQL by a lock that is taken first: so the audit chain
        never forks, and no two writers wait for each other's rows.

        Parameters
        ----------
        in_turn : bool
            False for a transaction that writes no audit row and waits for one row at the most: it need not wait.
        """
        try:
            with self.engine.begin() as connection:
                if in_turn and connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": TURN})
                yield connection
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger could not be written: {_first_line(error)}") from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads and keeps no writer waiting."""
        try:
            with self.engine.connect().execution_options(reading=True) as connection:
                yield connection
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger could not be read: {_first_line(error)}") from error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def driver_url(url: str) -> str:
    """The URL with the drivers that we ship: psycopg 3 for PostgreSQL. SettingsError for anything else."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise SettingsError(
            f"[ledger].url {url!r} is no database URL; write sqlite:///path or postgresql://..."
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    elif backend != "sqlite" or not parsed.database:
        raise SettingsError(f"[ledger].url: {backend} is not supported; use sqlite:///path or postgresql://...")
    return parsed.render_as_string(hide_password=False)


def database_now(connection: Connection) -> datetime:
    """The database's clock: the one that leases, due times and quiet times are measured by."""
    if connection.dialect.name == "postgresql":
        now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return now.astimezone(UTC)
    stamp: str = connection.execute(text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")).scalar_one()
    return datetime.fromisoformat(stamp).replace(tzinfo=UTC)


def _open(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = create_engine(url, pool_pre_ping=True, connect_args={**KEEPALIVE, **parsed.query})
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_postgresql(connection: Any, _record: object) -> None:
    """A process that froze in its turn must not stop the others for ever: the server ends its transaction.

    Each query wants few rows along an index: helpers would begin to read what nobody asks for.
    """
    connection.execute(f"SET lock_timeout = '{BUSY_TIMEOUT_S}s'")
    connection.execute(f"SET idle_in_transaction_session_timeout = '{BUSY_TIMEOUT_S // 2}s'")
    connection.execute("SET max_parallel_workers_per_gather = 0")
    connection.commit()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    wal = sqlite3.sqlite_version_info >= FIRST_SQLITE_WITH_SAFE_WAL
    connection.isolation_level = None  # we say BEGIN ourselves
    connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _first_line(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0]
