"""Who is logged in to the console. Tokens arrive here as digests: the ledger alone lets nobody in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.console_tables import console_session, console_user
from dicom_node.ledger.database import Database, database_now

# How often a person's deeds are noted: each would be a write.
NOTED_EVERY_S = 60.0
# Of a token's digest, what tells a person's sessions apart: it opens nothing.
HANDLE = 16


@dataclass(frozen=True)
class SessionView:
    """A session that holds: whose, and the secret of its forms.

    Attributes
    ----------
    issuer : str
        The OpenID provider by which they came; empty for one with a password.
    is_first : bool
        They came with a first password, and may do nothing before they have replaced it.
    """

    token_sha256: str
    user_name: str
    role: str
    csrf: str
    issuer: str = ""
    is_first: bool = False


@dataclass(frozen=True)
class OpenSession:
    """A session for people: from where, since when, last used, until when."""

    handle: str
    user_name: str
    peer_ip: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


def enter(database: Database, user_id: int, token_sha256: str, csrf: str, peer_ip: str, hours: float) -> None:
    """Begin a session; those that are over are forgotten."""
    with database.transaction() as connection:
        now = database_now(connection)
        connection.execute(delete(console_session).where(console_session.c.expires_at <= now))
        values = {"user_id": user_id, "csrf": csrf, "peer_ip": peer_ip, "created_at": now, "seen_at": now}
        expires = now + timedelta(hours=hours)
        connection.execute(insert(console_session).values(token_sha256=token_sha256, expires_at=expires, **values))
        user = connection.execute(select(console_user).where(console_user.c.id == user_id)).one()
        detail = {"peer_ip": peer_ip} | ({"issuer": user.issuer} if user.issuer else {})
        chain.append(connection, now, database.actor, "session.opened", f"user:{user.name}", **detail)


def find(database: Database, token_sha256: str, idle_s: float, *, deed: bool) -> SessionView | None:
    """The session of a token while it holds: neither expired, nor idle, nor its user disabled.

    Parameters
    ----------
    idle_s : float
        A session whose person did nothing for so long is over; 0: never.
    deed : bool
        Whether this request is a deed of the person; a page that refreshes itself is none.
    """
    user = console_user.c
    columns = (user.name, user.role, user.issuer, user.first_until, console_session.c.csrf, console_session.c.seen_at)
    with database.reading() as connection:
        now = database_now(connection)
        holds = (console_session.c.token_sha256 == token_sha256) & (console_session.c.expires_at > now)
        joined = console_session.join(console_user)
        row = connection.execute(select(*columns).select_from(joined).where(holds, ~console_user.c.disabled)).first()
    if row is None or (idle_s and row.seen_at < now - timedelta(seconds=idle_s)):
        return None
    if deed and row.seen_at < now - timedelta(seconds=NOTED_EVERY_S):
        with database.transaction(in_turn=False) as connection:
            mine = console_session.c.token_sha256 == token_sha256
            connection.execute(update(console_session).where(mine).values(seen_at=now))
    is_first = row.first_until is not None
    return SessionView(token_sha256, row.name, row.role, row.csrf, row.issuer, is_first)


def opened(database: Database, user_name: str = "") -> list[OpenSession]:
    """Sessions that have not expired, of one user or of all, the last used first."""
    handle = func.substr(console_session.c.token_sha256, 1, HANDLE)
    columns = [console_session.c[name] for name in ("peer_ip", "created_at", "seen_at", "expires_at")]
    query = select(handle, console_user.c.name, *columns).select_from(console_session.join(console_user))
    whose = [console_user.c.name == user_name] if user_name else []
    with database.reading() as connection:
        holds = console_session.c.expires_at > database_now(connection)
        found = connection.execute(query.where(holds, *whose).order_by(console_session.c.seen_at.desc()))
        return [OpenSession(*row) for row in found]


def end(database: Database, user_name: str, *, handle: str = "", but: str = "", reason: str = "") -> int:
    """End sessions of a user; returns how many.

    Parameters
    ----------
    handle : str
        Only this one.
    but : str
        Digest of the token of the one that stays.
    """
    with database.transaction() as connection:
        user_id = select(console_user.c.id).where(console_user.c.name == user_name).scalar_subquery()
        these: list[ColumnElement[bool]] = [console_session.c.user_id == user_id]
        these += [func.substr(console_session.c.token_sha256, 1, HANDLE) == handle] if handle else []
        these += [console_session.c.token_sha256 != but] if but else []
        ended = connection.execute(delete(console_session).where(*these)).rowcount
        if ended:
            detail = {"sessions": ended} | ({"reason": reason} if reason else {})
            now = database_now(connection)
            chain.append(connection, now, database.actor, "session.ended", f"user:{user_name}", **detail)
        return ended


def leave(database: Database, session: SessionView) -> None:
    """End a session at its person's wish."""
    with database.transaction() as connection:
        mine = console_session.c.token_sha256 == session.token_sha256
        ended = delete(console_session).where(mine).returning(console_session.c.peer_ip)
        peer_ip = connection.execute(ended).scalar()
        if peer_ip is not None:
            now, subject = database_now(connection), f"user:{session.user_name}"
            chain.append(connection, now, database.actor, "session.closed", subject, peer_ip=peer_ip)


def refused(database: Database, user_name: str, peer_ip: str, reason: str) -> None:
    """Note a login that failed. A name that nobody has is not noted: it may be a password in the wrong field."""
    with database.transaction() as connection:
        now = database_now(connection)
        subject = f"user:{user_name or 'unknown'}"
        chain.append(connection, now, database.actor, "session.refused", subject, peer_ip=peer_ip, reason=reason)
