"""From a stored result to a confirmed one: send what the PACS lacks, then have it say that it keeps all of it."""

import time
from pathlib import Path

import structlog
from pydicom.uid import KeyObjectSelectionDocumentStorage, generate_uid

from dicom_node import crash
from dicom_node.derive.manifest import load_series
from dicom_node.destinations import AnyDestination, Destination
from dicom_node.errors import DestinationError, DestinationRefused, NodeError, StaleFence
from dicom_node.ledger import circuits, commitments, deliveries
from dicom_node.ledger.deliveries import DeliveryClaim
from dicom_node.ledger.states import DeliveryState
from dicom_node.records import CommitmentReport, DerivedInstance, DerivedSeries, InstanceOutcome
from dicom_node.send.commitment import request
from dicom_node.send.scu import failure_is_permanent
from dicom_node.send.ways import way_to
from worker.owner import this_owner
from worker.retry import Fate, after_send_error, backoff, circuit_pause
from worker.steps.heartbeat import heartbeat
from worker.wiring import Node

log = structlog.get_logger()

OUTCOMES_PER_WRITE = 25


def deliver(node: Node, delivery_id: int) -> bool:
    """Claim a delivery and take it one step further: send, or verify. False when there was nothing to claim."""
    lease_s = node.settings.ledger.lease_s
    claim = deliveries.claim(node.database, delivery_id, this_owner(), lease_s)
    if claim is None:
        return False
    structlog.contextvars.bind_contextvars(job=claim.job_id)
    crash.point("deliver.claimed")
    try:
        with heartbeat(node, lambda: deliveries.beat(node.database, claim, lease_s)):
            _step(node, claim)
    except StaleFence:
        log.warning("delivery was taken over", delivery=delivery_id)
    except NodeError as error:
        _settle(node, claim, error)
    return True


def _step(node: Node, claim: DeliveryClaim) -> None:
    destination = node.destinations.get(claim.destination)
    if destination is None:
        raise DestinationRefused(
            f"settings name no destination {claim.destination!r} any more; add it to [send] and retry"
        )
    result = load_series(Path(claim.result))
    if claim.state is DeliveryState.SENDING:
        _send(node, claim, destination, result)
    else:
        _verify(node, claim, destination, result)


def _send(node: Node, claim: DeliveryClaim, destination: AnyDestination, result: DerivedSeries) -> None:
    rest = [item for item in result.instances if item.sop_instance_uid in claim.unsent]
    # A rejection note hides an earlier result: it does not leave before the PACS has all of the new one.
    notes = [item for item in rest if item.sop_class_uid == KeyObjectSelectionDocumentStorage]
    answers = _Answers(node, claim)
    for batch in ([item for item in rest if item not in notes], notes):
        _store(node, destination, batch, answers)
        refused = [item for item in answers.all if not item.stored]
        if refused:
            raise _error_for(refused, len(rest))
    crash.point("deliver.all-stored")
    log.info("delivery sent", delivery=claim.delivery_id, instances=len(rest))
    _ask_for_confirmation(node, claim, destination, result)


def _store(node: Node, destination: AnyDestination, batch: list[DerivedInstance], answers: "_Answers") -> None:
    try:
        way_to(destination).store(destination, node.settings.receive.ae_title, batch, node.settings.send, answers.add)
    except DestinationError as error:
        if not answers.it_answered:
            _count_failure(node, destination, error)
        raise
    finally:
        answers.flush()


def _count_failure(node: Node, destination: AnyDestination, error: DestinationError) -> None:
    """Nothing came about, or it ended before the first answer: after a few of these the destination is left alone."""
    settings = node.settings.send
    if circuits.failed(node.database, destination.name, str(error), settings.circuit_failures, circuit_pause(settings)):
        log.warning("a destination does not answer and is left alone for a while", destination=destination.name)


def _ask_for_confirmation(node: Node, claim: DeliveryClaim, destination: AnyDestination, result: DerivedSeries) -> None:
    """The transaction is in the ledger before the PACS hears of it: its report may come at once."""
    if not isinstance(destination, Destination) or not destination.storage_commitment:
        deliveries.sent(node.database, claim, transaction_uid=None, ask_in_s=0)
        return
    settings = node.settings.send
    transaction_uid = generate_uid(prefix=None)  # random: no two requests of any node may share it (PS3.4 J.3.2.1)
    deliveries.sent(node.database, claim, transaction_uid, settings.commitment_wait_s)
    crash.point("deliver.transaction-kept")
    try:
        request(
            destination, node.settings.receive.ae_title, transaction_uid, result.instances, settings,
            lambda report: apply_report(node, report),
        )  # fmt: skip
    except DestinationError as error:  # the query that follows the wait decides
        log.warning("storage commitment not asked", delivery=claim.delivery_id, reason=str(error))
    crash.point("deliver.commitment-asked")


