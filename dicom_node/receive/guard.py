"""The server under the listener: pynetdicom's, closed to strangers who stall, flood or lie.

pynetdicom alone reads a PDU of any size for any time, shakes hands in TLS before it accepts the next connection, and
starts two threads for whoever connects. Here every PDU has a size and a deadline, every handshake a thread and a
deadline, and every address a number of connections.
"""

import logging
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.fsm import InvalidEventError, StateMachine
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from dicom_node.receive.callers import plain_address
from dicom_node.receive.connections import Connections
from dicom_node.receive.limits import hang_up

log = logging.getLogger(__name__)

# Whoever connects must ask for an association within this time, or gives its place to others: port probes never do.
INTRODUCTION_S = 10.0
HANDSHAKE_S = 5.0
HEADER = 6  # type, reserved, length (PS3.8 9.3.1)
LARGEST_REQUEST = 256 * 1024  # 128 presentation contexts with 60 transfer syntaxes each
SLACK = 1024  # some senders count the header of a P-DATA-TF PDU into its length, or not
ASSOCIATE_RQ, DATA, OTHERS = 0x01, 0x04, range(0x02, 0x08)
REQUEST = bytes([ASSOCIATE_RQ])


@dataclass(frozen=True)
class Guard:
    """What a server lets in.

    Attributes
    ----------
    connections : Connections
        Counts by address, and refuses.
    maximum_pdu_bytes : int
        The length that senders are asked to keep to (PS3.8 D.1).
    network_timeout_s : float
        A PDU must be whole this many seconds after its first byte.
    tls : ssl.SSLContext or None
        None: plain.
    share_port : bool
        Bind with SO_REUSEPORT.
    on_refused : callable
        Told the address and the reason, from the server's threads.
    """

    connections: Connections
    maximum_pdu_bytes: int
    network_timeout_s: float
    tls: ssl.SSLContext | None
    share_port: bool
    on_refused: Callable[[str, str], None]

    @property
    def introduction_s(self) -> float:
        """How long a connection may take to ask for an association."""
        return min(INTRODUCTION_S, self.network_timeout_s)

    def largest(self, pdu_type: int) -> int:
        """Most bytes that a PDU of this type may claim after its header."""
        if pdu_type == DATA:
            return self.maximum_pdu_bytes + SLACK
        return LARGEST_REQUEST if pdu_type == ASSOCIATE_RQ else SLACK


class GuardedServer(ThreadedAssociationServer):
    """pynetdicom's server behind a guard; ``AE.make_server(server_class=GuardedServer, guard=...)``."""

    request_queue_size = 64  # a flood of senders waits in the kernel instead of being cut off
    daemon_threads = True  # those that wait for a stranger's first word need not be waited for at the end

    def __init__(self, *arguments: Any, guard: Guard, **options: Any) -> None:
        self.guard = guard
        super().__init__(*arguments, **options)

    def server_bind(self) -> None:
        """Bind; with ``share_port`` as one of several, among which the kernel deals out connections (Linux 3.9)."""
        if self.guard.share_port:
            cast("socket.socket", self.socket).setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept, and no more: whatever needs the peer's help happens in a thread of the connection's own."""
        connection, address = cast("socket.socket", self.socket).accept()
        # An answer of a few bytes else waits 40 ms for the sender's delayed acknowledgement (Nagle).
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a connection may go on, judged by its address alone; else it is closed unread."""
        peer = plain_address(client_address[0])
        reason = self.guard.connections.refusal(request, client_address[:2], peer)
        if reason:
            self.guard.on_refused(peer, reason)
        return not reason

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands, where there is TLS, and serve the association once it is asked for.

        Until then the connection costs a sleeping thread; pynetdicom's wake a thousand times a second.
        """
        connection = request if self.guard.tls is None else self._shaken(self.guard.tls, request, client_address)
        if connection is None:
            return
        first = _first_word(connection, self.guard.introduction_s)
        if first.startswith(REQUEST):
            connection.settimeout(self.guard.network_timeout_s)
            super().process_request_thread(connection, client_address)
            return
        if first:  # silence is no matter: port probes and monitors connect and leave
            self.guard.on_refused(plain_address(client_address[0]), "its first message is no association request")
        self.guard.connections.ended(client_address[:2])
        self.shutdown_request(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 socketserver's
        """Say what went wrong before there was an association, and give its place back."""
        log.exception("a connection from %s could not be served", plain_address(client_address[0]))
        self.guard.connections.ended(client_address[:2])

    def _shaken(self, tls: ssl.SSLContext, plain: socket.socket, client_address: Any) -> ssl.SSLSocket | None:
        """The connection after its TLS handshake; None where that comes to no good end in time."""
        connection = plain
        try:
            connection = tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            self.guard.connections.carried_by(client_address[:2], connection)
            connection.settimeout(HANDSHAKE_S)  # for the handshake as a whole
            connection.do_handshake()
        except (OSError, ValueError) as error:  # ssl.SSLError and TimeoutError too; ValueError where it has hung up
            self.guard.on_refused(plain_address(client_address[0]), f"TLS: {_why(error)}")
            self.guard.connections.ended(client_address[:2])
            self.shutdown_request(connection)
            return None
        return connection


class _Handler(RequestHandler):
    """Gives each association a socket that keeps to the guard's limits."""

    def _create_association(self) -> Association:
        association, guard = super()._create_association(), cast("GuardedServer", self.server).guard
        association.dul.socket = _Socket(association, self.request, guard)
        association.dul.event_queue.get_nowait()  # two sockets have announced one connection
        association.dul.state_machine = _Protocol(association.dul)
        association.bind(evt.EVT_CONN_CLOSE, _wake)
        guard.connections.serves(self.client_address[:2], association)
        return association


