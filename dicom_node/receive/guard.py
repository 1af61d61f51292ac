"""The server under the listener: pynetdicom's, closed to strangers who stall, flood or lie.

pynetdicom alone reads a PDU of any size for any time, shakes hands in TLS before it accepts the next connection, and
starts two threads for whoever connects. Here every PDU has a size and a deadline, every handshake a thread and a
deadline, and every address a number of connections.
"""

import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.fsm import InvalidEventError, StateMachine
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from dicom_node.receive.callers import plain_address
from dicom_node.receive.connections import Connections
from dicom_node.receive.limits import hang_up
from dicom_node.receive.pdus import REQUEST, PduLimits, PduSocket, first_word

log = logging.getLogger(__name__)

HANDSHAKE_S = 5.0


@dataclass(frozen=True)
class Guard:
    """What a server lets in.

    Attributes
    ----------
    connections : Connections
        Counts by address, and refuses.
    limits : PduLimits
        Of every message.
    tls : ssl.SSLContext or None
        None: plain.
    share_port : bool
        Bind with SO_REUSEPORT.
    on_refused : callable
        Told the address and the reason, from the server's threads.
    """

    connections: Connections
    limits: PduLimits
    tls: ssl.SSLContext | None
    share_port: bool
    on_refused: Callable[[str, str], None]


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
        first = first_word(connection, self.guard.limits.introduction_s)
        if first.startswith(REQUEST):
            connection.settimeout(self.guard.limits.network_timeout_s)
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
        association.dul.socket = PduSocket(association, self.request, guard.limits, guard.on_refused)
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