def apply_report(node: Node, report: CommitmentReport) -> bool:
    """Enter a storage commitment report, from whichever association it came."""
    settings = node.settings.send
    crash.point("commitment.reported")
    known = commitments.apply(node.database, report, settings.attempts, settings.retry_first_s)
    crash.point("commitment.entered")
    log.info("storage commitment reported", known=known, stored=len(report.stored), failed=len(report.failed))
    return known


def _verify(node: Node, claim: DeliveryClaim, destination: AnyDestination, result: DerivedSeries) -> None:
    """Ask what it holds: no commitment was agreed, or its report did not come in time."""
    settings, way = node.settings.send, way_to(destination)
    try:
        held = way.held(destination, node.settings.receive.ae_title, result, settings)
    except DestinationError as error:
        last = claim.attempt >= settings.attempts or not error.retryable
        wait = None if last else backoff(claim.attempt, settings)
        deliveries.unconfirmed(node.database, claim, f"sent, unverified: {error}", wait)
        return
    crash.point("verify.answered")
    circuits.worked(node.database, claim.destination)
    absent = [item.sop_instance_uid for item in result.instances if item.sop_instance_uid not in held]
    if not absent:
        deliveries.verified(node.database, claim, way.confirms_by)
        log.info("delivery verified", delivery=claim.delivery_id, by=way.confirms_by)
    elif claim.attempt < settings.attempts:
        deliveries.missing(node.database, claim, absent, backoff(claim.attempt, settings))
    else:
        deliveries.unconfirmed(
            node.database, claim, f"sent, unverified: {claim.destination} lists {len(absent)} too few", None
        )


def _error_for(refused: list[InstanceOutcome], total: int) -> DestinationError:
    """One sentence for the statuses that were not success, by the worst of them."""
    statuses = sorted({item.status for item in refused if item.status is not None})
    shown = ", ".join(f"0x{status:04X}" for status in statuses) or "no answer"
    sentence = f"the PACS refused {len(refused)} of {total} instances ({shown})"
    permanent = any(failure_is_permanent(status) for status in statuses)
    return DestinationRefused(sentence) if permanent else DestinationError(sentence)


def _settle(node: Node, claim: DeliveryClaim, error: NodeError) -> None:
    decision = after_send_error(error, claim.attempt, node.settings.send)
    log.warning("delivery not done", delivery=claim.delivery_id, fate=decision.fate.value, reason=str(error))
    if claim.state is DeliveryState.VERIFYING:
        deliveries.unconfirmed(node.database, claim, str(error), decision.wait_s or None)
    elif decision.fate is Fate.AGAIN:
        deliveries.postpone(node.database, claim, str(error), decision.wait_s)
    else:
        deliveries.park(node.database, claim, str(error))


class _Answers:
    """Collects outcomes and writes them to the ledger in small batches: a resume sends at most one batch twice."""

    def __init__(self, node: Node, claim: DeliveryClaim) -> None:
        self.all: list[InstanceOutcome] = []
        self._node, self._claim = node, claim
        self._waiting: list[InstanceOutcome] = []
        self._known_to_work = False
        self._flushed = time.monotonic()

    @property
    def it_answered(self) -> bool:
        """The destination said something of an instance."""
        return any(item.status is not None for item in self.all)

    def add(self, outcome: InstanceOutcome) -> None:
        """Keep one answer; write when a batch is full or a second has passed."""
        crash.point("deliver.one-stored")
        self.all.append(outcome)
        self._waiting.append(outcome)
        if len(self._waiting) >= OUTCOMES_PER_WRITE or time.monotonic() - self._flushed > 1:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            deliveries.answered(self._node.database, self._claim, self._waiting)
            if not self._known_to_work and self.it_answered:
                circuits.worked(self._node.database, self._claim.destination)
                self._known_to_work = True
        self._waiting, self._flushed = [], time.monotonic()
