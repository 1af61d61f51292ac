"""Users, sessions and the throttle of the console, on each database."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from dicom_node.errors import InputError
from dicom_node.ledger import issued, queries, sessions, throttle, users
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


def test_a_first_password_has_its_time_and_says_so(database: Database, ada: int) -> None:
    users.add(database, "bob", "hash", Role.VIEWER, good_for=timedelta(days=7), reason="is new")
    users.add(database, "eve", "hash", Role.VIEWER, good_for=timedelta(seconds=-1))
    assert [getattr(users.credentials(database, name), "expired", None) for name in ("ada", "bob", "eve")] == [
        False, False, True,
    ]  # fmt: skip
    sessions.enter(database, ada + 1, "b" * 64, "c", IP, hours=1)
    found = sessions.find(database, "b" * 64, 0, deed=False)
    assert found
    assert found.is_first
    users.set_password(database, "bob", "of their own")
    sessions.enter(database, ada + 1, "b" * 64, "c", IP, hours=1)
    found = sessions.find(database, "b" * 64, 0, deed=False)
    assert found
    assert not found.is_first
    assert "is new" in queries.audit_of(database, ["user:bob"])[0].detail


def test_sessions_are_shown_and_ended(database: Database, ada: int) -> None:
    for token in ("b", "d", "e"):
        sessions.enter(database, ada, token * 64, "c", IP, hours=1)
    users.add(database, "bob", "hash", Role.VIEWER)
    sessions.enter(database, ada + 1, "f" * 64, "c", IP, hours=1)
    assert {item.handle[0] for item in sessions.opened(database, "ada")} == {"t", "b", "d", "e"}
    assert len(sessions.opened(database)) == 5
    assert sessions.end(database, "ada", handle="f" * sessions.HANDLE) == 0, "that is bob's"
    assert sessions.end(database, "ada", handle="b" * sessions.HANDLE) == 1
    assert sessions.end(database, "ada", but=TOKEN, reason="a lost telephone") == 2
    assert [item.handle[0] for item in sessions.opened(database, "ada")] == ["t"]
    assert events(database)[-2:] == ["session.ended", "session.ended"]
    assert sessions.find(database, "f" * 64, 0, deed=False)


def test_who_is_sent_by_an_issuer_has_its_role_and_a_name_of_their_own(database: Database, ada: int) -> None:
    first = issued.arrive(database, "https://a", "1", "ada", Role.VIEWER)
    assert (first.name, first.disabled) == ("ada.2", False)
    assert issued.arrive(database, "https://b", "1", "ada", Role.VIEWER).name == "ada.3"
    long = issued.arrive(database, "https://b", "2", "x" * 59, Role.VIEWER).name
    assert issued.arrive(database, "https://b", "3", long, Role.VIEWER).name == "x" * 57 + ".2"
    sessions.enter(database, first.user_id, "b" * 64, "c", IP, hours=1)
    assert issued.arrive(database, "https://a", "1", "other", Role.VIEWER) == first
    found = sessions.find(database, "b" * 64, 0, deed=False)
    assert found
    assert found.issuer == "https://a"
    assert issued.arrive(database, "https://a", "1", "ada", Role.ADMIN) == first
    assert sessions.find(database, "b" * 64, 0, deed=False) is None
    for change in (
        lambda: users.set_role(database, "ada.2", Role.VIEWER),
        lambda: users.set_password(database, "ada.2", "h"),
    ):
        with pytest.raises(InputError, match="comes by https://a"):
            change()
    users.disable(database, "ada.2")
    assert issued.arrive(database, "https://a", "1", "ada", Role.OPERATOR).disabled
    assert events(database, "user:ada.2") == ["user.added", "session.opened", "user.role.admin", "user.disabled"]
    assert ada


@pytest.mark.usefixtures("ada")
def test_who_acts_is_in_the_audit(database: Database) -> None:
    users.add(database.acting_as("user ada"), "bob", "hash", Role.VIEWER)
    assert [row.actor for row in queries.audit_of(database, ["user:bob"])] == ["user ada"]
    assert database.actor == "tests"