class _Protocol(StateMachine):
    """pynetdicom's, for peers that break the protocol (PS3.8 9.2): their connection ends, and no traceback is left."""

    def do_action(self, event: str) -> None:
        """Act on an event, or end the connection where it cannot come now."""
        try:
            super().do_action(event)
        except InvalidEventError:
            hang_up(self.dul.assoc)
            self.dul.kill_dul()


def _wake(event: Event) -> None:
    """End the thread of a connection that closed before it asked; alone it would wait its whole time out."""
    if event.assoc.requestor.primitive is None:
        cast("Any", event.assoc.dul.to_user_queue).put(None)


class _Socket(AssociationSocket):
    """Reads PDUs no longer than they may be, each within its time; ends the connection otherwise."""

    def __init__(self, association: Association, connection: socket.socket, guard: Guard) -> None:
        super().__init__(association, client_socket=connection)
        self._guard = guard
        self._deadline = self._introduced_by = time.monotonic() + guard.introduction_s
        self._body_follows = False

    def recv(self, nr_bytes: int) -> bytearray:
        """A PDU's header, then its body, as pynetdicom's reader asks for them (``DULServiceProvider._read_pdu_data``).

        Raises
        ------
        OSError
            The PDU is longer than it may be, or not whole in time. The connection is shut down.
        """
        try:
            return self._body(nr_bytes) if self._body_follows else self._header()
        except (_TooLong, TimeoutError) as error:
            too_long = isinstance(error, _TooLong)
            reason = "a PDU claims more bytes than it may" if too_long else "a PDU was not whole in time"
            self._guard.on_refused(plain_address(str(self.assoc.requestor.address)), reason)
            hang_up(self.assoc)
            raise

    def _header(self) -> bytearray:
        now = time.monotonic()
        self._deadline = now + self._guard.network_timeout_s if self.assoc.is_established else self._introduced_by
        header = self._read(HEADER)
        if len(header) == HEADER and header[0] in (ASSOCIATE_RQ, *OTHERS):
            if int.from_bytes(header[2:], "big") > self._guard.largest(header[0]):
                raise _TooLong
            self._body_follows = True
        return header

    def _body(self, nr_bytes: int) -> bytearray:
        self._body_follows = False
        return self._read(nr_bytes)

    def _read(self, count: int) -> bytearray:
        """``count`` bytes, or fewer where the peer has closed."""
        connection = cast("socket.socket", self.socket)
        content = bytearray(count)
        read = 0
        while read < count:
            # 0 would not wait for what is there already
            connection.settimeout(max(self._deadline - time.monotonic(), 0.001))
            with memoryview(content)[read:] as rest:
                received = connection.recv_into(rest)
            if not received:
                return content[:read]
            read += received
        connection.settimeout(self._guard.network_timeout_s)
        return content


class _TooLong(OSError):
    """A PDU claims more bytes than it may; pynetdicom takes an OSError for a connection that broke."""


def _first_word(connection: socket.socket, limit_s: float) -> bytes:
    """Wait for the header of a connection's first PDU and look at it; empty where it stays silent or hangs up.

    Through TLS one cannot look ahead: there whatever comes is taken for a request until pynetdicom has read it.
    """
    if isinstance(connection, ssl.SSLSocket):
        return REQUEST if connection.pending() or select.select([connection], [], [], limit_s)[0] else b""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, HEADER)  # half a header is no word
    if not select.select([connection], [], [], limit_s)[0]:
        return b""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
    try:
        return connection.recv(HEADER, socket.MSG_PEEK)
    except OSError:  # it has hung up
        return b""


def make_server(entity: AE, address: tuple[str, int], handlers: Any, guard: Guard) -> GuardedServer:
    """A bound server of this entity. OSError where the address cannot be listened on."""
    server = entity.make_server(
        address, evt_handlers=handlers, server_class=GuardedServer, guard=guard, request_handler=_Handler
    )
    return cast("GuardedServer", server)


def _why(error: Exception) -> str:
    """In words, what kept a peer from shaking hands."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return WORDS.get(error.reason or "", f"the handshake failed ({error.reason})")
    return "it connected and did not shake hands in time" if isinstance(error, TimeoutError) else "it hung up"


WORDS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
    "HTTP_REQUEST": "it does not speak TLS",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "it offers only TLS older than 1.2",
    "NO_SHARED_CIPHER": "it offers no cipher that BCP 195 allows",
}
