"""Logging in by an OpenID provider: a real one in its own process, and one that lies."""

import re
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from typer.testing import CliRunner

from dicom_node.ledger import browse, queries, users
from dicom_node.ledger.browse import AuditFilter
from dicom_node.ledger.users import Role
from tests.openid import CLIENT, Liar, liar, provider, signing_key
from tests.processes import free_port
from tests.unit.worker.console.visitor import Page, Visitor
from tests.unit.worker.nodes import open_at
from worker.cli.main import app
from worker.console.accounts import ALLOWED_OF_ADDRESS, hash_password
from worker.console.serving import ConsoleServer
from worker.wiring import Node

SECRET = "a secret of thirty-two characters"
ROLES = 'viewer = ["ct-staff"]\noperator = ["ct-operators"]\nadmin = ["ct-admins", "ct-chiefs"]'


def open_node(folder: Path, issuer: str, more: str = "", oidc: str = "") -> Node:
    """A node whose people come by this issuer."""
    (folder / "secret.txt").write_text(f"{SECRET}\n")
    port = free_port()
    keys = f'issuer = "{issuer}"\nclient_id = "{CLIENT}"\nclient_secret_file = "secret.txt"\n{oidc}'
    return open_at(
        folder,
        receive="port = 0",
        console=f'port = {port}\npublic_url = "http://127.0.0.1:{port}"\npreviews = "{folder}/previews"\n{more}',
        **{"console.oidc": keys, "console.oidc.roles": ROLES},
    )


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real provider."""
    people: dict[str, dict[str, Any]] = {
        "ada": {"preferred_username": "Ada Lovelace", "roles": ["something", "ct-operators", "ct-staff"]},
        "eve": {"preferred_username": "eve", "roles": ["parking"]},
    }
    with provider(tmp_path_factory.mktemp("openid"), **people) as name:
        yield name


@pytest.fixture
def node(tmp_path: Path, issuer: str) -> Node:
    """A node whose people come by the real provider."""
    return open_node(tmp_path, issuer)


@pytest.fixture
def lies() -> Iterator[Liar]:
    """The other provider."""
    with liar() as one:
        yield one


@pytest.fixture
def victim(tmp_path: Path, lies: Liar) -> Iterator[Visitor]:
    """Somebody at a console that believes the other provider."""
    server = ConsoleServer(open_node(tmp_path, lies.issuer))
    server.start()
    yield Visitor(server)
    server.stop()


def sent_back(visitor: Visitor, subject: str, to: str = "/series") -> str:
    """Address to which the real provider sends somebody back who logs in as this subject."""
    begun = visitor.get(f"/oidc/begin?next={to}")
    body = urlencode({"sub": subject}).encode()
    place = urlsplit(begun.headers["location"])
    connection = HTTPConnection("127.0.0.1", place.port or 0, timeout=20)
    headers = {"Host": place.netloc, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", f"{place.path}?{place.query}", body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"


def lied_to(victim: Visitor, lies: Liar) -> Page:
    """What comes of a login at the other provider."""
    return victim.get(lies.authorize(victim.get("/oidc/begin").headers["location"]))


def trouble(page: Page) -> str:
    found = re.search(r'role="alert">([^<]*)<', page.text)
    return found[1].replace("&#39;", "'") if found else ""


def refusals(visitor: Visitor) -> list[str]:
    """Details of the refused logins in the audit trail."""
    rows = browse.audit_page(visitor.server._node.database, AuditFilter(event="session.refused"))
    return [row.detail for row in rows]


def test_who_the_provider_gives_a_role_comes_in_and_goes_where_they_wanted(stranger: Visitor, node: Node) -> None:
    assert "Log in with your hospital account" in stranger.get("/login").text
    entered = stranger.get(sent_back(stranger, "ada"))
    assert entered.status == 200
    assert 'http-equiv="refresh" content="0;url=/series"' in entered.text
    (cookie,) = [line for line in stranger.set_cookies if line.startswith("thinslice=")]
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert "thinslice-oidc" not in stranger.cookies
    assert "<b>ada.lovelace</b> <span>operator" in stranger.get("/").text
    (user,) = users.everyone(node.database)
    assert (user.name, user.role, user.issuer) == ("ada.lovelace", "operator", node.settings.console.oidc.issuer)  # type: ignore[union-attr]
    events = [row.event for row in queries.audit_of(node.database, ["user:ada.lovelace"])]
    assert events == ["user.added", "session.opened"]
    assert "localhost" in queries.audit_of(node.database, ["user:ada.lovelace"])[1].detail
    stranger.post("/logout", "/")
    assert stranger.get("/").status == 303


def test_who_has_no_role_is_not_let_in(stranger: Visitor, node: Node) -> None:
    refused = stranger.get(sent_back(stranger, "eve"))
    assert refused.status == 403
    assert trouble(refused) == "The identity provider gives eve no role here. Ask an admin of this node."
    assert users.everyone(node.database) == []
    assert "no role here" in refusals(stranger)[0]


def test_who_says_no_at_the_provider_is_told_so(stranger: Visitor) -> None:
    state = parse_qs(urlsplit(stranger.get("/oidc/begin").headers["location"]).query)["state"][0]
    denied = stranger.get(f"/oidc/back?error=access_denied&error_description=<b>&state={state}")
    assert trouble(denied) == "The identity provider has let nobody in (access_denied)."
    stranger.get("/oidc/begin")
    assert stranger.get("/oidc/back?error=%3Cscript%3E").text.count("<script") == 1  # ours


def test_a_code_is_worth_something_once_and_in_one_browser(stranger: Visitor) -> None:
    address = sent_back(stranger, "ada")
    thief = Visitor(stranger.server)
    assert "not begun here" in trouble(thief.get(address))
    before = dict(stranger.cookies)
    assert stranger.get(address).status == 200
    again = Visitor(stranger.server, before)
    assert "(invalid_grant)" in trouble(again.get(address))
    assert "thinslice" not in again.cookies


def test_the_cookie_of_a_login_under_way_is_lax_and_short(stranger: Visitor) -> None:
    begun = stranger.get("/oidc/begin?next=//evil.example.org")
    (cookie,) = stranger.set_cookies
    assert {"HttpOnly", "SameSite=lax", "Max-Age=600"} <= set(cookie.split("; "))
    assert cookie.startswith("thinslice-oidc=")
    assert "evil" not in cookie
    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    secret = stranger.cookies["thinslice-oidc"].partition(".")[0]
    assert secret not in begun.headers["location"]
    assert len({asked[name][0] for name in ("state", "nonce", "code_challenge")}) == 3


def test_the_other_provider_can_tell_the_truth(victim: Visitor, lies: Liar) -> None:
    """And leads nowhere but into the console."""
    begun = victim.get("/oidc/begin?next=/%09/evil.example.org")
    entered = victim.get(lies.authorize(begun.headers["location"]))
    assert (entered.status, 'content="0;url=/"' in entered.text) == (200, True)
    assert "<b>ada</b> <span>operator" in victim.get("/").text


LIES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"nonce": "of another login"}, {}, "(nonce)"),
    ({"nonce": None}, {}, "(nonce)"),
    ({"aud": "another program"}, {}, "(aud)"),
    ({"aud": [CLIENT, "another"]}, {}, "for another program"),
    ({"aud": [CLIENT, "another"], "azp": "another"}, {}, "for another program"),
    ({"iss": "https://evil.example.org"}, {}, "(iss)"),
    ({"exp": 1}, {}, "too old"),
    ({"exp": None}, {}, "(exp)"),
    ({"iat": 9_999_999_999}, {}, "(iat)"),
    ({"sub": None}, {}, "(sub)"),
    ({"sub": "x" * 256}, {}, "does not say who came"),
    ({"roles": None}, {}, "no role"),
    ({"roles": {"ct-admins": True}}, {}, "no role"),
    ({}, {"alg": "none"}, "not signed"),
    ({}, {"alg": "HS256"}, "not signed"),
    ({}, {"kid": "unknown"}, "not signed"),
]


def test_a_false_word_lets_nobody_in(victim: Visitor, lies: Liar) -> None:
    for number, (lies.claims, lies.header, sentence) in enumerate(LIES, start=1):
        refused = lied_to(victim, lies)
        assert (refused.status, sentence in trouble(refused)) == (403, True), (lies.claims, lies.header)
        assert "thinslice" not in victim.cookies
        assert len(refusals(victim)) == number
        assert sentence in refusals(victim)[0]
    assert users.everyone(victim.server._node.database) == []


def test_who_tries_too_often_has_to_wait(victim: Visitor, lies: Liar) -> None:
    for _ in range(ALLOWED_OF_ADDRESS):
        assert "not begun here" in trouble(victim.get("/oidc/back?code=guessed&state=guessed"))
    assert "Too many logins failed" in trouble(lied_to(victim, lies))
    assert lies.logins, "the provider was not asked"


def test_a_word_signed_by_a_stranger_lets_nobody_in(victim: Visitor, lies: Liar) -> None:
    lies.shown_key, lies.header = signing_key("of a stranger"), {"kid": "of a stranger"}
    assert "not signed" in trouble(lied_to(victim, lies))


def test_an_odd_answer_is_a_sentence(victim: Visitor, lies: Liar) -> None:
    for lies.answer in ({"error": "invalid_client"}, {"error": "<script>"}, {"id_token": 7}, {"id_token": "x"}):
        refused = lied_to(victim, lies)
        assert (refused.status, bool(trouble(refused))) == (403, True), lies.answer
        assert "&lt;" not in refused.text


def test_a_provider_that_publishes_nonsense_is_not_asked(victim: Visitor, lies: Liar) -> None:
    for lies.published, sentence in (
        ({"issuer": "https://evil.example.org"}, "does not call itself"),
        ({"token_endpoint": "http://evil.example.org/token"}, "not by https"),
        ({"jwks_uri": None}, "does not name its addresses"),
        ({"more": "x" * 300_000}, "cannot be read"),
    ):
        refused = victim.get("/oidc/begin")
        assert (refused.status, sentence in trouble(refused)) == (503, True), sentence


def test_an_answer_that_names_another_issuer_is_not_taken(victim: Visitor, lies: Liar) -> None:
    """RFC 9207: the code of an honest provider must not be given to another one."""
    mixed = lies.authorize(victim.get("/oidc/begin").headers["location"])
    assert "Another identity provider" in trouble(victim.get(f"{mixed}&iss=https%3A%2F%2Fevil.example.org"))
    assert lies.logins, "the code was not spent"


def test_one_that_says_that_it_names_itself_has_to(victim: Visitor, lies: Liar) -> None:
    lies.published = {"authorization_response_iss_parameter_supported": True}
    assert "Another identity provider" in trouble(lied_to(victim, lies))
    named = lies.authorize(victim.get("/oidc/begin").headers["location"])
    assert victim.get(f"{named}&{urlencode({'iss': lies.issuer})}").status == 200


def test_the_role_is_asked_at_each_login_and_the_name_stays(victim: Visitor, lies: Liar) -> None:
    database = victim.server._node.database
    users.add(database, "ada", hash_password(SECRET), Role.ADMIN)
    lied_to(victim, lies)
    assert "<b>ada.2</b> <span>operator" in victim.get("/").text
    other = Visitor(victim.server)
    lies.claims = {"preferred_username": "Countess", "roles": "ct-chiefs"}
    lied_to(other, lies)
    assert "<b>ada.2</b> <span>admin" in other.get("/").text
    assert victim.get("/").status == 303, "the session of the old role has ended"
    assert users.credentials(database, "ada")
    users.disable(database, "ada.2")
    assert "you are not let in" in trouble(lied_to(Visitor(victim.server), lies))


def test_nobody_has_a_password_who_comes_by_a_provider(victim: Visitor, lies: Liar) -> None:
    lied_to(victim, lies)
    for guess in ("", "no password", SECRET):
        assert victim.server._node.settings.console.passwords
        assert Visitor(victim.server).login("ada", guess).status == 403
    assert "kept there" in victim.get("/me").text
    assert victim.post("/me/password", "/me", old="", new=SECRET, again=SECRET).status == 400


def test_new_keys_of_the_provider_are_asked_for(victim: Visitor, lies: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    lied_to(victim, lies)
    lies.key, lies.header = signing_key("two"), {"kid": "two"}
    assert "not signed" in trouble(lied_to(Visitor(victim.server), lies)), "they were asked for just now"
    monkeypatch.setattr("worker.console.provider.KEYS_AGAIN_S", 0.0)
    assert lied_to(Visitor(victim.server), lies).status == 200


def test_without_passwords_the_provider_is_the_only_way(tmp_path: Path, lies: Liar) -> None:
    node = open_node(tmp_path, lies.issuer, "passwords = false", 'role_claim = "realm.roles"')
    users.add(node.database, "bob", hash_password(SECRET), Role.ADMIN)
    server = ConsoleServer(node)
    server.start()
    try:
        visitor = Visitor(server)
        page = visitor.get("/login").text
        assert "password" not in page
        body = urlencode({"csrf": visitor.cookies["thinslice-form"], "name": "bob", "password": SECRET}).encode()
        assert "switched off" in trouble(visitor.send("/login", body))
        lies.claims = {"roles": None, "realm": {"roles": ["ct-admins"]}}
        assert lied_to(visitor, lies).status == 200
        assert 'action="/users"' not in visitor.get("/users").text
        assert "switched off" in trouble(visitor.post("/users", "/users", name="eve", role="admin"))
    finally:
        server.stop()


def test_a_provider_that_is_away_is_said_on_the_page_and_by_check_config(tmp_path: Path) -> None:
    node = open_node(tmp_path, f"http://127.0.0.1:{free_port()}")
    server = ConsoleServer(node)
    server.start()
    try:
        away = Visitor(server).get("/oidc/begin")
        assert (away.status, trouble(away)) == (503, "The identity provider does not answer.")
    finally:
        server.stop()
    runner = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"})
    config = str(tmp_path / "settings.toml")
    assert "The identity provider does not answer" in runner.invoke(app, ["check-config", "-c", config]).output
    (tmp_path / "secret.txt").unlink()
    assert "client_secret_file" in str(runner.invoke(app, ["check-config", "-c", config]).exception)
