"""A DICOMweb service that behaves by script, with its token service, and keeps count of what it was sent."""

import json
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

from pydicom import dcmread

from tests.certificates import Certificates
from tests.processes import HOST

ROOT = "/dicom-web"
JSON = "application/dicom+json"


@dataclass(frozen=True)
class Answer:
    """What is answered to one request.

    Attributes
    ----------
    failed, warned : dict
        SOP Instance UID to Failure or Warning Reason; None: the service forgets to name the instance.
    body : bytes or None
        In place of what the standard asks for.
    cut, hang : bool
        Hang up, or never answer.
    """

    status: int = 200
    failed: dict[str, int | None] = field(default_factory=dict)
    warned: dict[str, int] = field(default_factory=dict)
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hang: bool = False


@dataclass
class WebService:
    """The service. A test changes its script while it runs.

    Attributes
    ----------
    on_store : callable
        Answer to a Store transaction, from the UIDs in it.
    on_query, on_token : Answer
        In place of the right one where set.
    page : int
        Most rows of one answer to a query.
    heeds_offset : bool
        Whether a query's offset means something to it.
    authorization : str
        What every request must say of who it is; empty: anything.
    token_lives_s : int
        What it says of a token; each is another one, and counts as long as no newer one was given.
    """

    on_store: Callable[[list[str]], Answer] = lambda _uids: Answer()
    on_query: Answer | None = None
    on_token: Answer | None = None
    page: int = 1000
    heeds_offset: bool = True
    authorization: str = ""
    token_lives_s: int = 3600
    url: str = ""
    held: dict[str, bytes] = field(default_factory=dict)
    came: Counter[str] = field(default_factory=Counter)
    batches: list[list[str]] = field(default_factory=list)
    said: list[dict[str, str]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    tokens: list[dict[str, list[str]]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def holdings(self) -> dict[str, int]:
        """Series that it holds, with their number of instances."""
        headers = [dcmread(BytesIO(part), stop_before_pixels=True) for part in self.held.values()]
        return dict(Counter(str(header.SeriesInstanceUID) for header in headers))

    def store(self, content_type: str, body: bytes) -> Answer:
        """One Store transaction: keep what the script does not refuse."""
        boundary = content_type.rpartition("boundary=")[2].encode()
        pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]
        parts = [piece.partition(b"\r\n\r\n")[2] for piece in pieces]
        files = {str(dcmread(BytesIO(part)).SOPInstanceUID): part for part in parts}
        self.batches.append(list(files))
        self.came.update(list(files))
        answer = self.on_store(list(files))
        if answer.status in {200, 202, 409}:
            self.held |= {uid: part for uid, part in files.items() if uid not in answer.failed}
        return answer if answer.body is not None or answer.status not in {200, 202, 409} else _told(answer, files)

    def query(self, path: str) -> Answer:
        """One Search transaction for the instances of a series, or for one instance."""
        self.queries.append(path)
        if self.on_query is not None:
            return self.on_query
        wanted = parse_qs(urlsplit(path).query)
        uids = sorted(self.held)
        if "SOPInstanceUID" in wanted:
            uids = [uid for uid in uids if uid in wanted["SOPInstanceUID"]]
        first = int(wanted.get("offset", ["0"])[0]) if self.heeds_offset else 0
        rows = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids[first : first + self.page]]
        return Answer(200 if rows else 204, body=json.dumps(rows).encode() if rows else b"")

    def token(self, body: bytes) -> Answer:
        """One token for client credentials (RFC 6749 4.4)."""
        self.tokens.append(parse_qs(body.decode()))
        if self.on_token is not None:
            return self.on_token
        self.authorization = f"Bearer token{len(self.tokens)}"
        content = {"access_token": f"token{len(self.tokens)}", "token_type": "Bearer", "expires_in": self.token_lives_s}
        return Answer(body=json.dumps(content).encode())


def _told(answer: Answer, files: dict[str, bytes]) -> Answer:
    """The answer with a Store Instances Response Module (PS3.18 Annex I)."""
    stored = [
        {"00081155": {"vr": "UI", "Value": [uid]}}
        | ({"00081196": {"vr": "US", "Value": [answer.warned[uid]]}} if uid in answer.warned else {})
        for uid in files
        if uid not in answer.failed
    ]
    failed = [
        {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [reason]}}
        for uid, reason in answer.failed.items()
        if reason is not None
    ]
    content = {"00081199": {"vr": "SQ", "Value": stored}, "00081198": {"vr": "SQ", "Value": failed}}
    body = json.dumps({key: value for key, value in content.items() if value["Value"]}).encode()
    return Answer(answer.status, body=body, cut=answer.cut, hang=answer.hang, headers=answer.headers)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: WebService

    def do_POST(self) -> None:  # http.server's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            self._answer(self.service.token(body))
        elif self._known():
            self._answer(self.service.store(self.headers["Content-Type"], body))

    def do_GET(self) -> None:  # http.server's name
        if self._known():
            self._answer(self.service.query(self.path))

    def _known(self) -> bool:
        self.service.said.append(dict(self.headers))
        wanted = self.service.authorization
        if wanted and self.headers.get("Authorization") != wanted:
            self._answer(Answer(401))
            return False
        return True

    def _answer(self, answer: Answer) -> None:
        if answer.hang:
            self.service.over.wait(30)
        if answer.cut or answer.hang:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in ({"Content-Type": f"{JSON}; charset=utf-8"} | answer.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body or b"")))
        self.end_headers()
        self.wfile.write(answer.body or b"")

    def log_message(self, *_arguments: object) -> None:
        """Tests read what came, not a log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is what tests are about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def web_service(certificates: Certificates | None = None, name: str = "PACS") -> Iterator[WebService]:
    """A service from start to stop; with certificates by TLS alone, asking for the caller's certificate."""
    service = WebService()
    handler = type("Handler", (_Handler,), {"service": service})
    server = _Server((HOST, 0), handler)
    if certificates is not None:
        server.socket = _context(certificates, name).wrap_socket(server.socket, server_side=True)
    service.url = f"{'https' if certificates else 'http'}://{HOST}:{server.server_port}{ROOT}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.over.set()
        server.shutdown()
        with suppress(OSError):
            server.server_close()
        thread.join()


def _context(certificates: Certificates, name: str) -> ssl.SSLContext:
    shown = certificates.of(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.certificate, shown.key)
    context.load_verify_locations(shown.authorities)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
