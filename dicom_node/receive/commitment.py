"""A scanner's storage commitment request (PS3.4 J.3.2): what is asked, and why it is not taken."""

from collections.abc import Sequence
from typing import cast

from pydicom import Dataset
from pynetdicom.dimse_primitives import N_ACTION
from pynetdicom.events import Event
from pynetdicom.sop_class import StorageCommitmentPushModelInstance

from dicom_node.commitment import CommitmentRequest, Reference
from dicom_node.errors import RequestRefused
from dicom_node.settings import ReceiveSettings
from dicom_node.status import (
    INVALID_ARGUMENT_VALUE,
    NO_SUCH_ACTION,
    NO_SUCH_OBJECT_INSTANCE,
    NOT_AUTHORIZED,
    RESOURCE_LIMITATION,
)
from dicom_node.uid import PLAIN_UID

REQUEST_COMMITMENT = 1
REFERENCES_AT_MOST = 20_000


def check_caller(settings: ReceiveSettings, calling_ae: str) -> None:
    """See that this node commits to anything, and can report to this caller.

    Raises
    ------
    RequestRefused
        0x0124: an admin has to allow it.
    """
    if not settings.storage_commitment:
        raise RequestRefused("[receive].storage_commitment is off: this node commits to nothing", NOT_AUTHORIZED)
    if not any(peer.has_address for peer in settings.peers if peer.ae_title == calling_ae):
        raise RequestRefused(
            "its [[receive.peers]] has no host and port to report a storage commitment to", NOT_AUTHORIZED
        )


def read_request(event: Event) -> CommitmentRequest:
    """Read an N-ACTION.

    Raises
    ------
    RequestRefused
        0x0112, 0x0123: it is for another SOP Instance, or another action. Else as `parse_request`.
    """
    action = cast("N_ACTION", event.request)
    if action.RequestedSOPInstanceUID != StorageCommitmentPushModelInstance:
        raise RequestRefused("it is not for the well-known SOP Instance", NO_SUCH_OBJECT_INSTANCE)
    if action.ActionTypeID != REQUEST_COMMITMENT:
        raise RequestRefused("its Action Type ID is not 1, Request Storage Commitment", NO_SUCH_ACTION)
    try:
        information = event.action_information
    except Exception as error:  # broken bytes raise anything, RecursionError included
        raise _unreadable(error) from error
    return parse_request(information, event.assoc.requestor.ae_title)


def parse_request(information: Dataset, calling_ae: str) -> CommitmentRequest:
    """Read Action Information (PS3.4 Table J.3-1).

    Raises
    ------
    RequestRefused
        0x0115: a UID or the sequence is missing or malformed, or one instance has two classes. 0x0213: it names too
        many instances. Nothing that was sent is in the sentence.
    """
    try:
        transaction = _uid(information, "TransactionUID")
        items = information.get("ReferencedSOPSequence") or ()
        references = [_reference(item) for item in items[: REFERENCES_AT_MOST + 1]]
    except RequestRefused:
        raise
    except Exception as error:  # pydicom decodes only now, and broken bytes raise anything
        raise _unreadable(error) from error
    return CommitmentRequest(transaction, calling_ae, _distinct(references))


def _unreadable(error: Exception) -> RequestRefused:
    return RequestRefused(f"it cannot be read ({type(error).__name__})", INVALID_ARGUMENT_VALUE)


def _distinct(references: Sequence[Reference]) -> tuple[Reference, ...]:
    by_uid = {reference.sop_instance_uid: reference for reference in references}
    if not references:
        raise RequestRefused("it names no instance", INVALID_ARGUMENT_VALUE)
    if len(references) > REFERENCES_AT_MOST:
        raise RequestRefused(f"it names more than {REFERENCES_AT_MOST} instances at once", RESOURCE_LIMITATION)
    if len(by_uid) < len(set(references)):
        raise RequestRefused("it names an instance under two classes", INVALID_ARGUMENT_VALUE)
    return tuple(by_uid.values())


def _reference(item: Dataset) -> Reference:
    return Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID"))


def _uid(data_set: Dataset, keyword: str) -> str:
    value = str(data_set.get(keyword) or "")
    if not PLAIN_UID.fullmatch(value):
        raise RequestRefused(f"its {keyword} is missing or no UID", INVALID_ARGUMENT_VALUE)
    return value
