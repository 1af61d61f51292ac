"""A scanner that asks for storage commitment, and takes the report on an association of its own."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import AE, _config, build_role, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.settings import TlsSettings
from dicom_node.tls import server_context
from tests.faults.kit.pacs import reference
from tests.nodes import AE_TITLE, SCANNER_AE
from tests.processes import HOST, free_port

SUCCESS = 0x0000


@dataclass(frozen=True)
class Report:
    """A report as it came; ``failed`` has the Failure Reason by SOP Instance UID."""

    transaction: str
    event_type: int
    stored: tuple[str, ...]
    failed: dict[str, int]
    as_scp: bool


@dataclass
class Requestor:
    """The scanner.

    Attributes
    ----------
    answer : int
        Status that it answers to reports.
    ready : Event
        Reports are not answered before it is set.
    grants : bool
        Whether it grants the node its role; else it says nothing of roles.
    """

    ae_title: str = SCANNER_AE
    port: int = field(default_factory=free_port)
    tls: TlsSettings | None = None
    answer: int = SUCCESS
    ready: threading.Event = field(default_factory=threading.Event)
    grants: bool = True
    reports: list[Report] = field(default_factory=list)
    _server: ThreadedAssociationServer | None = None

    def start(self) -> None:
        """Listen for reports."""
        _config.LOG_HANDLER_LEVEL = "none"
        entity = AE(self.ae_title)
        entity.require_called_aet = True
        roles = {"scu_role": False, "scp_role": True} if self.grants else {}
        entity.add_supported_context(StorageCommitmentPushModel, **roles)
        handlers = [(evt.EVT_N_EVENT_REPORT, self._told)]
        context = None if self.tls is None else server_context(self.tls)
        self._server = entity.start_server((HOST, self.port), block=False, evt_handlers=handlers, ssl_context=context)

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    def ask(
        self, port: int, uids: Sequence[str], transaction: str = "2.25.1", sop_class: str = CTImageStorage
    ) -> int | None:
        """Ask the node at ``port`` to commit; its answer, or None where none came."""
        items = [reference(uid) for uid in uids]
        for item in items:
            item.ReferencedSOPClassUID = sop_class
        action = Dataset()
        action.TransactionUID, action.ReferencedSOPSequence = transaction, items
        return self.act(port, action)

    def act(
        self, port: int, action: Dataset | None, kind: int = 1, instance: str = StorageCommitmentPushModelInstance
    ) -> int | None:
        """Send any N-ACTION."""
        entity = AE(self.ae_title)
        entity.add_requested_context(StorageCommitmentPushModel)
        entity.acse_timeout = entity.dimse_timeout = 30
        role = build_role(StorageCommitmentPushModel, scu_role=True)
        link = entity.associate(HOST, port, ae_title=AE_TITLE, ext_neg=[role])
        if not link.is_established:
            return None
        try:
            answer, _ = link.send_n_action(action, kind, StorageCommitmentPushModel, instance)
        except RuntimeError:  # the association ended
            return None
        link.release()
        status = answer.get("Status")
        return None if status is None else int(status)

    def _told(self, event: Event) -> tuple[int, None]:
        self.ready.wait(60)
        told = event.event_information
        stored = tuple(str(item.ReferencedSOPInstanceUID) for item in told.get("ReferencedSOPSequence", ()))
        failed = {str(item.ReferencedSOPInstanceUID): item.FailureReason for item in told.get("FailedSOPSequence", ())}
        as_scp = event.assoc.accepted_contexts[0].as_scp is False and event.assoc.accepted_contexts[0].as_scu is True
        self.reports.append(Report(str(told.TransactionUID), event.event_type or 0, stored, failed, as_scp))
        return self.answer, None


@contextmanager
def requestor(**options: object) -> Iterator[Requestor]:
    """A scanner from start to stop, which answers at once."""
    scanner = Requestor(**options)
    scanner.ready.set()
    scanner.start()
    try:
        yield scanner
    finally:
        scanner.ready.set()
        scanner.stop()
