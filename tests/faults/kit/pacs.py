"""A PACS that misbehaves by script, and keeps count of what it was sent."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
)
from pynetdicom import AE, _config, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.send.association import send_at_once
from tests.nodes import AE_TITLE
from tests.processes import HOST, free_port

SUCCESS, NO_SUCH_INSTANCE = 0x0000, 0x0112
ALL_STORED, SOME_FAILED = 1, 2
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def takes_all(_number: int, _times: int) -> int:
    """Every instance is stored at once."""
    return SUCCESS


@dataclass
class Script:
    """How the PACS behaves; a test changes it while the PACS runs.

    Attributes
    ----------
    status : callable
        Status of a C-STORE from the instance's number (0, 1, ... as they first came) and how often it came before.
    loses : frozenset of int
        Numbers of instances that it forgets, once, after it answered success.
    commitment : str
        ``prompt`` on an association of its own, ``same`` on that of the request, ``never``, ``when told``,
        ``unknown`` (for a transaction nobody asked about), or ``absent`` where it offers none.
    query : bool
        Whether it offers C-FIND.
    callers : list of str
        AE titles that it takes associations from; empty: any.
    """

    status: Callable[[int, int], int] = takes_all
    loses: frozenset[int] = frozenset()
    commitment: str = "prompt"
    query: bool = True
    callers: list[str] = field(default_factory=list)


@dataclass
class ScriptedPacs:
    """The PACS. What it holds outlives its stops and starts.

    Attributes
    ----------
    held : dict
        SOP Instance UID to Series Instance UID.
    came, stored : Counter
        How often each SOP Instance UID was sent, and answered as stored.
    asked : list
        Commitment requests, as transaction and UIDs, that were not reported on.
    reported : list of int
        Statuses that the node answered to reports, or -1 where it did not answer.
    """

    node_port: int
    script: Script = field(default_factory=Script)
    name: str = "scripted"
    ae_title: str = "SCRIPTED"
    host: str = HOST
    port: int = field(default_factory=free_port)
    held: dict[str, str] = field(default_factory=dict)
    came: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    associations: int = 0
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    reported: list[int] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _server: ThreadedAssociationServer | None = None

    def start(self) -> None:
        """Listen, with what the script offers now."""
        _config.LOG_HANDLER_LEVEL = "none"
        entity = AE(self.ae_title)
        entity.require_calling_aet = self.script.callers
        entity.require_called_aet = True
        entity.maximum_pdu_size = 131072
        entity.add_supported_context(Verification)
        for kind in (CTImageStorage, KeyObjectSelectionDocumentStorage):
            entity.add_supported_context(kind, SYNTAXES)
        if self.script.query:
            entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        if self.script.commitment != "absent":
            entity.add_supported_context(StorageCommitmentPushModel)
        handlers = [
            (evt.EVT_CONN_OPEN, send_at_once),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_ACTION, self._act),
        ]
        self._server = entity.start_server((HOST, self.port), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        """Break off every association and stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    def holdings(self) -> dict[str, int]:
        """Series that it holds, with their number of instances."""
        with self._lock:
            return dict(Counter(self.held.values()))

    def report(self) -> None:
        """Report on everything that was asked, each on an association of its own."""
        with self._lock:
            asked, self.asked = self.asked, []
        for transaction, uids in asked:
            self._report(transaction, uids)

    def _requested(self, _event: Event) -> None:
        self.associations += 1

    def _store(self, event: Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        with self._lock:
            number = self._numbers.setdefault(uid, len(self._numbers))
            status = self.script.status(number, self.came[uid])
            self.came[uid] += 1
            if status == SUCCESS or status & 0xF000 == 0xB000:
                self.stored[uid] += 1
                if number not in self.script.loses or self.stored[uid] > 1:
                    self.held[uid] = str(event.dataset.SeriesInstanceUID)
        return status

    def _find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        wanted = event.identifier.SeriesInstanceUID
        with self._lock:
            found = [uid for uid, series in self.held.items() if series == wanted]
        for uid in found:
            answer = Dataset()
            answer.QueryRetrieveLevel, answer.SeriesInstanceUID, answer.SOPInstanceUID = "IMAGE", wanted, uid
            yield 0xFF00, answer

    def _act(self, event: Event) -> tuple[int, None]:
        asked = event.action_information
        uids = [str(item.ReferencedSOPInstanceUID) for item in asked.ReferencedSOPSequence]
        transaction = str(asked.TransactionUID)
        match self.script.commitment:
            case "prompt":
                self._later(self._report, transaction, uids)
            case "unknown":
                self._later(self._report, f"{transaction}.1"[-64:], uids)
            case "same":
                self._later(self._report_on, event.assoc, transaction, uids)
            case "when told":
                with self._lock:
                    self.asked.append((transaction, uids))
        return SUCCESS, None

    def _later(self, act: Callable[..., None], *arguments: object) -> None:
        """From another thread: the request has to be answered first."""

        def run() -> None:
            time.sleep(0.1)
            act(*arguments)

        threading.Thread(target=run, daemon=True).start()

    def _report(self, transaction: str, uids: list[str]) -> None:
        entity = AE(self.ae_title)
        entity.add_requested_context(StorageCommitmentPushModel)
        entity.acse_timeout = entity.dimse_timeout = 10
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        link = entity.associate(HOST, self.node_port, ae_title=AE_TITLE, ext_neg=[role])
        if not link.is_established:
            self.reported.append(-1)
            return
        self._report_on(link, transaction, uids)
        link.release()

    def _report_on(self, link: Association, transaction: str, uids: list[str]) -> None:
        with self._lock:
            lost = [uid for uid in uids if uid not in self.held]
        result = Dataset()
        result.TransactionUID = transaction
        result.ReferencedSOPSequence = [reference(uid) for uid in uids if uid not in lost]
        if lost:
            result.FailedSOPSequence = [reference(uid, NO_SUCH_INSTANCE) for uid in lost]
        kind = SOME_FAILED if lost else ALL_STORED
        try:
            answer, _ = link.send_n_event_report(
                result, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            )
        except (RuntimeError, ValueError):  # the association ended
            self.reported.append(-1)
            return
        self.reported.append(int(answer.get("Status", -1)))


@contextmanager
def scripted_pacs(node_port: int, **script: object) -> Iterator[ScriptedPacs]:
    """A PACS from start to stop."""
    pacs = ScriptedPacs(node_port, Script(**script))
    pacs.start()
    try:
        yield pacs
    finally:
        pacs.stop()


def reference(uid: str, reason: int | None = None) -> Dataset:
    """One item of a storage commitment report (PS3.4 Table J.3-2)."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
    if reason is not None:
        item.FailureReason = reason
    return item
