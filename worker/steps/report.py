"""From a scanner's storage commitment request to its report: decide what the node commits to, then say so."""

from pathlib import Path

import structlog

from dicom_node import crash
from dicom_node.commitment import CommitmentVerdict, Reference
from dicom_node.destinations import Destination
from dicom_node.errors import DestinationRefused, NodeError, StaleFence
from dicom_node.ledger import commitment_requests, commitment_verdicts
from dicom_node.ledger.commitment_requests import RequestClaim
from dicom_node.ledger.commitment_verdicts import Kept
from dicom_node.send.report import report
from dicom_node.status import CLASS_INSTANCE_CONFLICT, NO_SUCH_OBJECT_INSTANCE, PROCESSING_FAILURE, SUCCESS
from worker.owner import this_owner
from worker.retry import Fate, after_send_error
from worker.steps.heartbeat import heartbeat
from worker.wiring import Node

log = structlog.get_logger()


def report_commitment(node: Node, request_id: int) -> bool:
    """Claim a request, decide what is undecided, and report. False when there was nothing to claim."""
    lease_s = node.settings.ledger.lease_s
    claim = commitment_requests.claim(node.database, request_id, this_owner(), lease_s)
    if claim is None:
        return False
    try:
        with heartbeat(node, lambda: commitment_requests.beat(node.database, claim, lease_s)):
            _step(node, claim)
    except StaleFence:
        log.warning("commitment request was taken over", request=request_id)
    except NodeError as error:
        _settle(node, claim, error)
    return True


def _step(node: Node, claim: RequestClaim) -> None:
    found = commitment_verdicts.undecided(node.database, claim)
    new = [CommitmentVerdict(reference, _failure(reference, kept)) for reference, kept in found.items()]
    commitment_verdicts.decide(node.database, claim, new)
    crash.point("commitment.decided")
    verdicts = commitment_verdicts.decided(node.database, claim)
    calling_ae = node.settings.receive.ae_title
    report(_requestor(node, claim), calling_ae, claim.transaction_uid, verdicts, node.settings.send)
    crash.point("commitment.told")
    commitment_requests.reported(node.database, claim)
    failed = sum(1 for verdict in verdicts if verdict.failure)
    log.info("storage commitment told", request=claim.request_id, committed=len(verdicts) - failed, failed=failed)


def _failure(reference: Reference, kept: Kept | None) -> int:
    """Failure Reason (PS3.3 C.14.1.1) of an instance; 0 where its file is here, and no other content came under it."""
    if kept is None or not Path(kept.path).is_file():
        return NO_SUCH_OBJECT_INSTANCE
    if kept.contradicted:
        return PROCESSING_FAILURE
    return SUCCESS if kept.sop_class_uid == reference.sop_class_uid else CLASS_INSTANCE_CONFLICT


def _requestor(node: Node, claim: RequestClaim) -> Destination:
    """Where a scanner takes its reports, as the settings say now."""
    for peer in node.settings.receive.peers:
        if peer.ae_title == claim.calling_ae and peer.has_address:
            return Destination(
                name=peer.ae_title, ae_title=peer.ae_title, host=peer.host, port=peer.port or 0,
                storage_commitment=False, tls=peer.tls, tls_name=peer.tls_name, kind="scanner",
            )  # fmt: skip
    raise DestinationRefused(f"no [[receive.peers]] has host and port for {claim.calling_ae}: add them and retry")


def _settle(node: Node, claim: RequestClaim, error: NodeError) -> None:
    decision = after_send_error(error, claim.attempt, node.settings.send)
    log.warning("storage commitment not told", request=claim.request_id, fate=decision.fate.value, reason=str(error))
    if decision.fate is Fate.AGAIN:
        commitment_requests.postpone(node.database, claim, str(error), decision.wait_s)
    else:
        commitment_requests.park(node.database, claim, str(error))
