"""Admins see to users, and everybody to themselves."""

import re

from dicom_node.ledger import queries, sessions, users
from dicom_node.ledger.browse import PAGE
from dicom_node.ledger.users import Role
from tests.unit.worker.console.test_acting import said
from tests.unit.worker.console.visitor import Page, Visitor
from worker.console.accounts import hash_password
from worker.console.serving import ConsoleServer
from worker.wiring import Node

PASSWORD, OTHER = "a sentence is a good one", "another sentence is good"
SECRET = re.compile(r'class="secret"><code>([^<]+)<')


def added(admin: Visitor, name: str, role: str = "viewer") -> str:
    """The first password of somebody who was added."""
    page = admin.post("/users", "/users", name=name, role=role, reason="is new")
    found = SECRET.search(page.text)
    assert found, page.text
    assert page.headers["cache-control"] == "no-store"
    return found[1]


def change(visitor: Visitor, old: str, new: str, again: str = "") -> Page:
    return visitor.post("/me/password", "/me", old=old, new=new, again=again or new)


def events(node: Node, name: str) -> list[tuple[str, str]]:
    return [(row.event, row.actor) for row in queries.audit_of(node.database, [f"user:{name}"])]


def test_somebody_is_added_and_does_nothing_before_they_have_a_password_of_their_own(
    admin: Visitor, node: Node, server: ConsoleServer
) -> None:
    password = added(admin, "Vera", "operator")
    assert password not in admin.get("/users").text
    assert "first password" in admin.get("/users").text
    vera = Visitor(server)
    assert vera.login("vera", password).status == 303
    for path in ("/", "/series", "/audit"):
        assert vera.get(path).headers["location"] == "/me"
    assert vera.get("/api/now").status == 403
    assert vera.post("/pause", "/me").headers["location"] == "/me"
    assert "which somebody else knows" in vera.get("/me").text
    assert "is the old one" in change(vera, password, password).text
    before = dict(vera.cookies)
    assert change(vera, password, OTHER).headers["location"] == "/"
    assert vera.get("/").status == 200
    assert Visitor(server, before).get("/").status == 303, "the session of the first password has ended"
    assert Visitor(server).login("vera", password).status == 403
    assert events(node, "vera")[0] == ("user.added", "user the-admin")
    assert ("user.password", "user vera") in events(node, "vera")
    assert password not in "".join(row.detail for row in queries.audit_of(node.database, ["user:vera"]))


def test_who_cannot_be_added_is_a_sentence(admin: Visitor) -> None:
    for name, role, sentence in (
        ("the-admin", "viewer", "There is a user the-admin already."),
        ("a b", "viewer", "A user name has"),
        ("eve", "emperor", "Choose a role"),
        ("<script>", "viewer", "A user name has"),
    ):
        page = admin.post("/users", "/users", name=name, role=role)
        assert (page.status, sentence in page.text) == (400, True)
        assert "<script>" not in page.text


def test_a_role_is_changed_and_somebody_is_disabled_and_enabled(admin: Visitor, node: Node, viewer: Visitor) -> None:
    at = "/users/the-viewer"
    admin.post(f"{at}/role", at, role="operator", reason="on call")
    assert said(admin, at) == "the-viewer is operator now, and has to log in anew."
    assert viewer.get("/").status == 303
    admin.post(f"{at}/disable", at)
    assert "enable" in admin.get(at).text
    admin.post(f"{at}/enable", at)
    found = users.one(node.database, "the-viewer")
    assert found
    assert (found.role, found.disabled) == ("operator", False)
    assert [event for event, actor in events(node, "the-viewer") if actor == "user the-admin"] == [
        "user.role.operator", "user.disabled", "user.enabled",
    ]  # fmt: skip
    assert "on call" in admin.get("/audit?subject=user:the-viewer").text


def test_the_last_admin_stays(admin: Visitor) -> None:
    for path, form in (("role", {"role": "viewer"}), ("disable", {})):
        refused = admin.post(f"/users/the-admin/{path}", "/users/the-admin", **form)
        assert (refused.status, "is the last admin" in refused.text) == (400, True)
    assert admin.get("/users").status == 200


