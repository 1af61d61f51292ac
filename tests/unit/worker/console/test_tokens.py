"""Programs come by tokens: made, used, lowered, revoked and worn out; nothing else of the console opens to them."""

import hashlib
import html
import json
import re
from typing import Any

import pytest
from sqlalchemy import select

from dicom_node.errors import InputError
from dicom_node.ledger import queries, switches, tokens, users
from dicom_node.ledger.console_tables import console_token
from dicom_node.ledger.users import Role
from tests.unit.worker.console.conftest import As
from tests.unit.worker.console.visitor import Page, Visitor
from tests.unit.worker.test_retention import arrive, restore
from worker.console.accounts import ALLOWED_OF_ADDRESS, make_token
from worker.wiring import Node

SECRET = re.compile(r'<code class="secret">([^<]+)</code>')


@pytest.fixture
def people(node: Node) -> None:
    """One of each role, who never logged in."""
    for role in Role:
        users.add(node.database, f"the-{role}", "no password", role)


def made(node: Node, role: Role, days: float = 1, name: str = "grafana") -> str:
    return make_token(node.database, f"the-{role}", name, role, days)[0]


def get(visitor: Visitor, path: str, token: str) -> Page:
    return visitor.get(path, Authorization=f"Bearer {token}")


def post(visitor: Visitor, path: str, token: str, body: Any = None, **headers: str) -> Page:
    content = b"" if body is None else json.dumps(body).encode()
    more = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"} | headers
    return visitor.send(path, content, **more)


def test_a_person_makes_a_token_that_is_shown_once_and_revokes_it(operator: Visitor, node: Node) -> None:
    page = operator.post("/tokens", "/tokens", name="grafana", role="viewer", days="30")
    token = html.unescape(SECRET.findall(page.text)[0])
    assert page.headers["cache-control"] == "no-store"
    assert token not in operator.get("/tokens").text
    with node.database.reading() as connection:
        assert token not in str(connection.execute(select(console_token)).all())
    program = Visitor(operator.server)
    assert get(program, "/api/now", token).status == 200
    (entry,) = tokens.everyone(node.database)
    assert (entry.name, entry.user_name, entry.role) == ("grafana", "the-operator", "viewer")
    assert entry.used_at
    assert operator.post("/tokens/1/revoke", "/tokens").headers["location"] == "/tokens"
    assert "lets nobody in any more" in operator.get("/tokens").text
    refused = get(program, "/api/now", token)
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    noted = queries.audit_of(node.database, ["token:1"])
    assert [(row.event, row.actor) for row in noted] == [
        ("token.added", "user the-operator"), ("token.revoked", "user the-operator"),
    ]  # fmt: skip
    assert token not in str(noted)


def test_nobody_makes_more_of_a_token_than_they_are(operator: Visitor, node: Node) -> None:
    assert operator.post("/tokens", "/tokens", name="x", role="admin", days="30").status == 400
    for bad in ({"role": "king"}, {"days": "0"}, {"days": "1e9"}, {"days": "nan"}, {"days": "400"}, {"name": "<b>"}):
        form = {"name": "x", "role": "viewer", "days": "30"} | bad
        assert operator.post("/tokens", "/tokens", **form).status == 400
    assert tokens.everyone(node.database) == []
    with pytest.raises(InputError, match="there is no user 'nobody'"):
        make_token(node.database, "nobody", "x", Role.VIEWER, 1)


def test_others_tokens_are_an_admins_to_see_and_to_revoke(as_: As, operator: Visitor, node: Node) -> None:
    operator.post("/tokens", "/tokens", name="nightly", role="viewer", days="30")
    viewer, admin = as_(Role.VIEWER), as_(Role.ADMIN)
    assert "nightly" not in viewer.get("/tokens").text
    assert json.loads(viewer.get("/api/tokens").text) == {"tokens": []}
    assert viewer.post("/tokens/1/revoke", "/tokens").status == 404
    assert tokens.everyone(node.database)[0].revoked_at is None
    assert "nightly" in admin.get("/tokens").text
    assert admin.post("/tokens/1/revoke", "/tokens").status == 303
    assert tokens.everyone(node.database)[0].revoked_at


@pytest.mark.usefixtures("people")
def test_what_ends_a_user_ends_their_tokens(stranger: Visitor, node: Node) -> None:
    token = made(node, Role.OPERATOR)
    assert post(stranger, "/api/pause", token).status == 200
    users.set_role(node.database, "the-operator", Role.VIEWER)
    lower = post(stranger, "/api/resume", token)
    assert (lower.status, lower.text) == (403, '{"error":"This is for the role operator. Ask an admin of this node."}')
    users.disable(node.database, "the-operator")
    assert get(stranger, "/api/now", token).status == 401


@pytest.mark.usefixtures("people")
def test_a_token_wears_out(stranger: Visitor, node: Node) -> None:
    token = made(node, Role.VIEWER, days=1e-9)
    assert get(stranger, "/api/now", token).status == 401


@pytest.mark.usefixtures("people")
def test_a_token_opens_data_alone_and_beats_the_cookie(as_: As, stranger: Visitor, node: Node) -> None:
    token = made(node, Role.ADMIN)
    for path in ("/", "/tokens", "/series", "/api"):
        assert get(stranger, path, token).headers["location"].startswith("/login")
    assert stranger.send("/tokens", b"name=x", Authorization=f"Bearer {token}").status == 303
    assert get(stranger, "/metrics", token).status == 200
    assert stranger.get("/metrics", **{"X-Forwarded-For": "10.0.0.9"}).status == 403
    assert stranger.get("/metrics", Authorization=f"Bearer {token}", **{"X-Forwarded-For": "10.0.0.9"}).status == 200
    assert get(as_(Role.VIEWER), "/api/now", "wrong").status == 401


