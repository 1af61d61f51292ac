"""What an attacker tries on every door at once, or below HTTP's good manners."""

import socket
from collections.abc import Callable, Iterator
from typing import Literal
from urllib.parse import urlsplit

import pytest
from argon2 import PasswordHasher

from dicom_node.ledger import browse, users
from dicom_node.ledger.browse import AuditFilter
from dicom_node.ledger.users import Role
from tests.unit.worker.console.conftest import As
from tests.unit.worker.console.test_guard import address
from tests.unit.worker.console.visitor import Visitor
from worker.console import accounts, asked
from worker.console.accounts import hash_password
from worker.console.doors import DOORS
from worker.console.serving import ConsoleServer
from worker.wiring import Node

PASSWORD = "a sentence is a good one"
DEEDS = [door for door in DOORS if door.method == "POST" and door.role]
FORM = "application/x-www-form-urlencoded"
PATHS = [
    "/static/../templates/login.html", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/..%5capp.py",
    "/static//etc/passwd", "/static/%00", "/static/style.css%00.png", "/static/templates/login.html",
    "/static/.git/config",
    "/api/../../etc/passwd", "/api/%2e%2e/now", "/series/1/1/../../../etc/passwd-thin.png",
    "/series/1/1/..%2f..%2f..%2fledger-thin.png", "/series/1/1/coronal-..%2f..%2fx.png",
    "/series/1/1/%2fetc%2fpasswd-thin.png", "//etc/passwd", "/%2e%2e/x", "/partners/..%2f..%2fetc/echo",
    "/tokens/../users",
]  # fmt: skip
GET, POST = (method + b" /login HTTP/1.1\r\nHost: localhost\r\n" for method in (b"GET", b"POST"))
CROOKED = {
    "path": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "query": b"GET /?text=" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "header": GET + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
    "headers": GET + b"".join(b"X-%d: x\r\n" % number for number in range(20_000)),
    "said twice": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative": POST + b"Content-Length: -5\r\n\r\n",
    "differ": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
Raw = Callable[[bytes], bytes]


@pytest.fixture
def raw(server: ConsoleServer) -> Iterator[Raw]:
    """Send bytes as they are, and read until the other side hangs up."""
    place = urlsplit(server.local_url)

    def send(content: bytes) -> bytes:
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=20) as connection:
            connection.sendall(content)
            found = b""
            while more := connection.recv(65536):
                found += more
            return found

    return send


def written(node: Node) -> int:
    """The last row of the audit trail: every deed writes one."""
    return browse.audit_page(node.database, AuditFilter(), limit=1)[0].seq


def test_no_deed_is_done_for_another_site(as_: As, node: Node) -> None:
    """CSRF: no secret, another session's, another origin, and bodies that fool a browser's own rules."""
    admin, other = as_(Role.ADMIN), as_(Role.OPERATOR)
    secret, foreign = admin.get("/").csrf, other.get("/").csrf
    before = written(node)
    for door in DEEDS:
        path = address(door)
        tries: list[tuple[bytes, dict[str, str]]] = [
            (b"sure=yes&reason=x", {}),
            (f"csrf={foreign}&sure=yes&reason=x".encode(), {"X-CSRF": foreign}),
            (f"csrf={secret}&sure=yes&reason=x".encode(), {"X-CSRF": secret, "Origin": "https://evil.example.org"}),
            (f"csrf={secret}&sure=yes&reason=x".encode(), {"X-CSRF": secret, "Origin": "null"}),
            (b'{"reason": "x", "sure": "yes"}', {"Content-Type": "text/plain"}),
            (b'{"reason": "x"}', {"Content-Type": "application/json", "X-HTTP-Method-Override": "POST"}),
        ]
        for body, headers in tries:
            assert admin.send(path, body, **{"Content-Type": FORM, **headers}).status in (400, 403), (path, headers)
    assert written(node) == before


