"""The first user, logging in, and what an attacker tries there."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from dicom_node.ledger import queries, sessions, users
from dicom_node.ledger.users import Role
from tests.unit.worker.console.visitor import Page, Visitor
from tests.unit.worker.nodes import open_at
from worker.console import accounts
from worker.console.accounts import ALLOWED_OF_ADDRESS, ALLOWED_OF_NAME, hash_password
from worker.console.serving import ConsoleServer
from worker.wiring import Node

PASSWORD = "a sentence is a good one"


@pytest.fixture
def ada(node: Node) -> None:
    """A user with a password."""
    users.add(node.database, "ada", hash_password(PASSWORD), Role.OPERATOR)


def begin(visitor: Visitor, token: str, password: str = PASSWORD, again: str = PASSWORD) -> Page:
    return visitor.post("/first", "/first", token=token, name="Ada", password=password, again=again)


def test_the_token_of_the_output_makes_the_first_admin(stranger: Visitor, node: Node) -> None:
    first = urlsplit(stranger.server.first_url)
    (token,) = parse_qs(first.query)["token"]
    assert stranger.get("/").headers["location"] == "/first"
    assert "not the token" in begin(stranger, "guessed").text
    assert "12 to 200 characters" in begin(stranger, token, "short", "short").text
    assert "two passwords differ" in begin(stranger, token, again="another").text
    assert not users.is_anyone(node.database)
    assert begin(stranger, token).headers["location"] == "/"
    assert stranger.get("/").status == 200
    assert [(item.name, item.role) for item in users.everyone(node.database)] == [("ada", "admin")]


@pytest.mark.usefixtures("ada")
def test_once_there_is_a_user_the_token_is_worth_nothing(stranger: Visitor, node: Node) -> None:
    token = "anything"
    assert stranger.get(f"/first?token={token}").headers["location"] == "/login"
    assert stranger.post("/first", "/login", token=token, name="eve", password=PASSWORD, again=PASSWORD).status == 303
    assert len(users.everyone(node.database)) == 1


@pytest.mark.usefixtures("ada")
def test_login_leads_where_one_wanted_to_go(stranger: Visitor) -> None:
    answer = stranger.login("ADA ", PASSWORD, "/series")
    assert (answer.status, answer.headers["location"]) == (303, "/series")
    assert "<b>ada</b> <span>operator" in stranger.get("/").text


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    "to", ["https://evil.example.org/", "//evil.example.org", "/\\evil.example.org", "/\t/evil", "evil"]
)
def test_login_leads_nowhere_else(stranger: Visitor, to: str) -> None:
    assert stranger.login("ada", PASSWORD, to).headers["location"] == "/"


@pytest.mark.usefixtures("ada")
def test_the_cookie_is_for_no_script_and_no_other_site(stranger: Visitor) -> None:
    stranger.login("ada", PASSWORD)
    (cookie,) = [line for line in stranger.set_cookies if line.startswith("thinslice=")]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))


@pytest.mark.usefixtures("ada")
def test_a_token_that_was_there_before_is_worth_nothing_after(stranger: Visitor, node: Node) -> None:
    """Session fixation: the victim's browser has a token that the attacker knows."""
    stranger.cookies["thinslice"] = "chosen-by-the-attacker"
    stranger.login("ada", PASSWORD)
    assert stranger.cookies["thinslice"] != "chosen-by-the-attacker"
    assert Visitor(stranger.server, {"thinslice": "chosen-by-the-attacker"}).get("/").status == 303
    first = stranger.cookies["thinslice"]
    stranger.login("ada", PASSWORD)
    assert stranger.cookies["thinslice"] != first
    with node.database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT token_sha256 FROM console_session").scalars().all()
    assert first not in kept


