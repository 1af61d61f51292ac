"""The people who may use the console. Passwords arrive here as hashes; who acts is the database's actor."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from dicom_node.errors import InputError
from dicom_node.ledger import chain
from dicom_node.ledger.console_tables import console_session, console_user
from dicom_node.ledger.database import Database, database_now


class Role(StrEnum):
    """What a person may do, each what the one before may and more."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


RANK = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True)
class UserView:
    """A user for people."""

    name: str
    role: str
    disabled: bool
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class Credentials:
    """What a login is checked against."""

    user_id: int
    name: str
    password_hash: str
    disabled: bool


def add(database: Database, name: str, password_hash: str, role: Role, *, first: bool = False) -> bool:
    """Enter a user. False where the name is taken, or with ``first`` where there is any user at all."""
    with database.transaction() as connection:
        now = database_now(connection)
        same = select(console_user.c.id) if first else select(console_user.c.id).where(console_user.c.name == name)
        if connection.execute(same.limit(1)).first() is not None:
            return False
        values = {"name": name, "password_hash": password_hash, "role": role, "created_at": now, "changed_at": now}
        connection.execute(insert(console_user).values(**values))
        chain.append(connection, now, database.actor, "user.added", f"user:{name}", role=role)
        return True


def set_password(database: Database, name: str, password_hash: str) -> bool:
    """Replace a password and end the user's sessions. False where there is no such user."""
    return _change(database, name, "user.password", {"password_hash": password_hash})


def set_role(database: Database, name: str, role: Role) -> bool:
    """Give a user another role and end their sessions. InputError for the last admin."""
    return _change(database, name, f"user.role.{role}", {"role": role})


def disable(database: Database, name: str) -> bool:
    """Let a user no longer in, and end their sessions. InputError for the last admin."""
    return _change(database, name, "user.disabled", {"disabled": True})


def enable(database: Database, name: str) -> bool:
    """Let a user in again."""
    return _change(database, name, "user.enabled", {"disabled": False})


def credentials(database: Database, name: str) -> Credentials | None:
    """What a login under this name is checked against; None where nobody has it."""
    columns = (console_user.c.id, console_user.c.name, console_user.c.password_hash, console_user.c.disabled)
    with database.reading() as connection:
        row = connection.execute(select(*columns).where(console_user.c.name == name)).first()
        return None if row is None else Credentials(*row)


def everyone(database: Database) -> list[UserView]:
    """Every user, by name."""
    columns = [console_user.c[name] for name in UserView.__annotations__]
    with database.reading() as connection:
        return [UserView(*row) for row in connection.execute(select(*columns).order_by(console_user.c.name))]


def is_anyone(database: Database) -> bool:
    """Whether there is any user yet."""
    with database.reading() as connection:
        return connection.execute(select(console_user.c.id).limit(1)).first() is not None


def _change(database: Database, name: str, event: str, values: dict[str, Any]) -> bool:
    with database.transaction() as connection:
        now = database_now(connection)
        mine = console_user.c.name == name
        user_id = connection.execute(select(console_user.c.id).where(mine)).scalar()
        if user_id is None:
            return False
        connection.execute(update(console_user).where(mine).values(changed_at=now, **values))
        if not _admins(connection):
            raise InputError(f"{name} is the last admin who can log in: add another one first")
        connection.execute(delete(console_session).where(console_session.c.user_id == user_id))
        chain.append(connection, now, database.actor, event, f"user:{name}")
        return True


def _admins(connection: Connection) -> int:
    able = (console_user.c.role == Role.ADMIN) & ~console_user.c.disabled
    return connection.execute(select(func.count()).where(able)).scalar_one()
