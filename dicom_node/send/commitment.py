"""Storage Commitment (PS3.4 J): the PACS takes responsibility for what we sent, or names what it lacks.

The report usually comes on an association that the PACS opens to our listener; some PACSs send it on the
association of the request, so that one stays open for a moment.
"""

from collections.abc import Callable, Sequence
from threading import Event as Flag

from pydicom.dataset import Dataset
from pynetdicom import build_context, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import (  # type: ignore[attr-defined] # made at import
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError, DestinationRefused, InputError
from dicom_node.records import CommitmentReport, DerivedInstance
from dicom_node.send.association import association
from dicom_node.settings import SendSettings
from dicom_node.status import PROCESSING_FAILURE, SUCCESS

REQUEST_COMMITMENT = 1
ALL_STORED = 1
SOME_FAILED = 2
# How long the request's association waits for a report that may come on it.
LINGER_S = 1.0


def request(
    destination: Destination,
    calling_ae: str,
    transaction_uid: str,
    instances: Sequence[DerivedInstance],
    settings: SendSettings,
    on_report: Callable[[CommitmentReport], object] | None = None,
) -> None:
    """Ask a PACS to commit to instances (N-ACTION, PS3.4 J.3.2).

    Parameters
    ----------
    transaction_uid : str
        Must be on record before this call: the report may come before it returns.
    on_report : callable, optional
        Called, in another thread, with a report that comes on this association.

    Raises
    ------
    DestinationError
        The PACS cannot be reached, does not answer, or cannot take the request now.
    DestinationRefused
        It offers us no Storage Commitment.
    """
    reported = Flag()

    def on_event(event: Event) -> tuple[int, None]:
        try:
            report = parse_report(event.event_information, event.event_type)
        except InputError:
            return PROCESSING_FAILURE, None
        if on_report is not None:
            on_report(report)
        reported.set()
        return SUCCESS, None

    contexts = [build_context(StorageCommitmentPushModel)]
    with association(destination, calling_ae, contexts, settings, [(evt.EVT_N_EVENT_REPORT, on_event)]) as link:
        answer, _ = link.send_n_action(
            _action(transaction_uid, instances),
            REQUEST_COMMITMENT,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
        _check_answer(destination, answer.get("Status"))
        if on_report is not None:
            reported.wait(LINGER_S)


def parse_report(data_set: Dataset, event_type: int | None) -> CommitmentReport:
    """Read an N-EVENT-REPORT's Event Information (PS3.4 Table J.3-2).

    Parameters
    ----------
    event_type : int
        1 where the PACS says that all is stored, 2 where it says that something failed.

    Raises
    ------
    InputError
        It is no report: unreadable, no transaction, an unknown type, a reference without UID, or type 1 with failures.
    """
    try:
        return _parsed(data_set, event_type)
    except InputError:
        raise
    except Exception as error:  # pydicom decodes only now, and broken bytes raise anything
        raise InputError(f"A storage commitment report cannot be read ({type(error).__name__})") from error


def _parsed(data_set: Dataset, event_type: int | None) -> CommitmentReport:
    transaction = data_set.get("TransactionUID")
    if not transaction or event_type not in {ALL_STORED, SOME_FAILED}:
        raise InputError("A storage commitment report lacks its TransactionUID or has an unknown event type")
    stored = tuple(_referenced(item) for item in data_set.get("ReferencedSOPSequence") or ())
    failed = tuple(
        (_referenced(item), int(item.get("FailureReason") or PROCESSING_FAILURE))
        for item in data_set.get("FailedSOPSequence") or ()
    )
    if failed and event_type == ALL_STORED:
        raise InputError("A storage commitment report says that all is stored and names failures")
    return CommitmentReport(str(transaction), stored, failed)


def _action(transaction_uid: str, instances: Sequence[DerivedInstance]) -> Dataset:
    """Action Information (PS3.4 Table J.3-1)."""
    action = Dataset()
    action.TransactionUID = transaction_uid
    action.ReferencedSOPSequence = []
    for instance in instances:
        item = Dataset()
        item.ReferencedSOPClassUID = instance.sop_class_uid
        item.ReferencedSOPInstanceUID = instance.sop_instance_uid
        action.ReferencedSOPSequence.append(item)
    return action


def _referenced(item: Dataset) -> str:
    uid = item.get("ReferencedSOPInstanceUID")
    if not uid:
        raise InputError("A storage commitment report refers to an instance without its UID")
    return str(uid)


def _check_answer(destination: Destination, status: int | None) -> None:
    if status is None:
        raise DestinationError(f"PACS {destination.name} did not answer the storage commitment request")
    if status in {0x0112, 0x0118, 0x0122, 0x0123, 0x0124, 0x0211}:
        raise DestinationRefused(f"PACS {destination.name} refuses storage commitment with status 0x{status:04X}")
    if status != SUCCESS:
        raise DestinationError(f"PACS {destination.name} answered storage commitment with status 0x{status:04X}")
