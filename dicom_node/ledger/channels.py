"""Who tells notices: each channel is claimed by one process at a time, and what it sent is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, desc, func, insert, select, update

from dicom_node.errors import StaleFence
from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.notices import Telling, mark_told
from dicom_node.ledger.tables import notice_channel, notice_message

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class ChannelClaim:
    """A process's right to send by a channel until its lease ends; ``attempt`` counts the failures in a row."""

    name: str
    fence: int
    attempt: int


@dataclass(frozen=True)
class ChannelView:
    """A channel whose last try failed, for people."""

    name: str
    attempt: int
    due_at: datetime
    reason: str


@dataclass(frozen=True)
class MessageView:
    """A message that was sent: how many notices it told, and of what kinds."""

    id: int
    channel: str
    at: datetime
    notices: int
    summary: str


def claim(
    database: Database, name: str, owner: str, lease_s: float, is_gone: Callable[[str], bool], per_hour: int
) -> ChannelClaim | None:
    """Take a channel; None where it is not due, sent ``per_hour`` messages within the hour, or another has it."""
    with database.transaction() as connection:
        now = database_now(connection)
        same = notice_channel.c.name == name
        row = connection.execute(select(notice_channel).where(same)).mappings().first()
        if row is None:
            values = {"name": name, "fence": 0, "attempt": 0, "due_at": now, "reason": ""}
            connection.execute(insert(notice_channel).values(**values))
        elif row["due_at"] > now or _is_held(row, now, is_gone):
            return None
        if _sent_within(connection, name, now - HOUR) >= per_hour:
            return None
        values = {"owner": owner, "lease_until": now + timedelta(seconds=lease_s), "fence": notice_channel.c.fence + 1}
        taking = update(notice_channel).where(same).values(**values)
        taken = connection.execute(taking.returning(notice_channel.c.fence, notice_channel.c.attempt)).one()
        return ChannelClaim(name, taken.fence, taken.attempt)


def sent(database: Database, claim_: ChannelClaim, tellings: Sequence[Telling], summary: str) -> None:
    """A message went out with these. StaleFence where another process has the channel by now."""
    with database.transaction() as connection:
        now = database_now(connection)
        _leave(connection, claim_, attempt=0, reason="", due_at=now)
        mark_told(connection, claim_.name, tellings, now)
        values = {"channel": claim_.name, "at": now, "notices": len(tellings), "summary": summary}
        connection.execute(insert(notice_message).values(**values))
        told = ", ".join(item.id for item in tellings)
        _note(connection, database.actor, now, "notice.sent", claim_.name, notices=told, summary=summary)


def idle(database: Database, claim_: ChannelClaim) -> None:
    """There was nothing to send after all. StaleFence as from `sent`."""
    with database.transaction(in_turn=False) as connection:
        _leave(connection, claim_)


def failed(database: Database, claim_: ChannelClaim, reason: str, again_s: float) -> None:
    """A message did not go out: try again later. The audit trail hears of the first failure in a row."""
    with database.transaction() as connection:
        now = database_now(connection)
        due_at = now + timedelta(seconds=again_s)
        _leave(connection, claim_, attempt=claim_.attempt + 1, reason=reason, due_at=due_at)
        if claim_.attempt == 0:
            _note(connection, database.actor, now, "notice.unsent", claim_.name, reason=reason)


def tried(database: Database, name: str, reason: str) -> None:
    """Somebody sent a trial by a channel; ``reason`` says why it failed, if it did."""
    with database.transaction() as connection:
        now = database_now(connection)
        _note(connection, database.actor, now, "notice.tried", name, reason=reason)


def failing(database: Database) -> list[ChannelView]:
    """Channels whose last try failed."""
    columns = [notice_channel.c[name] for name in ChannelView.__annotations__]
    with database.reading() as connection:
        query = select(*columns).where(notice_channel.c.attempt > 0).order_by(notice_channel.c.name)
        return [ChannelView(**row) for row in connection.execute(query).mappings()]


def messages(database: Database, limit: int = 20) -> list[MessageView]:
    """What was sent, the latest first."""
    columns = [notice_message.c[name] for name in MessageView.__annotations__]
    with database.reading() as connection:
        query = select(*columns).order_by(desc(notice_message.c.at), desc(notice_message.c.id)).limit(limit)
        return [MessageView(**row) for row in connection.execute(query).mappings()]


def hold(database: Database, name: str, owner: str, lease_s: float, is_gone: Callable[[str], bool]) -> bool:
    """Hold a name alone, and longer with each call: whether this process has it now."""
    with database.transaction() as connection:
        now = database_now(connection)
        values = {"owner": owner, "lease_until": now + timedelta(seconds=lease_s)}
        row = connection.execute(select(notice_channel).where(notice_channel.c.name == name)).mappings().first()
        if row is None:
            new = {"name": name, "fence": 0, "attempt": 0, "due_at": now, "reason": "", **values}
            connection.execute(insert(notice_channel).values(**new))
            return True
        if row["owner"] != owner and _is_held(row, now, is_gone):
            return False
        connection.execute(update(notice_channel).where(notice_channel.c.name == name).values(**values))
        return True


def let_go(database: Database, name: str, owner: str) -> None:
    """Another may hold it at once."""
    with database.transaction(in_turn=False) as connection:
        mine = (notice_channel.c.name == name) & (notice_channel.c.owner == owner)
        connection.execute(update(notice_channel).where(mine).values(owner=None, lease_until=None))


def _is_held(row: RowMapping, now: datetime, is_gone: Callable[[str], bool]) -> bool:
    return row["owner"] is not None and row["lease_until"] > now and not is_gone(row["owner"])


def _sent_within(connection: Connection, name: str, since: datetime) -> int:
    recent = (notice_message.c.channel == name) & (notice_message.c.at > since)
    return int(connection.execute(select(func.count()).where(recent)).scalar_one())


def _leave(connection: Connection, claim_: ChannelClaim, **values: object) -> None:
    mine = (notice_channel.c.name == claim_.name) & (notice_channel.c.fence == claim_.fence)
    leaving = update(notice_channel).where(mine, notice_channel.c.owner.is_not(None))
    if not connection.execute(leaving.values(owner=None, lease_until=None, **values)).rowcount:
        raise StaleFence(f"notices by {claim_.name} are no longer ours to send")


def _note(connection: Connection, actor: str, now: datetime, event: str, name: str, **detail: object) -> None:
    chain.append(connection, now, actor, event, f"channel:{name}"[:64], **detail)