@pytest.mark.usefixtures("ada")
def test_logout_ends_the_session_on_the_server(stranger: Visitor) -> None:
    stranger.login("ada", PASSWORD)
    thief = Visitor(stranger.server, dict(stranger.cookies))
    assert thief.get("/").status == 200
    assert stranger.post("/logout", "/").headers["location"] == "/login"
    assert thief.get("/").status == 303


@pytest.mark.usefixtures("ada")
def test_a_stranger_learns_nothing_about_who_there_is(stranger: Visitor, node: Node) -> None:
    wrong, nobody = stranger.login("ada", "wrong"), stranger.login("nobody", "wrong")
    users.add(node.database, "bob", hash_password(PASSWORD), Role.ADMIN)
    users.disable(node.database, "ada")
    disabled = stranger.login("ada", PASSWORD)
    assert [page.status for page in (wrong, nobody, disabled)] == [403, 403, 403]
    assert all(accounts.REFUSED in page.text for page in (wrong, nobody, disabled))
    noted = [row.subject for row in queries.audit_of(node.database, ["user:ada", "user:unknown"])]
    assert noted.count("user:unknown") == 1
    assert noted.count("user:nobody") == 0


@pytest.mark.usefixtures("ada")
def test_a_name_is_tried_only_so_often(stranger: Visitor) -> None:
    for _ in range(ALLOWED_OF_NAME):
        assert accounts.REFUSED in stranger.login("ada", "wrong").text
    assert "Too many logins failed" in stranger.login("ada", PASSWORD).text


def test_an_address_is_tried_only_so_often(node: Node) -> None:
    users.add(node.database, "ada", hash_password(PASSWORD), Role.ADMIN)
    door = accounts.Accounts(node.database, node.settings.console)
    sentences = []
    for number in range(ALLOWED_OF_ADDRESS + 1):
        with pytest.raises(accounts.LoginRefused) as refused:
            door.login(f"name{number}", "wrong", "10.0.0.9")
        sentences.append(str(refused.value))
    assert sentences[:-1] == [accounts.REFUSED] * ALLOWED_OF_ADDRESS
    assert sentences[-1].startswith("Too many")
    assert door.login("ada", PASSWORD, "10.0.0.10")


@pytest.mark.usefixtures("ada")
def test_a_login_needs_the_form_of_this_browser(stranger: Visitor) -> None:
    """Login CSRF: another site must not log somebody in as the attacker."""
    stranger.get("/login")
    assert stranger.post("/login", csrf="x", name="ada", password=PASSWORD).status == 403


@pytest.mark.usefixtures("ada")
def test_another_role_ends_the_sessions(stranger: Visitor, node: Node) -> None:
    users.add(node.database, "bob", "hash", Role.ADMIN)
    stranger.login("ada", PASSWORD)
    users.set_role(node.database, "ada", Role.VIEWER)
    assert stranger.get("/").status == 303


def test_behind_tls_the_cookie_travels_by_tls_alone(tmp_path: Path) -> None:
    node = open_at(tmp_path, console='port = 0\npublic_url = "https://thinslice.example.org"')
    users.add(node.database, "ada", hash_password(PASSWORD), Role.ADMIN)
    server = ConsoleServer(node)
    server.start()
    try:
        visitor = Visitor(server)
        answer = visitor.login("ada", PASSWORD)
        (cookie,) = [line for line in visitor.set_cookies if line.startswith("__Host-thinslice=")]
        assert "Secure" in cookie.split("; ")
        assert answer.headers["strict-transport-security"]
        assert visitor.get("/login", Host="thinslice.example.org").status == 200
    finally:
        server.stop()


def test_an_idle_session_is_over_though_its_page_refreshes(node: Node) -> None:
    users.add(node.database, "ada", hash_password(PASSWORD), Role.ADMIN)
    door = accounts.Accounts(node.database, node.settings.console.model_copy(update={"idle_minutes": 1e-9}))
    token = door.login("ada", PASSWORD, "127.0.0.1")
    assert door.session(token, deed=False) is None
    assert sessions.find(node.database, "x", 0, deed=False) is None
