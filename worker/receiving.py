"""The listener's side of the ledger: what the spool holds is entered in batches, away from the C-STORE path."""

import queue
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from pydicom import Dataset

from dicom_node import crash
from dicom_node.commitment import CommitmentRequest
from dicom_node.errors import LedgerError, NodeError, StorageError
from dicom_node.ledger import commitment_requests, receipts, refusals
from dicom_node.receive.handlers import Callbacks
from dicom_node.receive.scp import Listener
from dicom_node.receive.spool import Spool
from dicom_node.records import ReceivedInstance, Refusal
from dicom_node.send.commitment import parse_report
from dicom_node.status import PROCESSING_FAILURE, SUCCESS
from worker.owner import is_gone, this_owner
from worker.steps.deliver import apply_report
from worker.wiring import Node

log = structlog.get_logger()

# An instance, the series of an association that was released, or someone who was not let in.
News = ReceivedInstance | frozenset[str] | Refusal

BATCH = 200
WAIT_S = 0.2
RETRY_S = 1.0
# While the ledger is away, news wait here; past this many the scan has to find the instances.
WAITING_AT_MOST = 50_000
# A file this young may be on its way to the ledger through the queue: the scan leaves it alone.
SETTLED = timedelta(seconds=10)


class Receiver:
    """A listener, and a thread that enters what it received. While the ledger is away, the news wait for it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        receive = node.settings.receive
        self._spool = Spool(receive.spool, receive.disk_full_percent, this_owner())
        self._queue: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)
        callbacks = Callbacks(
            on_received=self._tell,
            on_released=self._tell,
            on_aborted=lambda _uids: None,  # a series whose sender vanished waits for the long quiet time
            on_commitment=self._commitment,
            on_refused=self._tell,
            on_asked=self._asked,
        )
        self.listener = Listener(receive, self._spool, callbacks, lambda: datetime.now(UTC))

    def start(self) -> None:
        """Heal what an earlier death left, then listen. SettingsError when the port is taken."""
        now = datetime.now(UTC)
        self._spool.clean(is_gone, now)
        # Where other listeners live, the youngest files may be on their way to the ledger from there.
        rescan(self._node, now if self._node.settings.receive.share_port else now + SETTLED)
        receipts.listening_again(self._node.database, self._node.settings.series.quiet_s)
        self._thread.start()
        self.listener.start()

    def stop(self) -> None:
        """Stop listening, then enter what is left."""
        self.listener.stop()
        self._stop.set()
        self._thread.join()

    def _tell(self, news: News) -> None:
        if self._queue.qsize() < WAITING_AT_MOST:
            self._queue.put(news)

    def _run(self) -> None:
        while not self._stop.is_set() or not self._queue.empty():
            batch = self._take()
            while batch and not self._is_entered(batch) and not self._stop.wait(RETRY_S):
                pass

    def _is_entered(self, batch: Sequence[News]) -> bool:
        """Whether the ledger took it. What it never takes, the spool still has, and the next start enters it."""
        try:
            self._enter(batch)
        except LedgerError as error:
            log.error("receipts wait for the ledger", count=len(batch), reason=str(error))
            return False
        except Exception:  # this thread must live on; what cannot be entered now, the scan tries again
            log.exception("receipts could not be entered", count=len(batch))
        return True

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
            enter(self._node, received)
            crash.point("receipts.entered")
        released = [uid for item in items if isinstance(item, frozenset) for uid in item]
        if released:
            receipts.released(self._node.database, released, settings.quiet_released_s)
        refusals.record(self._node.database, [item for item in items if isinstance(item, Refusal)])

    def _asked(self, request: CommitmentRequest) -> None:
        """Enter a storage commitment request now: the scanner is answered after it."""
        commitment_requests.enter(self._node.database, request, self._node.settings.receive.commitment_wait_s)
        crash.point("commitment.asked")

    def _commitment(self, data_set: Dataset, event_type: int) -> int:
        try:
            apply_report(self._node, parse_report(data_set, event_type))
        except NodeError:
            return PROCESSING_FAILURE  # the PACS may report again; else the query decides
        return SUCCESS


def enter(node: Node, received: Sequence[ReceivedInstance]) -> None:
    """Enter instances in the ledger, and note in quarantine which contradict an earlier one. LedgerError: none is."""
    for found in receipts.record(node.database, received, node.settings.series.quiet_s).conflicts:
        log.warning("one SOP Instance UID came with two different contents", sha256=found.instance.sha256)
        try:
            node.spool.note_conflict(found.instance, found.earlier_sha256)
        except StorageError as error:  # the ledger holds the conflict too
            log.error("a conflict could not be noted in quarantine", reason=str(error))


def rescan(node: Node, now: datetime) -> int:
    """Enter every settled file of the spool that the ledger lacks; returns how many."""
    known = receipts.known_paths(node.database)
    lacking = [item for item in node.spool.scan(known) if item.received_at < now - SETTLED]
    for start in range(0, len(lacking), BATCH):
        enter(node, lacking[start : start + BATCH])
    if lacking:
        log.warning("the spool held instances that the ledger lacked", count=len(lacking))
    return len(lacking)
