"""The report of a storage commitment (PS3.4 J.3.3): we tell a scanner what this node has committed to.

It goes on an association that we open, on which we are the SCP of the service (PS3.4 J.3.3.1, PS3.7 D.3.3.4).
"""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pynetdicom import build_context, build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined] # made at import
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dicom_node.commitment import CommitmentVerdict
from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError, DestinationRefused
from dicom_node.send.association import association
from dicom_node.send.commitment import ALL_STORED, SOME_FAILED
from dicom_node.settings import SendSettings
from dicom_node.status import SUCCESS

# It knows no such transaction, event or argument: saying it again changes nothing (PS3.7 10.1.1.1.8).
FOR_GOOD = frozenset({0x0112, 0x0113, 0x0114, 0x0115, 0x0117, 0x0118, 0x0119, 0x0122, 0x0124, 0x0211})


def report(
    requestor: Destination,
    calling_ae: str,
    transaction_uid: str,
    verdicts: Sequence[CommitmentVerdict],
    settings: SendSettings,
) -> None:
    """Report on every instance of a request (N-EVENT-REPORT), until the requestor has answered 0x0000.

    A requestor that grants us no role is told all the same: the report is the only thing it can expect.

    Raises
    ------
    DestinationError
        The requestor cannot be reached, does not answer, or cannot take the report now.
    DestinationRefused
        It does not take the report.
    """
    contexts = [build_context(StorageCommitmentPushModel)]
    roles = [build_role(StorageCommitmentPushModel, scp_role=True)]
    with association(requestor, calling_ae, contexts, settings, roles=roles) as link:
        try:
            answer, _ = link.send_n_event_report(
                _information(transaction_uid, verdicts),
                SOME_FAILED if any(verdict.failure for verdict in verdicts) else ALL_STORED,
                StorageCommitmentPushModel,
                StorageCommitmentPushModelInstance,
            )
        except (RuntimeError, ValueError) as error:  # the association ended, or its context was refused after all
            raise DestinationError(f"{requestor.title} broke off before the storage commitment report") from error
    _check_answer(requestor, answer.get("Status"))


def _information(transaction_uid: str, verdicts: Sequence[CommitmentVerdict]) -> Dataset:
    """Event Information (PS3.4 Table J.3-2)."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    stored = [_item(verdict) for verdict in verdicts if not verdict.failure]
    failed = [_item(verdict) for verdict in verdicts if verdict.failure]
    if stored:
        information.ReferencedSOPSequence = stored
    if failed:
        information.FailedSOPSequence = failed
    return information


def _item(verdict: CommitmentVerdict) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = verdict.reference.sop_class_uid
    item.ReferencedSOPInstanceUID = verdict.reference.sop_instance_uid
    if verdict.failure:
        item.FailureReason = verdict.failure
    return item


def _check_answer(requestor: Destination, status: int | None) -> None:
    if status is None:
        raise DestinationError(f"{requestor.title} did not answer the storage commitment report")
    sentence = f"{requestor.title} answered the storage commitment report with status 0x{status:04X}"
    if status in FOR_GOOD:
        raise DestinationRefused(sentence)
    if status != SUCCESS:
        raise DestinationError(sentence)
