"""The transport of audit messages: syslog (RFC 5424) over TLS (RFC 5425), TCP (RFC 6587 3.4.1) or UDP (RFC 5426)."""

import contextlib
import fcntl
import os
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from dicom_node.audit.message import Outcome
from dicom_node.audit.settings import SyslogSettings
from dicom_node.errors import RepositoryError
from dicom_node.tls import client_context

# PS3.15 A.6.1: facility 10; severity 5, or 4 for a warning.
FACILITY, NOTICE, WARNING = 10, 5, 4
WARNED_OF = (Outcome.SERIOUS, Outcome.MAJOR)
MESSAGE_ID = "DICOM+RFC3881"
MARK = b"\xef\xbb\xbf"
LARGEST_SEQUENCE = 2**31  # RFC 5424 7.3.1
CONNECT_S = 5.0
# For one write, and for the farewell of a receiver that has a whole batch to read before.
TAKE_S = 20.0
# For the first word after a handshake in TLS 1.3, where the receiver says one.
FIRST_WORD_S = 2.0
LOOKS = 400


def record(xml: bytes, at: datetime, seq: int, host: str, process_id: int, outcome: Outcome) -> bytes:
    """A syslog message of the row ``seq`` of the trail, by which a receiver knows one that came twice."""
    priority = FACILITY * 8 + (WARNING if outcome in WARNED_OF else NOTICE)
    moment = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    name = "".join(sign for sign in host if "!" <= sign <= "~")[:255] or "-"
    sequence = f'[meta sequenceId="{seq % LARGEST_SEQUENCE}"]'
    return f"<{priority}>1 {moment} {name} thinslice {process_id} {MESSAGE_ID} {sequence} ".encode() + MARK + xml


def send(settings: SyslogSettings, records: Sequence[bytes]) -> None:
    """Send messages over one connection, and close it in good order: syslog has no other word for "received".

    A receiver that has read to the end closes its side too; one that was killed before resets the connection. What a
    receiver has read and not yet kept when it dies is lost all the same: no syslog tells.

    Raises
    ------
    RepositoryError
        It cannot be reached, is not believed, or broke off: some of the messages may have arrived.
    SettingsError
        One of the TLS files is not what it should be.
    """
    place = f"the audit repository {settings.host}:{settings.port}"
    try:
        if settings.transport == "udp":
            _send_datagrams(settings, records)
            return
        with _connected(settings, place) as connection:
            connection.settimeout(TAKE_S)
            for one in records:
                connection.sendall(b"%d %b" % (len(one), one))
            _finish(connection)
    except ssl.SSLCertVerificationError as error:
        raise RepositoryError(f"{place} is not believed: {error.verify_message}") from error
    except OSError as error:
        hint = f"; does it believe {settings.certificate}?" if settings.tls else ""
        raise RepositoryError(f"{place} broke off: {error.strerror or error}{hint}") from error


@contextlib.contextmanager
def _connected(settings: SyslogSettings, place: str) -> Iterator[socket.socket]:
    context = client_context(settings.tls) if settings.tls else None
    try:
        opened = socket.create_connection((settings.host, settings.port), timeout=CONNECT_S)
    except OSError as error:
        raise RepositoryError(f"{place} cannot be reached: {error.strerror or error}") from error
    with opened as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            yield plain
            return
        with context.wrap_socket(plain, server_hostname=settings.host) as connection:
            _wait_until_believed(connection)
            yield connection


def _wait_until_believed(connection: ssl.SSLSocket) -> None:
    """Wait for the first word after the handshake: in TLS 1.3 it ends on our side before our certificate is looked at.

    That word is a session ticket (RFC 8446 4.6.1), or that we are not believed; some say nothing at all.
    """
    connection.setblocking(False)
    while connection.version() == "TLSv1.3" and not (connection.session and connection.session.has_ticket):
        try:
            if not connection.recv(1):
                raise ConnectionResetError("it hung up at once")
        except ssl.SSLWantReadError:
            if not select.select([connection], [], [], FIRST_WORD_S)[0]:
                return


def _finish(connection: socket.socket) -> None:
    """Say that nothing more comes, and wait until the other side has read to here. OSError where it has not.

    It has, where it ends the connection after us and nothing of ours was left: what a closed socket still gets, or has
    not been read when it is closed, is answered by a reset (RFC 1122 4.2.2.13).
    """
    plain = connection
    if isinstance(connection, ssl.SSLSocket):
        plain = connection.unwrap()
    else:
        connection.shutdown(socket.SHUT_WR)
    while plain.recv(4096):
        pass
    for _ in range(LOOKS):
        if not struct.unpack("i", fcntl.ioctl(plain, termios.TIOCOUTQ, b"\0" * 4))[0]:
            break
        time.sleep(TAKE_S / LOOKS)
    else:
        raise TimeoutError("it does not take what is sent")
    error = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def _send_datagrams(settings: SyslogSettings, records: Sequence[bytes]) -> None:
    kind = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(kind, socket.SOCK_DGRAM) as connection:
        connection.connect((settings.host, settings.port))
        for one in records:
            connection.send(one)
