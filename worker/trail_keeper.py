"""Keeps the audit trail known outside the database: drops its anchors, and sends it to the audit repository."""

import contextlib
import socket
import threading
from datetime import UTC, datetime

import structlog

from dicom_node.audit.anchors import Anchors
from dicom_node.audit.facts import Here, Place
from dicom_node.audit.outbox import BATCH, Outbox
from dicom_node.destinations import AnyDestination, Destination, FolderDestination
from dicom_node.errors import NodeError
from worker.owner import this_owner
from worker.wiring import Node

log = structlog.get_logger()

ANCHOR_S = 3600.0
# While the repository takes rows, they are anchored no more often than this.
SENT_ANCHOR_S = 60.0
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 60.0
# At the end of a process, rounds to send what is left.
LAST_ROUNDS = 5


class TrailKeeper:
    """Works in a thread of its own: a repository that does not answer must not hold up anything else."""

    def __init__(self, node: Node) -> None:
        self._node, self._anchors = node, Anchors(node.settings.audit.anchors)
        syslog = node.settings.audit.syslog
        self._outbox = Outbox(node.database, syslog, here(node), this_owner()) if syslog else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._wait_s = 0.0
        self._trouble = ""

    def begin(self) -> None:
        """Before the first row of this process is written: note where the repository is. LedgerError."""
        if self._outbox:
            self._outbox.begin()

    def start(self) -> None:
        """Anchor what there is, and begin."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is left, if the repository answers, and anchor the end."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        self._anchor(0)
        sent = 0
        while not self._stop.wait(self._pause_s(sent)):
            sent = self._send()
            self._anchor(SENT_ANCHOR_S if sent else ANCHOR_S)
        for _ in range(LAST_ROUNDS):
            if not self._send():
                break
        self._anchor(0)

    def _pause_s(self, sent: int) -> float:
        """Rows gather for a tick; after a failure the pauses grow; after a long outage there is none."""
        return self._wait_s or (0.0 if sent >= BATCH else self._node.settings.worker.tick_s)

    def _send(self) -> int:
        """One round; returns how many rows were taken."""
        if self._outbox is None:
            return 0
        try:
            sent = self._outbox.round()
        except NodeError as error:
            self._wait_s = min(max(self._wait_s * 2, FIRST_WAIT_S), LONGEST_WAIT_S)
            self._tell(str(error))
            return 0
        self._wait_s = 0.0
        self._tell("")
        return sent

    def _anchor(self, every_s: float) -> None:
        try:
            self._anchors.drop(self._node.database, datetime.now(UTC), every_s)
        except NodeError as error:
            log.error("no anchor of the audit trail", reason=str(error))

    def _tell(self, trouble: str) -> None:
        """The same trouble is told once, and when it is over."""
        if trouble != self._trouble:
            with contextlib.suppress(Exception):  # a log that cannot be written ends nothing
                if trouble:
                    log.error("audit messages wait", reason=trouble)
                else:
                    log.info("audit messages are sent again")
        self._trouble = trouble


def here(node: Node) -> Here:
    """This node and its partners, as audit messages name them."""
    places = {name: _place(destination) for name, destination in node.destinations.items()}
    return Here(node.settings.receive.ae_title, socket.gethostname(), places)


def _place(destination: AnyDestination) -> Place:
    if isinstance(destination, Destination):
        return Place("pacs", destination.ae_title, destination.host)
    if isinstance(destination, FolderDestination):
        return Place("folder", destination.path.as_uri(), destination.path.as_uri())
    return Place("dicomweb", destination.url, destination.url)
