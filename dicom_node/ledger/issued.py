"""Users who come by an OpenID provider: made at their first login, and given at each one the role that it says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from sqlalchemy import Connection, delete, insert, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.console_tables import console_session, console_user
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.users import LONGEST_NAME, Role


@dataclass(frozen=True)
class IssuedUser:
    """A user as the ledger knows them."""

    user_id: int
    name: str
    disabled: bool


def arrive(database: Database, issuer: str, subject: str, name: str, role: Role) -> IssuedUser:
    """The user whom an issuer knows by this subject, with this role; made where they come for the first time.

    A name that somebody else has already gets a number: it never becomes theirs. The last admin may lose that role
    here: the issuer says who is one, and the command line needs none.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        same = (console_user.c.issuer == issuer) & (console_user.c.subject == subject)
        known = connection.execute(select(console_user).where(same)).first()
        if known is None:
            return _enter(database.actor, connection, now, issuer, subject, name, role)
        if known.role != role and not known.disabled:
            connection.execute(update(console_user).where(same).values(role=role, changed_at=now))
            connection.execute(delete(console_session).where(console_session.c.user_id == known.id))
            reason = f"{issuer} says so"
            chain.append(connection, now, database.actor, f"user.role.{role}", f"user:{known.name}", reason=reason)
        return IssuedUser(known.id, known.name, known.disabled)


def _enter(
    actor: str, connection: Connection, now: datetime, issuer: str, subject: str, name: str, role: Role
) -> IssuedUser:
    free = next(one for one in _names(name) if not _is_taken(connection, one))
    values = {"issuer": issuer, "subject": subject, "role": role, "created_at": now, "changed_at": now}
    made = insert(console_user).values(name=free, password_hash="", **values).returning(console_user.c.id)
    user_id = connection.execute(made).scalar_one()
    chain.append(connection, now, actor, "user.added", f"user:{free}", role=role, reason=f"{issuer} has sent them")
    return IssuedUser(user_id, free, disabled=False)


def _names(name: str) -> Iterator[str]:
    yield name
    for number in count(2):
        ending = f".{number}"
        yield f"{name[: LONGEST_NAME - len(ending)]}{ending}"


def _is_taken(connection: Connection, name: str) -> bool:
    return connection.execute(select(console_user.c.id).where(console_user.c.name == name)).first() is not None
