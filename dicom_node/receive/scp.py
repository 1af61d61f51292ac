"""The listener: an SCP (PS3.4 B, PS3.8) for CT Image Storage, Verification and storage commitment results."""

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from socketserver import BaseServer

from pydicom.uid import CTImageStorage
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined] # made at import

from dicom_node.errors import SettingsError
from dicom_node.receive.callers import networks
from dicom_node.receive.connections import Connections
from dicom_node.receive.guard import Guard, GuardedServer, make_server
from dicom_node.receive.handlers import Callbacks, Handlers
from dicom_node.receive.pdus import PduLimits
from dicom_node.receive.spool import Spool
from dicom_node.settings import ReceiveSettings
from dicom_node.tls import server_context
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES
from dicom_node.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

UNCOMPRESSED = list(TRANSFER_SYNTAXES[:2])
# pynetdicom counts connections that never ask for an association too; `limits.Admission` counts in its place.
UNCOUNTED = 1_000_000
# Connections for each association that is let in: those that are about to ask, or to be told to come again.
ROOM = 3


class Listener:
    """Takes associations from `start` to `stop`, on a plain port, a TLS port or both; each has threads of its own.

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
        self._servers: dict[str, GuardedServer] = {}

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """Host and port listened on, "plain" or "tls" or both; the settings' port may be 0 for any free one."""
        return {kind: server.server_address[:2] for kind, server in self._servers.items()}

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the plain listener, else of the TLS one."""
        if not self._servers:
            raise RuntimeError("the listener has no address until it is started")
        return next(iter(self.addresses.values()))

    def start(self) -> None:
        """Begin to listen; returns at once.

        Raises
        ------
        SettingsError
            A port is in use or may not be used, the host is not of this machine, there is no port, or the TLS files
            cannot be used.
        """
        _quieten_pynetdicom()
        try:
            self._servers = self._bound()
        except OSError as error:
            raise _cannot_listen(self._settings, error) from error
        for kind, server in self._servers.items():
            threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.1}, name=f"listener-{kind}", daemon=True
            ).start()

    def stop(self, limit_s: float = 30.0) -> None:
        """Take no new association, let those under way finish for ``limit_s`` seconds, then abort them."""
        servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            BaseServer.shutdown(server)  # pynetdicom's own shutdown wants the bookkeeping of AE.start_server
            server.server_close()
        deadline = time.monotonic() + limit_s
        while (under_way := _under_way(servers)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for association in under_way:
            association.abort()

    def _bound(self) -> dict[str, GuardedServer]:
        receive = self._settings
        plain = _guard(receive, self._handlers.refused)
        context = None if receive.tls is None else server_context(receive.tls)
        guards = {"plain": plain, "tls": replace(plain, tls=context)}
        entity, bindings = _entity(receive), self._handlers.bindings()
        with ExitStack() as bound:
            servers = {}
            for kind, port in ports(receive).items():
                servers[kind] = make_server(entity, (receive.host, port), bindings, guards[kind])
                bound.callback(servers[kind].server_close)
            bound.pop_all()  # all are bound: none is to be closed
            return servers


def ports(settings: ReceiveSettings) -> dict[str, int]:
    """Which ports to listen on, by kind: "plain", "tls" or both.

    SettingsError where there is none, or one that cannot be shared and should be.
    """
    tls = None if settings.tls is None else settings.tls.port
    wanted = {kind: port for kind, port in (("plain", settings.port), ("tls", tls)) if port is not None}
    if not wanted:
        raise SettingsError("[receive] names no port: give [receive.tls], or port for DICOM without encryption")
    if settings.share_port and not hasattr(socket, "SO_REUSEPORT"):
        raise SettingsError("[receive].share_port: this operating system lacks SO_REUSEPORT; run one listener")
    if settings.share_port and 0 in wanted.values():
        raise SettingsError("[receive].share_port needs a port of its own: set [receive].port, for example 11112")
    return wanted


def _guard(settings: ReceiveSettings, on_refused: Callable[[str, str], None]) -> Guard:
    connections = Connections(
        networks(settings.peers),
        ROOM * settings.maximum_associations,
        ROOM * settings.maximum_associations_per_peer,
        settings.connections_per_second_per_peer,
    )
    return Guard(
        connections,
        _limits(settings),
        tls=None,
        share_port=settings.share_port,
        on_refused=on_refused,
    )


def _limits(settings: ReceiveSettings) -> PduLimits:
    return PduLimits(settings.maximum_pdu_bytes, settings.network_timeout_s)


def _under_way(servers: Sequence[GuardedServer]) -> list[Association]:
    """Associations that were accepted. Port probes and others that never asked for one are not waited for."""
    return [each for server in servers for each in server.active_associations if each.is_established]


def _entity(settings: ReceiveSettings) -> AE:
    entity = AE(settings.ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.require_called_aet = settings.require_called_ae_title
    entity.maximum_associations = UNCOUNTED
    entity.maximum_pdu_size = settings.maximum_pdu_bytes
    entity.network_timeout = entity.dimse_timeout = settings.network_timeout_s
    entity.acse_timeout = _limits(settings).introduction_s
    entity.add_supported_context(Verification, UNCOMPRESSED)
    entity.add_supported_context(CTImageStorage, list(TRANSFER_SYNTAXES))
    # Both roles: a PACS that reports on an association of its own proposes to be SCP and may insist on the reply
    # (dcm4che), or says nothing of roles (PS3.4 J.3.3.1, PS3.7 D.3.3.4).
    entity.add_supported_context(StorageCommitmentPushModel, UNCOMPRESSED, scu_role=True, scp_role=True)
    return entity


def _cannot_listen(settings: ReceiveSettings, error: OSError) -> SettingsError:
    port = " or ".join(str(port) for port in ports(settings).values())
    if error.errno == errno.EADDRINUSE:
        return SettingsError(f"port {port} is in use by another program: choose another [receive].port or stop it")
    if error.errno == errno.EACCES:
        return SettingsError(f"port {port} needs root's rights: choose a [receive].port above 1023, for example 11112")
    return SettingsError(
        f"[receive].host = {settings.host!r} cannot be listened on ({error.strerror}): give an address of this machine"
    )


def _quieten_pynetdicom() -> None:
    """Keep data sets and tracebacks of broken senders out of the log; the handlers log what an admin needs."""
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
