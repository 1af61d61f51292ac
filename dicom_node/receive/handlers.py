"""What the node answers to each DICOM message. Everything here runs in pynetdicom's threads, one per association.

C-ECHO has no handler: pynetdicom's own answers 0x0000 (PS3.7 9.3.5).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

from pydicom import Dataset
from pydicom.uid import UID, CTImageStorage
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicom_node import crash
from dicom_node.commitment import CommitmentRequest
from dicom_node.errors import NodeError, RequestRefused
from dicom_node.receive import callers
from dicom_node.receive.commitment import check_caller, read_request
from dicom_node.receive.door import arrived, keep
from dicom_node.receive.limits import Admission, Patience, Repeats, answer_odd_request, bound, hang_up
from dicom_node.receive.spool import Spool
from dicom_node.records import ReceivedInstance, Refusal
from dicom_node.settings import ReceiveSettings
from dicom_node.status import PROCESSING_FAILURE, SUCCESS, action_status, store_status

log = logging.getLogger(__name__)

# Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21).
LOCAL_LIMIT_EXCEEDED = (2, 3, 2)
CALLING_AE_NOT_RECOGNIZED = (1, 1, 3)
CALLED_AE_NOT_RECOGNIZED = (1, 7)  # result and reason
SAID_AGAIN_S = 60.0
NAMED = 10  # of a PACS that offers every class there is, the others are counted
News = TypeVar("News")


@dataclass(frozen=True)
class Callbacks:
    """Whom the listener tells. All are called from its threads, several at once.

    Attributes
    ----------
    on_received : callable
        An instance is on disk for good. Called before the sender is answered; should it fail, the sender is answered
        0x0000 all the same, because the spool holds the instance and the next scan reports it again.
    on_released, on_aborted : callable
        An association that brought these SeriesInstanceUIDs ended, in good order or not.
    on_commitment : callable
        A storage commitment result (PS3.4 J.3.3): its data set and event type, 1 or 2; returns the status to answer.
    on_refused : callable
        Someone was not let in, or was cut off, or asked in vain for storage commitment.
    on_asked : callable
        A storage commitment request (PS3.4 J.3.2). It must be kept for good before this returns; what it raises is
        answered.
    """

    on_received: Callable[[ReceivedInstance], None]
    on_released: Callable[[frozenset[str]], None]
    on_aborted: Callable[[frozenset[str]], None]
    on_commitment: Callable[[Dataset, int], int]
    on_refused: Callable[[Refusal], None]
    on_asked: Callable[[CommitmentRequest], None]


class Handlers:
    """The event handlers of one listener."""

    def __init__(
        self, settings: ReceiveSettings, spool: Spool, callbacks: Callbacks, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._admission = Admission(settings.maximum_associations, settings.maximum_associations_per_peer)
        self._maximum_bytes = int(settings.maximum_instance_mb * 1e6)
        self._patience = Patience(settings.maximum_instance_s)
        self._repeats = Repeats(SAID_AGAIN_S)
        self._spool = spool
        self._callbacks = callbacks
        self._now = now
        self._series: WeakKeyDictionary[Association, set[str]] = WeakKeyDictionary()

    def bindings(self) -> list[EventHandlerType]:
        """Pairs of event and handler, as pynetdicom takes them."""
        return [
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_N_EVENT_REPORT, self.commitment),
            (evt.EVT_N_ACTION, self.asked),
            (evt.EVT_RELEASED, self.released),
            (evt.EVT_ABORTED, self.aborted),
            (evt.EVT_REQUESTED, self.requested),
            (evt.EVT_ACCEPTED, self.accepted),
            (evt.EVT_REJECTED, self.rejected),
            (evt.EVT_PDU_RECV, self.arriving),
            (evt.EVT_DIMSE_RECV, self.message),
        ]

    def store(self, event: Event) -> int:
        """Answer a C-STORE (PS3.4 B.2.3): 0x0000 when, and only when, the instance is on disk for good."""
        try:
            instance = self._keep(event)
            crash.point("spool.stored")
        except Exception as error:  # a status must go back whatever happens
            log.warning(
                "instance from %s refused: %s", _sender(event), error, exc_info=not isinstance(error, NodeError)
            )
            return store_status(error)
        self._series.setdefault(event.assoc, set()).add(instance.series_instance_uid)
        _tell(self._callbacks.on_received, instance)
        return SUCCESS

    def commitment(self, event: Event) -> tuple[int, None]:
        """Answer a storage commitment N-EVENT-REPORT (PS3.4 J.3.3), wherever its association came from."""
        try:
            return self._callbacks.on_commitment(event.event_information, event.event_type or 0), None
        except Exception as error:  # noqa: BLE001 a status must go back whatever happens
            log.error("storage commitment result from %s not taken: %s", _sender(event), type(error).__name__)
            return PROCESSING_FAILURE, None

    def asked(self, event: Event) -> tuple[int, None]:
        """Answer a storage commitment request (PS3.4 J.3.2): 0x0000 when, and only when, it is kept for good."""
        ae_title = event.assoc.requestor.ae_title
        try:
            check_caller(self._settings, ae_title)
            self._callbacks.on_asked(read_request(event))
        except RequestRefused as error:
            self.refused(_address(event), f"its storage commitment request: {error}", ae_title)
            return action_status(error), None
        except Exception as error:  # noqa: BLE001 a status must go back whatever happens
            reason = error if isinstance(error, NodeError) else type(error).__name__
            log.error("storage commitment request from %s not taken: %s", _sender(event), reason)
            return action_status(error), None
        return SUCCESS, None

    def released(self, event: Event) -> None:
        """Name the series that an association brought before it was released."""
        self._ended(event, self._callbacks.on_released)

    def aborted(self, event: Event) -> None:
        """Name the series that an association brought before it was aborted or cut."""
        self._ended(event, self._callbacks.on_aborted)

    def requested(self, event: Event) -> None:
        """Reject an association of a caller that may not send, or past a limit: then it may come again."""
        association, address = event.assoc, _address(event)
        ae_title = cast("A_ASSOCIATE", association.requestor.primitive).calling_ae_title
        stranger = callers.refusal(self._settings.peers, ae_title, address, callers.certificate_of(association))
        crowd = "" if stranger else self._admission.refusal(association, address)
        if stranger or crowd:
            self.refused(address, stranger or crowd, ae_title)
            association.acse.send_reject(*(CALLING_AE_NOT_RECOGNIZED if stranger else LOCAL_LIMIT_EXCEEDED))
            association.kill()

    def refused(self, address: str, reason: str, ae_title: str = "") -> None:
        """Say that someone was not let in, or was cut off: at once, then once a minute with how often."""
        times = self._repeats.times((address, reason))
        if times:
            log.warning("refused %s at %s, times %d: %s", ae_title or "a caller", address, times, reason)
            _tell(self._callbacks.on_refused, Refusal(address, ae_title, reason, times))

    def arriving(self, event: Event) -> None:
        """Keep what an association holds bounded, in bytes and in time."""
        bound(event, self._maximum_bytes)
        if self._patience.is_over(event):
            reason = "an image took longer than [receive].maximum_instance_s"
            self.refused(_address(event), reason, event.assoc.requestor.ae_title)
            hang_up(event.assoc)

    def message(self, event: Event) -> None:
        """Answer the C-STORE requests that pynetdicom leaves without an answer."""
        oddity = answer_odd_request(event)
        if oddity:
            log.warning("instance from %s refused: %s: the sender must mend it", _sender(event), oddity)

    def accepted(self, event: Event) -> None:
        """Log what a sender offered in vain: its admin will ask why images do not come."""
        refused = sorted(event.assoc.rejected_contexts, key=lambda context: context.abstract_syntax != CTImageStorage)
        for context in refused[:NAMED]:
            kind, syntax = cast("UID", context.abstract_syntax).name, context.transfer_syntax[0].name
            log.warning("refused from %s: %s in %s", _sender(event), kind, syntax)
        if len(refused) > NAMED:
            log.warning("refused from %s: %d more services", _sender(event), len(refused) - NAMED)

    def rejected(self, event: Event) -> None:
        """Say that pynetdicom rejected an association, which it does only here (PS3.8 9.3.4)."""
        answer = cast("A_ASSOCIATE", event.assoc.acceptor.primitive)
        if (answer.result, answer.diagnostic) == CALLED_AE_NOT_RECOGNIZED:
            reason = "it calls us by another AE title than [receive].ae_title"
            self.refused(_address(event), reason, event.assoc.requestor.ae_title)

    def _keep(self, event: Event) -> ReceivedInstance:
        ae_title, address = event.assoc.requestor.ae_title, _address(event)
        arrival = arrived(event, self._maximum_bytes, calling_ae=ae_title, peer_ip=address)
        return keep(self._spool, arrival, self._now())

    def _ended(self, event: Event, callback: Callable[[frozenset[str]], None]) -> None:
        series = self._series.pop(event.assoc, None)
        if series:
            _tell(callback, frozenset(series))


def _tell(callback: Callable[[News], None], news: News) -> None:
    """Whoever is told may fail (a ledger that is down); the sender and the other associations must not notice."""
    try:
        callback(news)
    except Exception:
        log.exception("what was received could not be reported; the next scan of the spool will")


def _address(event: Event) -> str:
    return callers.plain_address(str(event.assoc.requestor.address))


def _sender(event: Event) -> str:
    return f"{event.assoc.requestor.ae_title or 'an unnamed AE'} at {_address(event)}"
