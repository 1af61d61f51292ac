"""Who is called by a node: a webhook's receiver, and a mail server. Real ones, on loopback."""

import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.certificates import Certificates
from tests.processes import HOST, free_port


@dataclass
class Hook:
    """A webhook's receiver.

    Attributes
    ----------
    status : int
        What it answers.
    headers : dict
        ... and with which headers.
    before : callable
        Done with a body before it is answered.
    came : list
        Bodies, in turn, of those that were signed as they should be.
    refused : int
        How many were not.
    """

    secret: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[dict[str, Any]], None] = lambda _body: None
    came: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    url: str = ""

    def sentences(self) -> list[str]:
        """What it was told, each with its phase."""
        return [f"{item['phase']}: {item['sentence']}" for body in self.came for item in body["notices"]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hook: Hook

    def do_POST(self) -> None:  # http.server's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._is_signed(body):
            self.hook.came.append(json.loads(body))
            self.hook.before(self.hook.came[-1])
        else:
            self.hook.refused += 1
        with suppress(OSError):
            self.send_response(self.hook.status)
            for name, value in self.hook.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _is_signed(self, body: bytes) -> bool:
        """By what docs/running.md says, not by the program's own function."""
        timestamp = self.headers["Thinslice-Timestamp"]
        digest = hmac.new(self.hook.secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        return not self.hook.secret or self.headers.get("Thinslice-Signature") == f"v1={digest}"

    def log_message(self, *_arguments: object) -> None:
        """Tests read what came, not a log."""


@contextmanager
def hook_receiver(secret: str = "", certificates: Certificates | None = None, name: str = "PACS") -> Iterator[Hook]:
    """A receiver from start to stop; with certificates by TLS."""
    hook = Hook(secret)
    server = ThreadingHTTPServer((HOST, 0), type("Handler", (_Handler,), {"hook": hook}))
    server.daemon_threads = True
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.of(name).certificate, certificates.of(name).key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    hook.url = f"{'https' if certificates else 'http'}://{HOST}:{server.server_port}/hook/of-secret-path"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """A mail server that asks for STARTTLS and a login.

    Attributes
    ----------
    refused : set of str
        Recipients that it takes no mail for.
    """

    port: int
    letters: list[EmailMessage] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    async def handle_RCPT(  # noqa: N802 # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or not."""
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a letter."""
        content = envelope.content
        assert isinstance(content, bytes)
        self.letters.append(message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]
        return "250 kept"


@contextmanager
def mail_server(certificates: Certificates, user: str, password: str, name: str = "PACS") -> Iterator[Mailbox]:
    """A mail server from start to stop."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.of(name).certificate, certificates.of(name).key)

    def known(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and given == LoginPassword(user.encode(), password.encode())
        return AuthResult(success=right, handled=False)

    box = Mailbox(free_port())
    controller = Controller(
        box, hostname=HOST, port=box.port, tls_context=context, require_starttls=True, auth_required=True,
        authenticator=known,
    )  # fmt: skip
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
