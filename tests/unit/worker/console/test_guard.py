"""The guard in front of every page: who asks, may they, did they mean it."""

import socket
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from dicom_node.ledger import queries, switches
from dicom_node.ledger.users import Role
from tests.unit.worker.console.conftest import As
from tests.unit.worker.console.visitor import Visitor
from worker.console import patience
from worker.console.doors import DOORS, Door
from worker.wiring import Node

GUARDED = [door for door in DOORS if door.role is not None]
OPEN = {"/login", "/first", "/oidc/begin", "/oidc/back", "/healthz", "/readyz", "/metrics"}
EXAMPLES = {
    "{series:int}": "1", "{job:int}": "1", "{act}": "cancel", "{name}": "main",
    "{request:int}": "1", "{delivery:int}": "1", "{token:int}": "1", "{plane}": "coronal", "{kind}": "thin",
}  # fmt: skip


def address(door: Door) -> str:
    path = door.path
    for name, example in EXAMPLES.items():
        path = path.replace(name, example)
    return path


def test_what_is_open_is_this_and_nothing_else() -> None:
    assert {door.path for door in DOORS if door.role is None} == OPEN


def test_strangers_see_nothing(stranger: Visitor, as_: As) -> None:
    as_(Role.ADMIN)
    for door in GUARDED:
        answer = stranger.get(address(door)) if door.method == "GET" else stranger.post(address(door), csrf="x")
        assert answer.status == (401 if door.is_data else 303), door.path
        assert door.is_data or answer.headers["location"].startswith("/login"), door.path


def test_the_server_refuses_lower_roles(as_: As, node: Node) -> None:
    lower = {Role.OPERATOR: as_(Role.VIEWER), Role.ADMIN: as_(Role.OPERATOR)}
    for door in GUARDED:
        if door.role in lower:
            visitor = lower[door.role]
            answer = visitor.get(address(door)) if door.method == "GET" else visitor.post(address(door), "/")
            assert answer.status == 403, door.path
            assert f"This is for the role {door.role}" in answer.text
    assert switches.paused(node.database) is None


def test_every_answer_has_the_headers(viewer: Visitor, stranger: Visitor) -> None:
    answers = [viewer.get("/"), viewer.get("/nowhere"), stranger.get("/"), stranger.get("/healthz")]
    answers += [stranger.get("/static/style.css"), stranger.get("/", Host="evil.example.org")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert answers[0].headers["cache-control"] == "no-store"
    assert "server" not in answers[0].headers


def test_no_page_needs_an_exception_from_the_policy(admin: Visitor) -> None:
    for door in GUARDED:
        if door.method == "GET" and "{" not in door.path and not door.is_data:
            content = admin.get(door.path).text
            assert " style=" not in content
            assert "<style" not in content
            assert "javascript:" not in content
            assert content.count("<script") == content.count('<script src="/static/')


def test_other_names_of_the_host_are_refused(stranger: Visitor) -> None:
    assert stranger.get("/login", Host="evil.example.org").status == 400
    assert stranger.get("/login", Host="localhost").status == 303


def test_a_form_without_its_secret_does_nothing(operator: Visitor, node: Node) -> None:
    for secret in ("", "guessed", "secret-viewer"):
        assert operator.post("/pause", csrf=secret).status == 403
    assert switches.paused(node.database) is None
    assert operator.post("/pause", "/").status == 303
    assert switches.paused(node.database) is not None


def test_a_form_from_elsewhere_does_nothing(operator: Visitor, node: Node) -> None:
    body = f"csrf={operator.get('/').csrf}".encode()
    for origin in ("https://evil.example.org", "null"):
        assert operator.send("/pause", body, Origin=origin).status == 403
    assert switches.paused(node.database) is None
    assert operator.send("/pause", body, Origin=operator.server.local_url).status == 303


def test_a_deed_is_never_a_get(operator: Visitor, node: Node) -> None:
    for path in ("/pause", "/series/1/cancel", "/logout"):
        assert operator.get(path).status in (404, 405)
    assert switches.paused(node.database) is None


def test_what_is_too_long_is_not_read(operator: Visitor) -> None:
    answer = operator.send("/pause", b"reason=" + b"x" * 100_000)
    assert answer.status == 413
    assert "The form is longer than anything" in answer.text


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: localh"])
def test_who_does_not_finish_a_request_is_hung_up_on(
    stranger: Visitor, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(patience, "HEADERS_S", 0.2)
    place = urlsplit(stranger.server.local_url)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=20) as connection:
        connection.sendall(begun)
        assert connection.recv(1) == b""
    assert stranger.get("/healthz").status == 200


def test_a_page_that_there_is_not_is_a_sentence(viewer: Visitor) -> None:
    for path in ("/nowhere", "/series/99", "/series/1/1/../../etc-passwd.png"):
        answer = viewer.get(path)
        assert answer.status in (400, 404)
        assert "That did not work" in answer.text or path.endswith(".png")
        assert "Traceback" not in answer.text
    assert "There is no series 99." in viewer.get("/series/99").text


def test_a_ledger_that_fails_is_a_sentence(viewer: Visitor, node: Node) -> None:
    with node.database.transaction() as connection:
        connection.execute(text("ALTER TABLE circuit RENAME TO gone"))
    answer = viewer.get("/")
    assert answer.status == 503
    assert "the ledger could not be read" in answer.text.lower()
    assert viewer.get("/api/now").status == 503


def test_refreshing_is_no_deed_and_asks_for_the_inside_alone(viewer: Visitor) -> None:
    inside = viewer.get("/", **{"X-Live": "1"})
    assert inside.status == 200
    assert "<html" not in inside.text
    assert "headline" in inside.text
    viewer.cookies.clear()
    assert viewer.get("/", **{"X-Live": "1"}).status == 401


def test_acts_are_audited_in_the_persons_name(operator: Visitor, node: Node) -> None:
    operator.post("/pause", "/", reason="a new GPU")
    (row,) = [row for row in queries.audit_of(node.database, ["node"]) if row.event == "claims.paused"]
    assert row.actor == "user the-operator"
    assert "a new GPU" in row.detail