def test_what_cannot_be_undone_asks_first(admin: Visitor, node: Node, viewer: Visitor) -> None:
    at = "/users/the-viewer"
    users.set_password(node.database, "the-viewer", hash_password(PASSWORD))
    viewer.login("the-viewer", PASSWORD)
    assert "logged out everywhere" in admin.post(f"{at}/password", at).text
    assert "Log them out" in admin.post(f"{at}/sessions", at, reason="left").text
    assert viewer.get("/").status == 200
    admin.post(f"{at}/sessions", at, sure="yes", reason="left")
    assert said(admin, at) == "1 session is ended."
    assert viewer.get("/").status == 303
    assert SECRET.search(admin.post(f"{at}/password", at, sure="yes").text)
    assert viewer.login("the-viewer", PASSWORD).status == 403


def test_many_users_are_shown_page_by_page(admin: Visitor, node: Node) -> None:
    for number in range(PAGE):
        users.add(node.database, f"user{number:02}", "no password", Role.VIEWER)
    first = admin.get("/users").text
    assert ("user48" in first, "user49" in first) == (True, False)
    second = admin.get("/users?after=user48").text
    assert 'href="/users?after=user48"' in first
    assert ("user48" in second, "user49" in second) == (False, True)


def test_what_there_is_not_cannot_be_done(admin: Visitor) -> None:
    assert admin.get("/users/nobody").status == 400
    assert admin.post("/users/nobody/disable", "/users").status == 400
    assert admin.post("/users/the-admin/explode", "/users").status == 400
    assert admin.get("/users/%3Cscript%3E").text.count("<script") == 1


def test_one_changes_ones_own_password_by_the_old_one(node: Node, server: ConsoleServer) -> None:
    users.add(node.database, "ada", hash_password(PASSWORD), Role.VIEWER)
    here, elsewhere = Visitor(server), Visitor(server)
    for visitor in (here, elsewhere):
        visitor.login("ada", PASSWORD)
    assert "do not belong together" in change(here, "wrong", OTHER).text
    assert "12 to 200 characters" in change(here, PASSWORD, "short").text
    assert "two passwords differ" in change(here, PASSWORD, OTHER, "a third").text
    assert elsewhere.get("/").status == 200
    changed = change(here, PASSWORD, OTHER)
    assert changed.headers.get("location") == "/me", changed.text
    assert (here.get("/").status, elsewhere.get("/").status) == (200, 303)
    assert Visitor(server).login("ada", OTHER).status == 303


def test_who_stole_a_session_cannot_guess_the_password(node: Node, server: ConsoleServer) -> None:
    users.add(node.database, "ada", hash_password(PASSWORD), Role.VIEWER)
    thief = Visitor(server)
    thief.login("ada", PASSWORD)
    for _ in range(5):
        change(thief, "guess", OTHER)
    assert "Too many logins failed" in change(thief, PASSWORD, OTHER).text


def test_one_ends_ones_own_sessions_and_nobody_elses(node: Node, operator: Visitor, viewer: Visitor) -> None:
    known = users.credentials(node.database, "the-viewer")
    assert known
    for token in "abc":
        sessions.enter(node.database, known.user_id, token * 64, "c", "10.0.0.9", 1)
    page = viewer.get("/me").text
    assert page.count("10.0.0.9") == 3
    assert "a" * 17 not in page, "the digest of a token is not shown whole"
    viewer.post("/me/sessions", "/me", handle="a" * 16)
    assert said(viewer, "/me") == "1 session is ended."
    (other,) = sessions.opened(node.database, "the-operator")
    viewer.post("/me/sessions", "/me", handle=other.handle)
    assert said(viewer, "/me") == "There was nothing left to end."
    viewer.post("/me/sessions", "/me")
    assert said(viewer, "/me") == "2 sessions are ended."
    assert (viewer.get("/").status, operator.get("/").status) == (200, 200)
