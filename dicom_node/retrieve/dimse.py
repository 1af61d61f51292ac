"""Having a PACS send images by C-GET or C-MOVE, Study Root, level IMAGE (PS3.4 C.4.2, C.4.3).

Images are asked for by their UIDs, so many at once: what is here already is not sent again, and the pace can be kept.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial

from pydicom import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.sop_class import (  # type: ignore[attr-defined] # made at import
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom_node.errors import DestinationError, DestinationRefused
from dicom_node.receive.callers import plain_address
from dicom_node.receive.door import arrived
from dicom_node.receive.limits import Patience, bound, hang_up
from dicom_node.retrieve import find
from dicom_node.retrieve.find import Peer, sent
from dicom_node.retrieve.intake import Intake
from dicom_node.retrieve.question import Ask, FoundSeries
from dicom_node.send.association import Handler, association, refused_contexts
from dicom_node.send.query import PENDING
from dicom_node.status import SUCCESS
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES

SOME_FAILED = 0xB000
SEE_LISTENER = "it could not send: see that the node listens, and the host and port that the PACS has for us"
# What an admin does about the end of a retrieval (PS3.4 Tables C.4-2 and C.4-3).
ENDINGS = {
    0x0122: "it does not offer this way: try another by --by",
    0x0124: "it does not let us retrieve: allow it there for our AE title",
    0xA701: "it is out of resources: try later",
    0xA702: SEE_LISTENER,
    0xA801: "it does not know our AE title {ours} as a destination: enter it there with our host and port",
    0xA900: "it does not take a list of UIDs",
    0xFE00: "it was told to stop",
}


class Get:
    """C-GET: images come over the association that asks for them; nobody needs to listen."""

    way = "get"

    def __init__(self, peer: Peer, at_once: int, maximum_instance_s: float) -> None:
        self.name = peer.pacs.name
        self._peer, self._at_once, self._maximum_instance_s = peer, at_once, maximum_instance_s

    def asking(self) -> AbstractContextManager[Ask]:
        """By C-FIND."""
        return find.asking(self._peer)

    def is_offered(self) -> bool:
        """Whether the PACS offers C-GET. DestinationError where it cannot be asked."""
        contexts = [build_context(StudyRootQueryRetrieveInformationModelGet)]
        try:
            with association(self._peer.pacs, self._peer.our_ae, contexts, self._peer.settings):
                return True
        except DestinationRefused:
            return False

    def fetch(self, series: FoundSeries, intake: Intake) -> Iterator[int]:
        """See `question.Source`."""
        # One context for each syntax, so that every image can come as it is stored.
        stores = [build_context(CTImageStorage, syntax) for syntax in TRANSFER_SYNTAXES]
        contexts = [build_context(StudyRootQueryRetrieveInformationModelGet), *stores]
        roles = [build_role(CTImageStorage, scp_role=True)]
        handlers = self._handlers(intake)
        with association(self._peer.pacs, self._peer.our_ae, contexts, self._peer.settings, handlers, roles) as link:
            is_offered = any(
                context.abstract_syntax == contexts[0].abstract_syntax for context in link.accepted_contexts
            )
            if not is_offered or not any(context.as_scp for context in link.accepted_contexts):
                raise refused_contexts(self._peer.pacs, contexts[:2])
            for uids in _batches(intake, self._at_once):
                keys = _identifier(series, uids)
                answers = sent(self.name, partial(link.send_c_get, keys, StudyRootQueryRetrieveInformationModelGet))
                for _ in _read(answers, self._peer, intake, "see its log"):
                    intake.check()
                    yield len(intake.came)

    def _handlers(self, intake: Intake) -> list[Handler]:
        patience = Patience(self._maximum_instance_s)

        def store(event: Event) -> int:
            sender = {"calling_ae": self._peer.pacs.ae_title, "peer_ip": plain_address(_remote(event.assoc))}
            return intake.offer(lambda: arrived(event, intake.maximum_bytes, **sender))

        def arriving(event: Event) -> None:
            bound(event, intake.maximum_bytes)
            if patience.is_over(event):
                hang_up(event.assoc)

        return [(evt.EVT_C_STORE, store), (evt.EVT_PDU_RECV, arriving)]


class Move:
    """C-MOVE: the PACS sends to our listener, which must run and which the PACS must know."""

    way = "move"

    def __init__(self, peer: Peer, at_once: int) -> None:
        self.name = peer.pacs.name
        self._peer, self._at_once = peer, at_once

    def asking(self) -> AbstractContextManager[Ask]:
        """By C-FIND."""
        return find.asking(self._peer)

    def fetch(self, series: FoundSeries, intake: Intake) -> Iterator[int]:
        """See `question.Source`; what comes is the listener's, and the intake only sets the pace."""
        contexts = [build_context(StudyRootQueryRetrieveInformationModelMove)]
        done = 0
        with association(self._peer.pacs, self._peer.our_ae, contexts, self._peer.settings) as link:
            for uids in _batches(intake, self._at_once):
                intake.pace.wait(len(uids))
                keys = _identifier(series, uids)
                model = StudyRootQueryRetrieveInformationModelMove
                answers = sent(self.name, partial(link.send_c_move, keys, self._peer.our_ae, model))
                count = 0
                for count in _read(answers, self._peer, intake, SEE_LISTENER):
                    yield done + count
                done += count


def _batches(intake: Intake, at_once: int) -> Iterator[list[str]]:
    uids = sorted(intake.asked)
    for start in range(0, len(uids), at_once):
        yield uids[start : start + at_once]


def _identifier(series: FoundSeries, uids: list[str]) -> Dataset:
    """Unique keys alone (PS3.4 C.4.2.1.4)."""
    keys = Dataset()
    keys.QueryRetrieveLevel = "IMAGE"
    keys.StudyInstanceUID, keys.SeriesInstanceUID = series.study_uid, series.series_uid
    keys.SOPInstanceUID = uids
    return keys


def _read(answers: Iterator[tuple[Dataset, Dataset | None]], peer: Peer, intake: Intake, advice: str) -> Iterator[int]:
    """How many sub-operations are done, at each answer; notes how many failed. ``advice`` is for an unusual end.

    DestinationError where it broke off or ended with a failure; DestinationRefused where it refuses.
    """
    status, name = Dataset(), peer.pacs.name
    for status, _ in answers:
        yield _count(status, "Completed") + _count(status, "Warning")
    final = status.get("Status")
    if final is None or final in PENDING:
        raise DestinationError(f"PACS {name} broke off while it was sending")
    failed = _count(status, "Failed")
    if failed:
        intake.refused[f"PACS {name} reports images that failed: {advice}"] += failed
    if final not in (SUCCESS, SOME_FAILED):
        kind = DestinationRefused if final in (0x0122, 0x0124, 0xA801) else DestinationError
        reason = ENDINGS.get(final, advice).format(ours=peer.our_ae)
        raise kind(f"PACS {name} ended the retrieval with status 0x{final:04X}: {reason}")


def _count(status: Dataset, kind: str) -> int:
    return int(status.get(f"NumberOf{kind}Suboperations") or 0)


def _remote(link: Association) -> str:
    """The PACS's address as connected."""
    channel = link.dul.socket
    if channel is None or channel.socket is None:
        return ""
    return str(channel.socket.getpeername()[0])
