"""Tokens by which programs use the console in a person's name. They arrive here as digests."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, insert, select, update

from dicom_node.errors import InputError
from dicom_node.ledger import chain
from dicom_node.ledger.console_tables import console_token, console_user
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.users import Role

# How often a use is noted: each would be a write.
NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class TokenView:
    """A token for people: whose, what it may do at most, and when it was used last, to the minute."""

    id: int
    name: str
    user_name: str
    role: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class Program:
    """Who comes with a token that holds: ``role`` is the lower one of the token's and its user's."""

    token_id: int
    name: str
    user_name: str
    role: Role


def add(database: Database, user_name: str, name: str, token_sha256: str, role: Role, days: float) -> TokenView:
    """Enter a token.

    Raises
    ------
    InputError
        No such user, or none who may log in; a role above theirs; a name that another token of theirs has.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        mine = (console_user.c.name == user_name) & ~console_user.c.disabled
        owner = connection.execute(select(console_user.c.id, console_user.c.role).where(mine)).first()
        if owner is None:
            raise InputError(f"there is no user {user_name!r} who may log in")
        if not Role(owner.role).reaches(role):
            raise InputError(f"{user_name} is {owner.role}: a token of theirs can be no {role}")
        same = (console_token.c.user_id == owner.id) & (console_token.c.name == name)
        if connection.execute(select(console_token.c.id).where(same, console_token.c.revoked_at.is_(None))).first():
            raise InputError(f"{user_name} has a token {name} already: revoke it first, or choose another name")
        expires = now + timedelta(days=days)
        values = {"user_id": owner.id, "name": name, "token_sha256": token_sha256, "role": role}
        entering = insert(console_token).values(created_at=now, expires_at=expires, **values)
        number = connection.execute(entering.returning(console_token.c.id)).scalar_one()
        detail = {"name": name, "user": user_name, "role": role, "expires": expires.isoformat()}
        chain.append(connection, now, database.actor, "token.added", f"token:{number}", **detail)
        return TokenView(number, name, user_name, role, now, expires, None, None)


def revoke(database: Database, token_id: int, user_name: str = "") -> TokenView | None:
    """Let a token in no more; with ``user_name``, one of theirs alone. None where there is none that holds."""
    with database.transaction() as connection:
        now = database_now(connection)
        one = (console_token.c.id == token_id) & console_token.c.revoked_at.is_(None)
        query = _everyone().where(one)
        if user_name:
            query = query.where(console_user.c.name == user_name)
        row = connection.execute(query).mappings().first()
        if row is None:
            return None
        connection.execute(update(console_token).where(one).values(revoked_at=now))
        detail = {"name": row["name"], "user": row["user_name"]}
        chain.append(connection, now, database.actor, "token.revoked", f"token:{token_id}", **detail)
        return TokenView(**{**row, "revoked_at": now})


def everyone(database: Database, user_name: str = "", limit: int = 200) -> list[TokenView]:
    """Every token, or those of one user, the newest first."""
    query = _everyone().order_by(console_token.c.id.desc()).limit(limit)
    if user_name:
        query = query.where(console_user.c.name == user_name)
    with database.reading() as connection:
        return [TokenView(**row) for row in connection.execute(query).mappings()]


def find(database: Database, token_sha256: str) -> Program | None:
    """Whose token this is, while it holds: neither expired, nor revoked, nor its user disabled."""
    columns = [console_token.c[name] for name in ("id", "name", "role", "used_at")]
    whose = (console_user.c.name.label("user_name"), console_user.c.role.label("user_role"))
    joined = console_token.join(console_user)
    with database.reading() as connection:
        now = database_now(connection)
        holds = (console_token.c.expires_at > now) & console_token.c.revoked_at.is_(None) & ~console_user.c.disabled
        query = select(*columns, *whose).select_from(joined).where(console_token.c.token_sha256 == token_sha256, holds)
        row = connection.execute(query).first()
    if row is None:
        return None
    if row.used_at is None or row.used_at < now - NOTED_EVERY:
        with database.transaction(in_turn=False) as connection:
            connection.execute(update(console_token).where(console_token.c.id == row.id).values(used_at=now))
    own, its = Role(row.user_role), Role(row.role)
    return Program(row.id, row.name, row.user_name, its if own.reaches(its) else own)


def _everyone() -> Select[Any]:
    own = [console_token.c[name] for name in TokenView.__annotations__ if name != "user_name"]
    return select(*own, console_user.c.name.label("user_name")).select_from(console_token.join(console_user))
