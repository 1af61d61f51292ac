"""Users, sessions and the throttle of the console, on each database."""

from collections.abc import Callable

import pytest

from dicom_node.errors import InputError
from dicom_node.ledger import queries, sessions, throttle, users
from dicom_node.ledger.database import Database
from dicom_node.ledger.users import Role

Change = Callable[[Database], bool]
TOKEN, IP = "t" * 64, "10.0.0.9"


@pytest.fixture
def ada(database: Database) -> int:
    """An admin who is logged in; their number."""
    assert users.add(database, "ada", "hash", Role.ADMIN, first=True)
    found = users.credentials(database, "ada")
    assert found
    sessions.enter(database, found.user_id, TOKEN, "c" * 64, IP, hours=1)
    return found.user_id


def events(database: Database, subject: str = "user:ada") -> list[str]:
    return [row.event for row in queries.audit_of(database, [subject])]


@pytest.mark.usefixtures("ada")
def test_the_first_user_is_added_once(database: Database) -> None:
    assert not users.add(database, "eve", "hash", Role.ADMIN, first=True)
    assert not users.add(database, "ada", "other", Role.VIEWER)
    assert users.add(database, "bob", "hash", Role.VIEWER)
    assert [(item.name, item.role) for item in users.everyone(database)] == [("ada", "admin"), ("bob", "viewer")]
    assert users.is_anyone(database)


@pytest.mark.usefixtures("ada")
def test_a_session_holds_until_it_is_left_and_is_audited(database: Database) -> None:
    session = sessions.find(database, TOKEN, 60, deed=True)
    assert session
    assert (session.user_name, session.role, session.csrf) == ("ada", "admin", "c" * 64)
    sessions.leave(database, session)
    assert sessions.find(database, TOKEN, 60, deed=True) is None
    assert events(database) == ["user.added", "session.opened", "session.closed"]


def test_a_session_ends_by_its_time_or_by_idleness(database: Database, ada: int) -> None:
    sessions.enter(database, ada, "u" * 64, "c", IP, hours=0)
    assert sessions.find(database, "u" * 64, 0, deed=True) is None
    assert sessions.find(database, TOKEN, 1e-9, deed=True) is None
    assert sessions.find(database, TOKEN, 0, deed=True) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda database: users.disable(database, "bob"),
        lambda database: users.set_role(database, "bob", Role.OPERATOR),
        lambda database: users.set_password(database, "bob", "new"),
    ],
)
def test_a_change_of_a_user_ends_their_sessions(database: Database, ada: int, change: Change) -> None:
    users.add(database, "bob", "hash", Role.VIEWER)
    sessions.enter(database, ada + 1, "b" * 64, "c", IP, hours=1)
    assert change(database)
    assert sessions.find(database, "b" * 64, 0, deed=False) is None
    assert sessions.find(database, TOKEN, 0, deed=False) is not None


@pytest.mark.usefixtures("ada")
def test_the_last_admin_stays(database: Database) -> None:
    for change in (users.disable, lambda database, name: users.set_role(database, name, Role.VIEWER)):
        with pytest.raises(InputError, match="last admin"):
            change(database, "ada")
    assert sessions.find(database, TOKEN, 0, deed=False) is not None
    assert not users.disable(database, "nobody")


def test_tries_wait_longer_each_time_and_a_success_takes_back_its_own_alone(database: Database) -> None:
    keys = {"name": 3, "address": 5}
    assert [throttle.attempt(database, keys, IP) for _ in range(3)] == [0, 0, 0]
    assert 0 < throttle.attempt(database, keys, IP) <= throttle.FIRST_WAIT_S
    throttle.succeeded(database, forget="name", uncount="address")
    assert [throttle.attempt(database, {"other": 9, "address": 5}, IP) for _ in range(3)] == [0, 0, 0]
    assert throttle.attempt(database, {"other": 9, "address": 5}, IP) > 0
    assert events(database, f"address:{IP}") == ["session.throttled", "session.throttled"]


def test_a_refusal_of_nobody_keeps_no_name(database: Database) -> None:
    sessions.refused(database, "", IP, "no such user, or a wrong password")
    assert events(database, "user:unknown") == ["session.refused"]


@pytest.mark.usefixtures("ada")
def test_who_acts_is_in_the_audit(database: Database) -> None:
    users.add(database.acting_as("user ada"), "bob", "hash", Role.VIEWER)
    assert [row.actor for row in queries.audit_of(database, ["user:bob"])] == ["user ada"]
    assert database.actor == "tests"
