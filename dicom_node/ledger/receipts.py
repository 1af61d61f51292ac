"""Verbs for what arrives: series and their instances, until the series is complete."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection, insert, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.states import SeriesState
from dicom_node.ledger.tables import instance, series
from dicom_node.records import ReceivedInstance


@dataclass(frozen=True)
class SeriesRow:
    """A series as the ledger sees it; times are the database's."""

    id: int
    series_uid: str
    study_uid: str
    calling_ae: str
    state: SeriesState
    revision: int
    instances: int
    released: bool
    last_heard_at: datetime
    quiet_s: float


@dataclass(frozen=True)
class InstanceRow:
    """One received instance of a series."""

    id: int
    sop_uid: str
    sha256: str
    path: str


def record(database: Database, received: Sequence[ReceivedInstance], quiet_s: float) -> int:
    """Enter instances and wake their series; returns how many were new.

    An instance that is known (same UIDs, same digest) changes nothing but an audit row. A new one for a complete
    series opens the next revision.
    """
    ordered = sorted(received, key=lambda item: item.series_instance_uid)
    with database.transaction() as connection:
        return sum(
            _record_series(connection, database.actor, list(group), quiet_s)
            for _, group in groupby(ordered, key=lambda item: item.series_instance_uid)
        )


def released(database: Database, series_uids: Sequence[str], quiet_released_s: float) -> None:
    """Note that the sender closed its association properly: these series may be complete sooner."""
    with database.transaction() as connection:
        soon = database_now(connection) + timedelta(seconds=quiet_released_s)
        connection.execute(
            update(series)
            .where(series.c.series_uid.in_(series_uids), series.c.state == SeriesState.RECEIVING)
            .values(released=True, due_at=soon)
        )


def known_paths(database: Database) -> frozenset[str]:
    """Spool paths of every instance in the ledger."""
    with database.reading() as connection:
        return frozenset(connection.execute(select(instance.c.path)).scalars())


def due_series(database: Database) -> list[int]:
    """Series that are receiving and whose time has come to be looked at."""
    with database.reading() as connection:
        now = database_now(connection)
        condition = (series.c.state == SeriesState.RECEIVING) & (series.c.due_at <= now)
        return list(connection.execute(select(series.c.id).where(condition).order_by(series.c.due_at)).scalars())


def read_series(database: Database, series_id: int) -> tuple[SeriesRow, list[InstanceRow]]:
    """A series and its instances, as they are together at one moment."""
    with database.reading() as connection:
        row = connection.execute(select(series).where(series.c.id == series_id)).mappings().one()
        columns = (instance.c.id, instance.c.sop_uid, instance.c.sha256, instance.c.path)
        found = connection.execute(select(*columns).where(instance.c.series_id == series_id).order_by(instance.c.id))
        quiet = (database_now(connection) - row["last_heard_at"]).total_seconds()
        fields = {name: row[name] for name in SeriesRow.__annotations__ if name not in ("quiet_s", "state")}
        return (
            SeriesRow(**fields, state=SeriesState(row["state"]), quiet_s=quiet),
            [InstanceRow(**item) for item in found.mappings()],
        )


def look_again(database: Database, series_id: int, in_s: float) -> None:
    """Ask about this series again after ``in_s`` seconds."""
    with database.transaction() as connection:
        later = database_now(connection) + timedelta(seconds=in_s)
        connection.execute(update(series).where(series.c.id == series_id).values(due_at=later))


def reopen(database: Database, series_id: int, reason: str) -> None:
    """Have a complete series judged again at once, with today's settings."""
    with database.transaction() as connection:
        now = database_now(connection)
        condition = (series.c.id == series_id) & (series.c.state == SeriesState.COMPLETE)
        connection.execute(update(series).where(condition).values(state=SeriesState.RECEIVING, due_at=now))
        chain.append(connection, now, database.actor, "series.reopened", f"series:{series_id}", reason=reason)


def _record_series(connection: Connection, actor: str, received: list[ReceivedInstance], quiet_s: float) -> int:
    now = database_now(connection)
    series_id = _series_id(connection, received[0], now)
    new = [item for item in _distinct(received) if not _is_known(connection, series_id, item)]
    for item in new:
        connection.execute(insert(instance).values(series_id=series_id, **_instance_values(item)))
    event = "instances.received" if new else "instances.duplicate"
    if new:
        _wake(connection, series_id, len(new), now, quiet_s)
    senders = sorted({item.calling_ae for item in received})
    chain.append(
        connection, now, actor, event, f"series:{series_id}", count=len(received), new=len(new), calling_ae=senders
    )
    return len(new)


def _series_id(connection: Connection, item: ReceivedInstance, now: datetime) -> int:
    found = connection.execute(select(series.c.id).where(series.c.series_uid == item.series_instance_uid)).scalar()
    if found is not None:
        return int(found)
    values = {
        "series_uid": item.series_instance_uid,
        "study_uid": item.study_instance_uid,
        "calling_ae": item.calling_ae,
        "state": SeriesState.RECEIVING,
        "first_heard_at": now,
        "last_heard_at": now,
        "due_at": now,
    }
    return int(connection.execute(insert(series).values(**values).returning(series.c.id)).scalar_one())


def _distinct(received: list[ReceivedInstance]) -> list[ReceivedInstance]:
    return list({(item.sop_instance_uid, item.sha256): item for item in received}.values())


def _is_known(connection: Connection, series_id: int, item: ReceivedInstance) -> bool:
    """Whether the ledger has this instance; where it does, it learns where the file is now: a spool may move."""
    same = (
        (instance.c.series_id == series_id)
        & (instance.c.sop_uid == item.sop_instance_uid)
        & (instance.c.sha256 == item.sha256)
    )
    return connection.execute(update(instance).where(same).values(path=str(item.path))).rowcount > 0


def _instance_values(item: ReceivedInstance) -> dict[str, object]:
    return {
        "sop_uid": item.sop_instance_uid,
        "sop_class_uid": item.sop_class_uid,
        "sha256": item.sha256,
        "path": str(item.path),
        "size": item.size,
        "transfer_syntax_uid": item.transfer_syntax_uid,
        "calling_ae": item.calling_ae,
        "peer_ip": item.peer_ip,
        "received_at": item.received_at,
    }


def _wake(connection: Connection, series_id: int, new: int, now: datetime, quiet_s: float) -> None:
    """New images: count them, start the quiet time anew, and open the next revision of a complete series."""
    was_complete = series.c.state == SeriesState.COMPLETE
    connection.execute(
        update(series)
        .where(series.c.id == series_id, was_complete)
        .values(state=SeriesState.RECEIVING, revision=series.c.revision + 1)
    )
    connection.execute(
        update(series)
        .where(series.c.id == series_id)
        .values(
            instances=series.c.instances + new,
            released=False,
            last_heard_at=now,
            due_at=now + timedelta(seconds=quiet_s),
        )
    )
