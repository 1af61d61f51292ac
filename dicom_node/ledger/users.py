"""The people who may use the console. Passwords arrive here as hashes; who acts is the database's actor.

Who comes by an OpenID provider has no password here, and the role that it says (``dicom_node.ledger.issued``).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from dicom_node.errors import InputError
from dicom_node.ledger import chain
from dicom_node.ledger.console_tables import console_session, console_user
from dicom_node.ledger.database import Database, database_now

LONGEST_NAME = 59  # so that "user:" and the name fit the subject of an audit row


class Role(StrEnum):
    """What a person may do, each what the one before may and more."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def reaches(self, least: "Role") -> bool:
        """Whether this role may do what the other one may."""
        order = list(Role)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True)
class UserView:
    """A user for people.

    Attributes
    ----------
    issuer : str
        The OpenID provider by which they come; empty for one with a password.
    first_until : datetime or None
        Their password is a first one: good until then, and to be replaced at the first login.
    """

    name: str
    role: str
    disabled: bool
    created_at: datetime
    changed_at: datetime
    issuer: str
    first_until: datetime | None


@dataclass(frozen=True)
class Credentials:
    """What a login is checked against; ``expired`` says that its password was a first one and came to its end."""

    user_id: int
    name: str
    password_hash: str
    disabled: bool
    expired: bool


def add(
    database: Database,
    name: str,
    password_hash: str,
    role: Role,
    *,
    first: bool = False,
    good_for: timedelta | None = None,
    reason: str = "",
) -> bool:
    """Enter a user. False where the name is taken, or with ``first`` where there is any user at all.

    Parameters
    ----------
    good_for : timedelta or None
        The password is a first one: good for so long, and to be replaced at the first login.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        same = select(console_user.c.id) if first else select(console_user.c.id).where(console_user.c.name == name)
        if connection.execute(same.limit(1)).first() is not None:
            return False
        values = {"name": name, "password_hash": password_hash, "role": role, "created_at": now, "changed_at": now}
        connection.execute(insert(console_user).values(**values, first_until=good_for and now + good_for))
        chain.append(connection, now, database.actor, "user.added", f"user:{name}", role=role, **_why(reason))
        return True


def set_password(
    database: Database, name: str, password_hash: str, *, good_for: timedelta | None = None, reason: str = ""
) -> bool:
    """Replace a password and end the user's sessions. False where there is no such user; ``good_for`` as of `add`.

    InputError for who comes by an OpenID provider.
    """
    return _change(database, name, "user.password", {"password_hash": password_hash}, reason, good_for=good_for)


def set_role(database: Database, name: str, role: Role, reason: str = "") -> bool:
    """Give a user another role and end their sessions. InputError for the last admin, and as `set_password`."""
    return _change(database, name, f"user.role.{role}", {"role": role}, reason)


def disable(database: Database, name: str, reason: str = "") -> bool:
    """Let a user no longer in, and end their sessions. InputError for the last admin."""
    return _change(database, name, "user.disabled", {"disabled": True}, reason)


def enable(database: Database, name: str, reason: str = "") -> bool:
    """Let a user in again."""
    return _change(database, name, "user.enabled", {"disabled": False}, reason)


def credentials(database: Database, name: str) -> Credentials | None:
    """What a login under this name is checked against; None where nobody has it."""
    with database.reading() as connection:
        row = connection.execute(select(console_user).where(console_user.c.name == name)).mappings().first()
        if row is None:
            return None
        expired = row["first_until"] is not None and row["first_until"] < database_now(connection)
        return Credentials(row["id"], row["name"], row["password_hash"], row["disabled"], expired)


def everyone(database: Database, after: str = "", limit: int | None = None) -> list[UserView]:
    """Users by name: all, or so many of those after a name."""
    with database.reading() as connection:
        query = select(console_user).where(console_user.c.name > after).order_by(console_user.c.name).limit(limit)
        return [_view(row) for row in connection.execute(query).mappings()]


def one(database: Database, name: str) -> UserView | None:
    """The user of this name."""
    with database.reading() as connection:
        row = connection.execute(select(console_user).where(console_user.c.name == name)).mappings().first()
        return None if row is None else _view(row)


def is_anyone(database: Database) -> bool:
    """Whether there is any user yet."""
    with database.reading() as connection:
        return connection.execute(select(console_user.c.id).limit(1)).first() is not None


def _change(
    database: Database,
    name: str,
    event: str,
    values: dict[str, Any],
    reason: str,
    *,
    good_for: timedelta | None = None,
) -> bool:
    with database.transaction() as connection:
        now = database_now(connection)
        mine = console_user.c.name == name
        user = connection.execute(select(console_user).where(mine)).first()
        if user is None:
            return False
        if user.issuer and "disabled" not in values:
            raise InputError(f"{name} comes by {user.issuer}, which says their role and knows their password")
        if "password_hash" in values:
            values = {**values, "first_until": good_for and now + good_for}
        connection.execute(update(console_user).where(mine).values(changed_at=now, **values))
        if user.role == Role.ADMIN and not user.disabled and not _admins(connection):
            raise InputError(f"{name} is the last admin who can log in: add another one first")
        connection.execute(delete(console_session).where(console_session.c.user_id == user.id))
        chain.append(connection, now, database.actor, event, f"user:{name}", **_why(reason))
        return True


def _view(row: RowMapping) -> UserView:
    return UserView(**{name: row[name] for name in UserView.__annotations__})


def _why(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def _admins(connection: Connection) -> int:
    able = (console_user.c.role == Role.ADMIN) & ~console_user.c.disabled
    return connection.execute(select(func.count()).where(able)).scalar_one()
