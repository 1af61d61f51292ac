"""The listener: an SCP (PS3.4 B, PS3.8) for CT Image Storage, Verification and storage commitment results."""

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from socketserver import BaseServer
from typing import cast

from pydicom.uid import CTImageStorage
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined] # made at import
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.errors import SettingsError
from dicom_node.receive.handlers import Callbacks, Handlers
from dicom_node.receive.spool import Spool
from dicom_node.settings import ReceiveSettings
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES
from dicom_node.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

UNCOMPRESSED = list(TRANSFER_SYNTAXES[:2])
# Whoever connects must ask for an association within this time, or gives its place to others: port probes never do.
INTRODUCTION_S = 10.0
# pynetdicom counts connections that never ask for an association too; `limits.Admission` counts in its place.
UNCOUNTED = 1_000_000


class Listener:
    """Takes associations from `start` to `stop`; each is served by threads of its own.

    Parameters
    ----------
    callbacks : Callbacks
        Told of what arrives, from the listener's threads.
    now : callable
        Gives the time, aware.
    """

    def __init__(
        self, settings: ReceiveSettings, spool: Spool, callbacks: Callbacks, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._handlers = Handlers(settings, spool, callbacks, now)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port listened on; the settings' port may be 0 for any free one."""
        if self._server is None:
            raise RuntimeError("the listener has no address until it is started")
        host, port = self._server.server_address[:2]
        return host, port

    def start(self) -> None:
        """Begin to listen; returns at once.

        Raises
        ------
        SettingsError
            The port is in use or may not be used, or the host is not of this machine.
        """
        _quieten_pynetdicom()
        entity = _entity(self._settings)
        try:
            self._server = cast(
                "_Server",
                entity.make_server(
                    (self._settings.host, self._settings.port),
                    evt_handlers=self._handlers.bindings(),
                    server_class=_server_class(self._settings),
                ),
            )
        except OSError as error:
            raise _cannot_listen(self._settings, error) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="listener", daemon=True
        )
        self._thread.start()

    def stop(self, limit_s: float = 30.0) -> None:
        """Take no new association, let those under way finish for ``limit_s`` seconds, then abort them."""
        server, self._server = self._server, None
        if server is None:
            return
        BaseServer.shutdown(server)  # pynetdicom's own shutdown wants the bookkeeping of AE.start_server
        server.server_close()
        deadline = time.monotonic() + limit_s
        while (under_way := _under_way(server)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for association in under_way:
            association.abort()


def _under_way(server: "_Server") -> list[Association]:
    """Associations that were accepted. Port probes and others that never asked for one are not waited for."""
    return [association for association in server.active_associations if association.is_established]


class _Server(ThreadedAssociationServer):
    """pynetdicom's server with socket options that it leaves out."""

    request_queue_size = 64  # a flood of senders waits in the kernel instead of being cut off

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        # An answer of a few bytes else waits 40 ms for the sender's delayed acknowledgement (Nagle).
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A sender that falls silent inside a PDU else holds its thread for ever: no timer of pynetdicom's runs there.
        connection.settimeout(self.ae.network_timeout)
        return connection, address


class _SharingServer(_Server):
    """One of several on a port: the kernel deals out the connections among them (SO_REUSEPORT, Linux 3.9)."""

    def server_bind(self) -> None:
        cast("socket.socket", self.socket).setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


def _server_class(settings: ReceiveSettings) -> type[_Server]:
    if not settings.share_port:
        return _Server
    if not hasattr(socket, "SO_REUSEPORT"):
        raise SettingsError("[receive].share_port: this operating system lacks SO_REUSEPORT; run one listener")
    if settings.port == 0:
        raise SettingsError("[receive].share_port needs a port of its own: set [receive].port, for example 11112")
    return _SharingServer


def _entity(settings: ReceiveSettings) -> AE:
    entity = AE(settings.ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.require_called_aet = settings.require_called_ae_title
    entity.require_calling_aet = list(settings.calling_ae_titles)
    entity.maximum_associations = UNCOUNTED
    entity.maximum_pdu_size = settings.maximum_pdu_bytes
    entity.network_timeout = entity.dimse_timeout = settings.network_timeout_s
    entity.acse_timeout = min(settings.network_timeout_s, INTRODUCTION_S)
    entity.add_supported_context(Verification, UNCOMPRESSED)
    entity.add_supported_context(CTImageStorage, list(TRANSFER_SYNTAXES))
    # Both roles: a PACS that reports on an association of its own proposes to be SCP and may insist on the reply
    # (dcm4che), or says nothing of roles (PS3.4 J.3.3.1, PS3.7 D.3.3.4).
    entity.add_supported_context(StorageCommitmentPushModel, UNCOMPRESSED, scu_role=True, scp_role=True)
    return entity


def _cannot_listen(settings: ReceiveSettings, error: OSError) -> SettingsError:
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            f"port {settings.port} is in use by another program: choose another [receive].port or stop it"
        )
    if error.errno == errno.EACCES:
        return SettingsError(
            f"port {settings.port} needs root's rights: choose a [receive].port above 1023, for example 11112"
        )
    return SettingsError(
        f"[receive].host = {settings.host!r} cannot be listened on ({error.strerror}): give an address of this machine"
    )


def _quieten_pynetdicom() -> None:
    """Keep data sets and tracebacks of broken senders out of the log; the handlers log what an admin needs."""
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
