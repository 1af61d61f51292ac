"""Verbs for what arrives: series and their instances, until the series is complete."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection, case, func, insert, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.purging import GONE
from dicom_node.ledger.states import SeriesState
from dicom_node.ledger.tables import instance, job, job_instance, series
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
    forced: bool
    last_heard_at: datetime
    quiet_s: float


@dataclass(frozen=True)
class Conflict:
    """An instance whose SOP Instance UID came before with other content; both are kept, its series is held."""

    instance: ReceivedInstance
    earlier_sha256: str


@dataclass(frozen=True)
class Entered:
    """What became of instances: how many were new, and which of these contradict an earlier one."""

    new: int
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True)
class InstanceRow:
    """One received instance of a series."""

    id: int
    sop_uid: str
    sha256: str
    path: str


def record(database: Database, received: Sequence[ReceivedInstance], quiet_s: float) -> Entered:
    """Enter instances and wake their series.

    An instance that is known (same UIDs, same digest) changes nothing but an audit row, unless retention had removed
    its file: then the series is judged again. A new one for a complete series opens the next revision.
    """
    ordered = sorted(received, key=lambda item: item.series_instance_uid)
    with database.transaction() as connection:
        entered = [
            _record_series(connection, database.actor, list(group), quiet_s)
            for _, group in groupby(ordered, key=lambda item: item.series_instance_uid)
        ]
    return Entered(sum(item.new for item in entered), tuple(found for item in entered for found in item.conflicts))


def released(database: Database, series_uids: Sequence[str], quiet_released_s: float) -> None:
    """Note that the sender closed its association properly: these series may be complete sooner."""
    with database.transaction() as connection:
        soon = database_now(connection) + timedelta(seconds=quiet_released_s)
        connection.execute(
            update(series)
            .where(series.c.series_uid.in_(series_uids), series.c.state == SeriesState.RECEIVING)
            .values(released=True, due_at=soon)
        )


def listening_again(database: Database, quiet_s: float) -> None:
    """Let the quiet time of what still arrives run from now: while nobody listened, silence proved nothing."""
    with database.transaction() as connection:
        now = database_now(connection)
        due = now + timedelta(seconds=quiet_s)
        arriving = (series.c.state == SeriesState.RECEIVING) & ~series.c.released & ~series.c.forced
        connection.execute(update(series).where(arriving).values(last_heard_at=now, due_at=due))


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


def take(database: Database, series_id: int, for_s: float) -> bool:
    """Take a due series to judge it; for so long no other clock does. False where another has it."""
    with database.transaction() as connection:
        now = database_now(connection)
        mine = (series.c.id == series_id) & (series.c.state == SeriesState.RECEIVING) & (series.c.due_at <= now)
        later = now + timedelta(seconds=for_s)
        return connection.execute(update(series).where(mine).values(due_at=later)).rowcount > 0


def has_unjudged(database: Database, series_id: int) -> bool:
    """Whether a series holds images that no job was made of yet."""
    judged = select(job_instance.c.instance_id).where(job_instance.c.instance_id == instance.c.id).exists()
    with database.reading() as connection:
        query = select(instance.c.id).where(instance.c.series_id == series_id, ~judged).limit(1)
        return connection.execute(query).first() is not None


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


def force(database: Database, series_id: int, reason: str) -> bool:
    """Have a series that still arrives judged at once, as it is. False where it does not arrive, or is judged anyway.

    Images that come before it is judged are judged with it; those that come later make a revision, as always.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        arriving = (series.c.id == series_id) & (series.c.state == SeriesState.RECEIVING) & ~series.c.forced
        if not connection.execute(update(series).where(arriving).values(forced=True, due_at=now)).rowcount:
            return False
        chain.append(connection, now, database.actor, "series.forced", f"series:{series_id}", reason=reason)
        return True


def made_here(database: Database, series_uid: str) -> bool:
    """Whether a series is one that a job of this node made."""
    with database.reading() as connection:
        found = select(job.c.id).where(job.c.derived_series_uid == series_uid)
        return connection.execute(found.limit(1)).first() is not None


def _record_series(connection: Connection, actor: str, received: list[ReceivedInstance], quiet_s: float) -> Entered:
    now = database_now(connection)
    series_id = _series_id(connection, received[0], now)
    gone, purged = _gone(connection, series_id), _is_purged(connection, series_id)
    new = [item for item in _distinct(received) if not _is_known(connection, series_id, item)]
    conflicts = [found for item in new if (found := _insert(connection, series_id, item))]
    for item in conflicts:
        chain.append(
            connection, now, actor, "series.conflict", f"series:{series_id}", calling_ae=item.instance.calling_ae,
            sop_uid=item.instance.sop_instance_uid, sha256=[item.earlier_sha256, item.instance.sha256],
        )  # fmt: skip
    event = "instances.received" if new else "instances.duplicate"
    if new or purged or _gone(connection, series_id) < gone:
        _wake(connection, series_id, len(new), now, quiet_s)
    senders = sorted({item.calling_ae for item in received})
    chain.append(
        connection, now, actor, event, f"series:{series_id}", count=len(received), new=len(new), calling_ae=senders
    )
    return Entered(len(new), tuple(conflicts))


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


def _insert(connection: Connection, series_id: int, item: ReceivedInstance) -> Conflict | None:
    """Enter a new instance, marked where other content came under its UID before."""
    same_uid = (instance.c.series_id == series_id) & (instance.c.sop_uid == item.sop_instance_uid)
    earlier = connection.execute(select(instance.c.sha256).where(same_uid).order_by(instance.c.id).limit(1)).scalar()
    values = _instance_values(item)
    connection.execute(insert(instance).values(series_id=series_id, conflict=earlier is not None, **values))
    return None if earlier is None else Conflict(item, earlier)


def _gone(connection: Connection, series_id: int) -> int:
    """How many images of a series retention has removed."""
    query = select(func.count()).where(instance.c.series_id == series_id, instance.c.path.startswith(GONE))
    return connection.execute(query).scalar_one()


def _is_purged(connection: Connection, series_id: int) -> bool:
    """Whether retention has decided on a series; some files may be there still."""
    return connection.execute(select(series.c.purged_at).where(series.c.id == series_id)).scalar() is not None


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
            purged_at=None,
            released=False,
            last_heard_at=now,
            due_at=case((series.c.forced, series.c.due_at), else_=now + timedelta(seconds=quiet_s)),
        )
    )
