"""Reading PDUs (PS3.8 9.3) that are no longer than they may be, each within its time."""

import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from dicom_node.receive.callers import plain_address
from dicom_node.receive.limits import hang_up

# Whoever connects must ask for an association within this time, or gives its place to others: port probes never do.
INTRODUCTION_S = 10.0
HEADER = 6  # type, reserved, length (PS3.8 9.3.1)
LARGEST_REQUEST = 256 * 1024  # 128 presentation contexts with 60 transfer syntaxes each
SLACK = 1024  # some senders count the header of a P-DATA-TF PDU into its length, or not
ASSOCIATE_RQ, DATA, OTHERS = 0x01, 0x04, range(0x02, 0x08)
REQUEST = bytes([ASSOCIATE_RQ])


@dataclass(frozen=True)
class PduLimits:
    """What a PDU may take.

    Attributes
    ----------
    maximum_pdu_bytes : int
        The length that senders are asked to keep to (PS3.8 D.1).
    network_timeout_s : float
        A PDU must be whole this many seconds after its first byte.
    """

    maximum_pdu_bytes: int
    network_timeout_s: float

    @property
    def introduction_s(self) -> float:
        """How long a connection may take to ask for an association."""
        return min(INTRODUCTION_S, self.network_timeout_s)

    def largest(self, pdu_type: int) -> int:
        """Most bytes that a PDU of this type may claim after its header."""
        if pdu_type == DATA:
            return self.maximum_pdu_bytes + SLACK
        return LARGEST_REQUEST if pdu_type == ASSOCIATE_RQ else SLACK


class PduSocket(AssociationSocket):
    """Reads PDUs within their limits; ends the connection otherwise, and tells the address and the reason."""

    def __init__(
        self,
        association: Association,
        connection: socket.socket,
        limits: PduLimits,
        on_refused: Callable[[str, str], None],
    ) -> None:
        super().__init__(association, client_socket=connection)
        self._limits, self._on_refused = limits, on_refused
        self._deadline = self._introduced_by = time.monotonic() + limits.introduction_s
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
            self._on_refused(plain_address(str(self.assoc.requestor.address)), reason)
            hang_up(self.assoc)
            raise

    def _header(self) -> bytearray:
        now = time.monotonic()
        self._deadline = now + self._limits.network_timeout_s if self.assoc.is_established else self._introduced_by
        header = self._read(HEADER)
        if len(header) == HEADER and header[0] in (ASSOCIATE_RQ, *OTHERS):
            if int.from_bytes(header[2:], "big") > self._limits.largest(header[0]):
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
        connection.settimeout(self._limits.network_timeout_s)
        return content


class _TooLong(OSError):
    """A PDU claims more bytes than it may; pynetdicom takes an OSError for a connection that broke."""


def first_word(connection: socket.socket, limit_s: float) -> bytes:
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