def test_no_method_stands_for_another(as_: As, node: Node, raw: Raw) -> None:
    admin = as_(Role.ADMIN)
    before = written(node)
    for door in DEEDS:
        override = {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"}
        answer = admin.get(f"{address(door)}?_method=POST&sure=yes&reason=x", **override)
        assert answer.status in (200, 404, 405), door.path  # 200: a page of the same address
    cookie = f"Cookie: thinslice={admin.cookies['thinslice']}\r\n".encode()
    for method in (b"PUT", b"DELETE", b"PATCH", b"TRACE", b"OPTIONS", b"CONNECT", b"POSTX"):
        said = raw(method + b" /api/pause HTTP/1.1\r\nHost: localhost\r\n" + cookie + b"Connection: close\r\n\r\n")
        assert said.split(b" ", 2)[1] in (b"400", b"405"), (method, said[:80])
        assert b"thinslice=" not in said
    assert written(node) == before


def test_no_path_leads_out(as_: As) -> None:
    admin = as_(Role.ADMIN)
    for path in PATHS:
        answer = admin.get(path)
        assert answer.status in (400, 404, 405), path
        for secret in ("root:", "make_app", "form_secret", "SQLite format"):
            assert secret not in answer.text, path


def test_nobody_elses_host_is_believed(stranger: Visitor, raw: Raw, as_: As) -> None:
    as_(Role.ADMIN)
    evil = "evil.example.org"
    for headers in ({"X-Forwarded-Host": evil}, {"Forwarded": f"host={evil}"}, {"X-Forwarded-Proto": "https"}):
        answer = stranger.get("/", **headers)
        assert answer.headers["location"].startswith("/login")
        assert evil not in str(answer.headers)
    for request in (
        b"GET / HTTP/1.1\r\nHost: evil.example.org\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost.evil.example.org\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.org\r\n",
        b"GET / HTTP/1.1\r\n",
    ):
        assert raw(request + b"Connection: close\r\n\r\n").split(b" ", 2)[1] == b"400", request


def test_no_header_is_injected(node: Node, stranger: Visitor, raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "HASHER", Counting())
    users.add(node.database, "ada", hash_password(PASSWORD), Role.ADMIN)
    answer = stranger.login("ada", PASSWORD, "/series\r\nSet-Cookie: taken=1\r\n\r\n<b>")
    assert answer.status == 303
    assert "taken" not in stranger.cookies
    assert "\n" not in answer.headers["location"]
    for path in ("/series%0d%0aSet-Cookie:%20taken=1", "/login?next=%0d%0aSet-Cookie:%20taken=1"):
        answer = Visitor(stranger.server).get(path)
        assert "taken" not in answer.headers.get("set-cookie", "")
        assert "\n" not in answer.headers.get("location", "")
    folded = raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: b\x00c\r\nConnection: close\r\n\r\n")
    assert folded.split(b" ", 2)[1] == b"400"


def test_what_is_too_long_or_crooked_is_refused_and_hung_up_on(stranger: Visitor, raw: Raw) -> None:
    for name, request in CROOKED.items():
        try:
            said = raw(request + b"\r\n\r\n")
        except ConnectionError:
            said = b""  # hung up before all of it was read
        assert said == b"" or said.split(b" ", 2)[1] in (b"400", b"413", b"414", b"431"), (name, said[:200])
    assert stranger.get("/healthz").status == 200


def test_many_short_parameters_are_bounded(as_: As) -> None:
    viewer = as_(Role.VIEWER)
    many = "&".join(f"x{number}=1" for number in range(900))
    assert viewer.get(f"/series?{many}").status in (200, 400)
    assert viewer.get(f"/api/series?{many}").status == 400
    assert viewer.get(f"/series?{many}{many}").status == 414
    assert (
        viewer.send("/pause", ("&".join(f"x{number}=1" for number in range(asked.MOST_FIELDS + 1))).encode()).status
        == 400
    )


def test_a_body_that_trickles_is_not_waited_for(
    as_: As, raw: Raw, monkeypatch: pytest.MonkeyPatch, stranger: Visitor
) -> None:
    monkeypatch.setattr(asked, "LONGEST_BODY_S", 0.2)
    cookie = f"Cookie: thinslice={as_(Role.OPERATOR).cookies['thinslice']}\r\n".encode()
    for path, kind in ((b"/pause", FORM.encode()), (b"/api/pause", b"application/json")):
        head = b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + kind + b"\r\n" + cookie
        said = raw(head + b"Content-Length: 60\r\n\r\ncsr")
        assert said.split(b" ", 2)[1] == b"408"
        assert b"connection: close" in said.lower()
    assert stranger.get("/healthz").status == 200


def test_no_other_site_may_read(as_: As) -> None:
    viewer = as_(Role.VIEWER)
    for path in ("/", "/api/now", "/metrics", "/api/openapi.json"):
        answer = viewer.get(path, Origin="https://evil.example.org")
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


class Counting(PasswordHasher):
    """argon2's hasher at no cost, counting what it is asked to verify."""

    verified = 0

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 (argon2's own name)
        """As it does."""
        Counting.verified += 1
        return super().verify(hash, password)


def test_a_name_that_nobody_has_costs_as_much_as_one_that_there_is(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "HASHER", Counting())
    for name in ("ada", "bob"):
        users.add(node.database, name, hash_password(PASSWORD), Role.ADMIN)
    users.disable(node.database, "bob")
    Counting.verified = 0
    door = accounts.Accounts(node.database, node.settings.console)
    for number, name in enumerate(("ada", "nobody", "bob", "", "x" * 500, "\0"), start=1):
        with pytest.raises(accounts.LoginRefused):
            door.login(name, "wrong" * number, "10.0.0.9")
        assert Counting.verified == number


def test_a_session_of_one_is_no_session_of_another(as_: As, node: Node, server: ConsoleServer) -> None:
    """Nothing but the token counts: not its digest as the ledger has it, not several at once, not another cookie."""
    as_(Role.ADMIN)
    with node.database.reading() as connection:
        digests = connection.exec_driver_sql("SELECT token_sha256 FROM console_session").scalars().all()
    for cookies in ({"thinslice": digests[0]}, {"__Host-thinslice": "token-admin"}, {"thinslice": "token-admin\0"}):
        assert Visitor(server, cookies).get("/api/now").status in (400, 401)
    assert Visitor(server, {"thinslice": "token-admin"}).get("/api/now").status == 200
