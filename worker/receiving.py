"""The listener's side of the ledger: what the spool holds is entered in batches, away from the C-STORE path."""

import queue
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from pydicom import Dataset

from dicom_node import crash
from dicom_node.errors import LedgerError, NodeError
from dicom_node.ledger import receipts
from dicom_node.receive.handlers import Callbacks
from dicom_node.receive.scp import Listener
from dicom_node.records import ReceivedInstance
from dicom_node.send.commitment import parse_report
from dicom_node.status import PROCESSING_FAILURE, SUCCESS
from worker.steps.deliver import apply_report
from worker.wiring import Node

log = structlog.get_logger()

News = ReceivedInstance | frozenset[str]  # an instance, or the series of an association that was released

BATCH = 200
WAIT_S = 0.2
# A file this young may be on its way to the ledger through the queue: the scan leaves it alone.
SETTLED = timedelta(seconds=10)


class Receiver:
    """A listener, and a thread that enters what it received. Should the ledger be away, the spool's scan heals it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._queue: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)
        callbacks = Callbacks(
            on_received=self._queue.put,
            on_released=self._queue.put,
            on_aborted=lambda _uids: None,  # a series whose sender vanished waits for the long quiet time
            on_commitment=self._commitment,
        )
        self.listener = Listener(node.settings.receive, node.spool, callbacks, lambda: datetime.now(UTC))

    def start(self) -> None:
        """Heal what an earlier death left, then listen. SettingsError when the port is taken."""
        self._node.spool.clean()
        rescan(self._node, datetime.now(UTC) + SETTLED)
        self._thread.start()
        self.listener.start()

    def stop(self) -> None:
        """Stop listening, then enter what is left."""
        self.listener.stop()
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set() or not self._queue.empty():
            batch = self._take()
            try:
                self._enter(batch)
            except LedgerError as error:
                log.error("receipts not entered, the scan will", count=len(batch), reason=str(error))

    def _take(self) -> list[News]:
        """Wait for one item, give others a moment to come, then take what is there, up to a batch."""
        items: list[News] = []
        try:
            items.append(self._queue.get(timeout=WAIT_S))
            self._stop.wait(WAIT_S)
            while len(items) < BATCH:
                items.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return items

    def _enter(self, items: Sequence[News]) -> None:
        settings = self._node.settings.series
        received = [item for item in items if isinstance(item, ReceivedInstance)]
        if received:
            crash.point("receipts.taken")
            receipts.record(self._node.database, received, settings.quiet_s)
            crash.point("receipts.entered")
        released = [uid for item in items if isinstance(item, frozenset) for uid in item]
        if released:
            receipts.released(self._node.database, released, settings.quiet_released_s)

    def _commitment(self, data_set: Dataset, event_type: int) -> int:
        try:
            apply_report(self._node, parse_report(data_set, event_type))
        except NodeError:
            return PROCESSING_FAILURE  # the PACS may report again; else the query decides
        return SUCCESS


def rescan(node: Node, now: datetime) -> int:
    """Enter every settled file of the spool that the ledger lacks; returns how many."""
    known = receipts.known_paths(node.database)
    lacking = [item for item in node.spool.scan(known) if item.received_at < now - SETTLED]
    for start in range(0, len(lacking), BATCH):
        receipts.record(node.database, lacking[start : start + BATCH], node.settings.series.quiet_s)
    if lacking:
        log.warning("the spool held instances that the ledger lacked", count=len(lacking))
    return len(lacking)
