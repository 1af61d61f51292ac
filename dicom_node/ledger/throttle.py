"""How often someone may try to log in: counted before the try, so that tries at once are all counted."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from dicom_node.ledger import chain
from dicom_node.ledger.console_tables import console_throttle
from dicom_node.ledger.database import Database, database_now

FIRST_WAIT_S, LONGEST_WAIT_S = 30.0, 900.0
FORGET = timedelta(days=1)


def attempt(database: Database, allowed: Mapping[str, int], peer_ip: str) -> float:
    """Count a try under each key. 0 where it may be made, else the seconds until the next one may.

    Parameters
    ----------
    allowed : mapping of str to int
        Failures in a row that each key (a digest) is allowed before it has to wait, longer each time.
    peer_ip : str
        For the audit trail, which hears of the first refusal of each wait.
    """
    with database.transaction() as connection:
        now = database_now(connection)
        connection.execute(delete(console_throttle).where(console_throttle.c.updated_at < now - FORGET))
        wait = max((_wait_s(connection, key, now) for key in allowed), default=0.0)
        if wait > 0:
            return wait
        shut = [key for key, limit in allowed.items() if _count(connection, key, limit, now)]
        if shut:
            subject = f"address:{peer_ip}"[:64]
            chain.append(connection, now, database.actor, "session.throttled", subject, reason="too many failed logins")
        return 0.0


def succeeded(database: Database, forget: str, uncount: str) -> None:
    """A login succeeded: forget the failures of one key, and of the other take back this try alone.

    Else one valid account would let its owner try the passwords of all others from the same address.
    """
    with database.transaction(in_turn=False) as connection:
        connection.execute(delete(console_throttle).where(console_throttle.c.key == forget))
        mine = (console_throttle.c.key == uncount) & (console_throttle.c.failures > 0)
        less = console_throttle.c.failures - 1
        connection.execute(update(console_throttle).where(mine).values(failures=less, until=None))


def _wait_s(connection: Connection, key: str, now: datetime) -> float:
    until = connection.execute(select(console_throttle.c.until).where(console_throttle.c.key == key)).scalar()
    return 0.0 if until is None else (until - now).total_seconds()


def _count(connection: Connection, key: str, allowed: int, now: datetime) -> bool:
    """One more; True when the next has to wait."""
    mine = console_throttle.c.key == key
    counted = update(console_throttle).where(mine).values(failures=console_throttle.c.failures + 1, updated_at=now)
    failures = connection.execute(counted.returning(console_throttle.c.failures)).scalar()
    if failures is None:
        connection.execute(insert(console_throttle).values(key=key, failures=1, updated_at=now))
        failures = 1
    if failures < allowed:
        return False
    wait_s = min(FIRST_WAIT_S * 2.0 ** min(failures - allowed, 30), LONGEST_WAIT_S)
    connection.execute(update(console_throttle).where(mine).values(until=now + timedelta(seconds=wait_s)))
    return True