@pytest.mark.usefixtures("people")
def test_an_act_is_the_forms_act_in_the_tokens_name(stranger: Visitor, node: Node) -> None:
    token = made(node, Role.OPERATOR)
    restore(node, arrive(node), doubt="the result contradicts its source")
    detail = json.loads(get(stranger, "/api/series/1", token).text)
    assert detail["acts"] == ["again", "cancel", "reject", "release", "retry"]
    assert post(stranger, "/api/series/1/release", token, {}).status == 400
    answer = post(stranger, "/api/series/1/release", token, {"reason": "looked  at it"})
    assert json.loads(answer.text) == {"sentence": "Job 1 is released.", "ok": True}
    row = next(row for row in queries.audit_of(node.database, ["job:1"]) if row.event == "job.released")
    assert row.actor == "token grafana of the-operator"
    assert "looked at it" in row.detail
    assert post(stranger, "/api/series/9/cancel", token, {}).status == 404
    assert post(stranger, "/api/partners/nobody/echo", token).status == 404
    assert post(stranger, "/api/commitments/9/report", token, {}).status == 404


@pytest.mark.usefixtures("people")
def test_what_is_no_json_of_ours_does_nothing(stranger: Visitor, node: Node) -> None:
    token = made(node, Role.OPERATOR)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert post(stranger, "/api/pause", token, {}, **form).status == 415
    assert post(stranger, "/api/pause", token, {}, **{"Content-Type": "text/plain"}).status == 415
    for bad in ([], "x", {"reason": 1}, {"why": "x"}, {"reason": "x" * 201}, {"reason": "a\0b"}, 7):
        assert post(stranger, "/api/pause", token, bad).status == 400, bad
    assert post(stranger, "/api/pause", token, {"reason": "x" * 70_000}).status == 413
    nested = stranger.send(
        "/api/pause", b"[" * 60_000, **{"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    )
    assert nested.status == 400
    assert switches.paused(node.database) is None


def test_a_browser_s_cookie_acts_with_its_secret_alone(operator: Visitor, node: Node) -> None:
    kind, origin = {"Content-Type": "application/json"}, {"Origin": "https://evil.example.org"}
    secret = {"X-CSRF": operator.get("/").csrf}
    assert operator.send("/api/pause", b"{}", **kind).status == 403
    assert operator.send("/api/pause", b"{}", **kind, **{"X-CSRF": "guessed"}).status == 403
    assert operator.send("/api/pause", b"{}", **kind, **secret, **origin).status == 403
    assert switches.paused(node.database) is None
    assert operator.send("/api/pause", b'{"reason": "mine"}', **kind, **secret).status == 200
    assert switches.paused(node.database)


@pytest.mark.usefixtures("people")
def test_tokens_are_guessed_only_so_often_and_right_ones_go_on(stranger: Visitor, node: Node) -> None:
    token = made(node, Role.VIEWER)
    codes = [get(stranger, "/api/now", f"guess{number}").status for number in range(ALLOWED_OF_ADDRESS + 1)]
    assert codes == [401] * ALLOWED_OF_ADDRESS + [429]
    late = get(stranger, "/api/now", "one more")
    assert (late.status, int(late.headers["retry-after"]) > 0) == (429, True)
    assert get(stranger, "/api/now", token).status == 200


@pytest.mark.usefixtures("people")
def test_pages_go_on_by_their_link(stranger: Visitor, node: Node) -> None:
    token = made(node, Role.VIEWER)
    for number in range(26):
        switches.pause(node.database, str(number))
        switches.resume(node.database, str(number))
    first = json.loads(get(stranger, "/api/audit?actor=tests", token).text)
    second = json.loads(get(stranger, first["next"], token).text)
    assert [row["seq"] for row in first["rows"] + second["rows"]] == list(range(56, 0, -1))
    assert (len(first["rows"]), second["next"]) == (50, None)
    assert second["rows"][0]["at"].endswith("Z")


@pytest.mark.usefixtures("people")
def test_what_is_asked_wrongly_is_said(stranger: Visitor, node: Node) -> None:
    token = made(node, Role.VIEWER)
    wrong = {
        "/api/series?state=bogus": "there is no such state",
        "/api/series?before=x": "before is no place",
        "/api/series?stat=held": "stat: ",
        "/api/series?text=1&text=2": "asked for twice",
        "/api/series?text=%00": "a character that no text has",
        "/api/jobs?state=receiving": "there is no such state",
    }
    for path, sentence in wrong.items():
        answer = get(stranger, path, token)
        assert (answer.status, sentence in json.loads(answer.text)["error"]) == (400, True), (path, answer.text)
    for path in ("/api/series/99", "/api/deliveries/99", "/api/series/99999999999999999999", "/api/nothing"):
        assert json.loads(get(stranger, path, token).text)["error"]
        assert get(stranger, path, token).status == 404
    assert post(stranger, "/api/now", token).status == 405


def test_digests_alone_are_kept(node: Node) -> None:
    users.add(node.database, "ada", "no password", Role.ADMIN)
    token, entry = make_token(node.database, "ada", "x", Role.ADMIN, 1)
    found = tokens.find(node.database, hashlib.sha256(token.encode()).hexdigest())
    assert found
    assert found.token_id == entry.id
    assert token.startswith("thinslice_")
