"""What is or was amiss, as it is told: opened when it begins, over when it ends, and who was told which of it.

A notice is a row while its cause lasts and after; so a restart neither forgets what was amiss nor tells it again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Select, and_, delete, insert, or_, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.tables import notice, notice_message, notice_told

AT_ONCE = 50
BAD = "bad"


@dataclass(frozen=True)
class Amiss:
    """Something that is amiss now.

    Attributes
    ----------
    kind, subject : str
        What it is, and what it is about; together they tell it from all others.
    level : str
        bad or warn.
    sentence : str
        In the node's own words: nothing that a person, a PACS or a scanner wrote.
    link : str
        Path of the console's page.
    since, latest_at : datetime or None
        When it began, and when it last happened anew; None where only the looking tells.
    """

    kind: str
    subject: str
    level: str
    sentence: str
    link: str
    since: datetime | None = None
    latest_at: datetime | None = None


@dataclass(frozen=True)
class NoticeView:
    """A notice for people."""

    id: int
    kind: str
    subject: str
    level: str
    sentence: str
    link: str
    since: datetime
    news_at: datetime
    over_at: datetime | None


@dataclass(frozen=True)
class Telling:
    """A notice that a channel has to tell: ``times`` counts how often it was told there, ``phase`` says why now."""

    notice: NoticeView
    times: int
    phase: str

    @property
    def id(self) -> str:
        """The same for the same telling, however often a crash repeats it."""
        return f"{self.notice.id}-{self.times + 1}"


def note(database: Database, found: Sequence[Amiss]) -> int:
    """Have the ledger know all that is amiss now: what is new is opened, what is gone is over. How many changed."""
    with database.transaction() as connection:
        now = database_now(connection)
        query = select(notice).where(notice.c.over_at.is_(None))
        known = {(row["kind"], row["subject"]): row for row in connection.execute(query).mappings()}
        wanted = {(item.kind, item.subject): item for item in found}
        for key, item in wanted.items():
            if key in known:
                _refresh(connection, known[key], item)
            else:
                _open(connection, database.actor, now, item)
        gone = [row for key, row in known.items() if key not in wanted]
        for row in gone:
            connection.execute(update(notice).where(notice.c.id == row["id"]).values(over_at=now))
            detail = {"kind": row["kind"], "about": row["subject"]}
            chain.append(connection, now, database.actor, "notice.over", f"notice:{row['id']}", **detail)
        return len(gone) + len(wanted.keys() - known.keys())


def lasting(database: Database) -> list[NoticeView]:
    """What is amiss, the longest first."""
    with database.reading() as connection:
        query = _views().where(notice.c.over_at.is_(None)).order_by(notice.c.since, notice.c.id)
        return [NoticeView(**row) for row in connection.execute(query).mappings()]


def ended(database: Database, limit: int = 20) -> list[NoticeView]:
    """What is over, the latest first."""
    with database.reading() as connection:
        query = _views().where(notice.c.over_at.is_not(None)).order_by(notice.c.over_at.desc()).limit(limit)
        return [NoticeView(**row) for row in connection.execute(query).mappings()]


def untold(database: Database, channel: str, kinds: Collection[str], repeat_s: float) -> list[Telling]:
    """What a channel has to tell now, ``AT_ONCE`` at the most: the oldest first.

    New notices, those that happened anew, bad ones that last ``repeat_s`` after they were told (0: never), and the end
    of those that were told. What was over before it could be told is not.
    """
    with database.reading() as connection:
        now = database_now(connection)
        told_here = and_(notice_told.c.notice_id == notice.c.id, notice_told.c.channel == channel)
        columns = (notice_told.c.times, notice_told.c.news_at.label("told_news_at"))
        query = select(*_columns(), *columns).select_from(notice.outerjoin(notice_told, told_here))
        query = query.where(notice.c.kind.in_(kinds), _is_due(now, repeat_s)).order_by(notice.c.id).limit(AT_ONCE)
        return [_telling(row) for row in connection.execute(query).mappings()]


def mark_told(connection: Connection, channel: str, tellings: Sequence[Telling], now: datetime) -> None:
    """Inside the caller's transaction: a channel has told these."""
    for item in tellings:
        values = {
            "times": item.times + 1, "told_at": now, "news_at": item.notice.news_at, "over": item.phase == "over",
        }  # fmt: skip
        same = (notice_told.c.notice_id == item.notice.id) & (notice_told.c.channel == channel)
        if not connection.execute(update(notice_told).where(same).values(**values)).rowcount:
            connection.execute(insert(notice_told).values(notice_id=item.notice.id, channel=channel, **values))


def forget(database: Database, older_s: float) -> None:
    """Remove what was over, and was sent, longer ago than this."""
    with database.transaction() as connection:
        before = database_now(connection) - timedelta(seconds=older_s)
        old = select(notice.c.id).where(notice.c.over_at < before)
        connection.execute(delete(notice_told).where(notice_told.c.notice_id.in_(old)))
        connection.execute(delete(notice).where(notice.c.over_at < before))
        connection.execute(delete(notice_message).where(notice_message.c.at < before))


def _columns() -> list[Column[Any]]:
    return [notice.c[name] for name in NoticeView.__annotations__]


def _views() -> Select[Any]:
    return select(*_columns())


def _open(connection: Connection, actor: str, now: datetime, item: Amiss) -> None:
    since = min(item.since or now, now)
    values = {name: getattr(item, name) for name in ("kind", "subject", "level", "sentence", "link")}
    new = insert(notice).values(**values, since=since, news_at=item.latest_at or since).returning(notice.c.id)
    subject = f"notice:{connection.execute(new).scalar_one()}"
    chain.append(
        connection, now, actor, "notice.opened", subject, kind=item.kind, about=item.subject, sentence=item.sentence
    )


def _refresh(connection: Connection, row: RowMapping, item: Amiss) -> None:
    """The same trouble in its present words."""
    news_at = max(row["news_at"], item.latest_at or row["news_at"])
    values = {"level": item.level, "sentence": item.sentence, "link": item.link, "news_at": news_at}
    if any(row[name] != value for name, value in values.items()):
        connection.execute(update(notice).where(notice.c.id == row["id"]).values(**values))


def _is_due(now: datetime, repeat_s: float) -> ColumnElement[bool]:
    lasts, was_told = notice.c.over_at.is_(None), notice_told.c.notice_id.is_not(None)
    happened = notice_told.c.notice_id.is_(None) | (notice_told.c.news_at < notice.c.news_at)
    again = [(notice.c.level == BAD) & (notice_told.c.told_at <= now - timedelta(seconds=repeat_s))] if repeat_s else []
    return (lasts & or_(happened, *again)) | (~lasts & was_told & ~notice_told.c.over)


def _telling(row: RowMapping) -> Telling:
    view = NoticeView(**{name: row[name] for name in NoticeView.__annotations__})
    if view.over_at is not None:
        return Telling(view, row["times"], "over")
    if row["times"] is None:
        return Telling(view, 0, "new")
    return Telling(view, row["times"], "again" if view.news_at > row["told_news_at"] else "still")
