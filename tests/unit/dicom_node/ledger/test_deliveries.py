"""A delivery resumes with what is missing, believes only a confirmation, and the job mirrors its deliveries."""

from collections.abc import Sequence

import pytest

from dicom_node.errors import StaleFence
from dicom_node.ledger import commitments, deliveries, jobs, queries, receipts
from dicom_node.ledger.database import Database
from dicom_node.ledger.deliveries import DeliveryClaim
from dicom_node.ledger.states import DeliveryState, JobState
from dicom_node.records import CommitmentReport, InstanceOutcome
from tests.unit.dicom_node.ledger.rows import EVERYBODY_IS_GONE, claimed, new_job, queue, received, result

UIDS = [item.sop_instance_uid for item in result().instances]


def restored(database: Database, destinations: Sequence[str] = ("main",)) -> int:
    """A job whose result waits to be sent."""
    job_id = queue(database)
    jobs.restored(database, claimed(database, job_id), result(), {}, destinations)
    return job_id


def take(database: Database, delivery_id: int = 1) -> DeliveryClaim:
    claim = deliveries.claim(database, delivery_id, "host/boot/1/1", 60)
    assert claim is not None
    return claim


def states(database: Database, job_id: int) -> tuple[str, str]:
    job = queries.job_by_id(database, job_id)
    assert job is not None
    return job.state, queries.deliveries_of(database, job_id)[0].state


def send(database: Database, transaction_uid: str | None = None) -> None:
    claim = take(database)
    deliveries.answered(database, claim, [InstanceOutcome(uid, 0) for uid in UIDS])
    deliveries.sent(database, claim, transaction_uid, ask_in_s=0)


def test_without_destination_a_job_stays_restored_and_says_why(database: Database) -> None:
    view = queries.job_by_id(database, restored(database, ()))
    assert view is not None
    assert (view.state, "no destination" in view.reason) == (JobState.RESTORED, True)


def test_a_resumed_delivery_sends_only_what_was_not_stored(database: Database) -> None:
    job_id = restored(database)
    claim = take(database)
    assert claim.unsent == frozenset(UIDS)
    deliveries.answered(database, claim, [InstanceOutcome(UIDS[0], 0), InstanceOutcome(UIDS[1], 0xA700)])
    assert states(database, job_id) == (JobState.SENDING, DeliveryState.SENDING)
    assert deliveries.expire(database, EVERYBODY_IS_GONE, deaths_allowed=3) == 1
    assert take(database).unsent == frozenset(UIDS[1:])
    with pytest.raises(StaleFence):
        deliveries.sent(database, claim, None, 0)


def test_sent_is_not_verified(database: Database) -> None:
    job_id = restored(database)
    send(database)
    assert states(database, job_id) == (JobState.SENT, DeliveryState.SENT)
    claim = take(database)
    assert claim.state is DeliveryState.VERIFYING
    deliveries.verified(database, claim, "C-FIND")
    assert states(database, job_id) == (JobState.VERIFIED, DeliveryState.VERIFIED)


def test_what_the_pacs_lost_is_sent_again(database: Database) -> None:
    job_id = restored(database)
    send(database)
    deliveries.missing(database, take(database), UIDS[2:], retry_in_s=0)
    assert states(database, job_id)[1] == DeliveryState.PENDING
    assert take(database).unsent == frozenset(UIDS[2:])


def test_a_good_commitment_report_verifies(database: Database) -> None:
    job_id = restored(database)
    send(database, "2.25.77")
    assert commitments.apply(database, CommitmentReport("2.25.77", tuple(UIDS), ()), 10, 0)
    assert states(database, job_id) == (JobState.VERIFIED, DeliveryState.VERIFIED)
    assert queries.deliveries_of(database, job_id)[0].verified_by == "storage commitment"


@pytest.mark.parametrize(
    "report",
    [
        CommitmentReport("2.25.77", tuple(UIDS[:2]), ((UIDS[2], 0x0112),)),
        CommitmentReport("2.25.77", tuple(UIDS[:2]), ()),
    ],
    ids=["named as failed", "not named at all"],
)
def test_a_commitment_report_that_lacks_an_instance_sends_it_again(
    database: Database, report: CommitmentReport
) -> None:
    job_id = restored(database)
    send(database, "2.25.77")
    assert commitments.apply(database, report, 10, 0)
    assert states(database, job_id)[1] == DeliveryState.PENDING
    assert take(database).unsent == {UIDS[2]}


def test_a_pacs_that_keeps_losing_images_is_parked_not_asked_for_ever(database: Database) -> None:
    job_id = restored(database)
    send(database, "2.25.77")
    commitments.apply(database, CommitmentReport("2.25.77", (), ()), attempts=1, retry_in_s=0)
    assert states(database, job_id) == (JobState.PARKED, DeliveryState.PARKED)


def test_a_report_for_an_unknown_transaction_changes_nothing(database: Database) -> None:
    job_id = restored(database)
    send(database, "2.25.77")
    assert not commitments.apply(database, CommitmentReport("2.25.78", tuple(UIDS), ()), 10, 0)
    assert states(database, job_id)[1] == DeliveryState.SENT


def test_a_late_report_of_a_loss_counts_though_the_query_had_confirmed(database: Database) -> None:
    job_id = restored(database)
    send(database, "2.25.77")
    deliveries.verified(database, take(database), "C-FIND")
    assert commitments.apply(database, CommitmentReport("2.25.77", tuple(UIDS[:2]), ((UIDS[2], 0x0112),)), 10, 0)
    assert states(database, job_id)[1] == DeliveryState.PENDING
    assert take(database).unsent == {UIDS[2]}


def test_a_report_that_comes_while_we_ask_in_another_way_wins(database: Database) -> None:
    restored(database)
    send(database, "2.25.77")
    claim = take(database)
    commitments.apply(database, CommitmentReport("2.25.77", tuple(UIDS), ()), 10, 0)
    with pytest.raises(StaleFence):
        deliveries.missing(database, claim, UIDS, 0)


def test_a_parked_delivery_shows_and_can_be_retried(database: Database) -> None:
    job_id = restored(database)
    deliveries.park(database, take(database), "AE title not recognised")
    view = queries.job_by_id(database, job_id)
    assert view is not None
    assert (view.state, view.reason) == (JobState.PARKED, "AE title not recognised")
    assert deliveries.retry(database, 1, "mended")
    assert states(database, job_id)[1] == DeliveryState.PENDING


def test_a_job_with_two_destinations_is_verified_when_both_are(database: Database) -> None:
    job_id = restored(database, ("one", "two"))
    for number, expected in ((1, JobState.SENDING), (2, JobState.VERIFIED)):
        claim = take(database, number)
        deliveries.sent(database, claim, None, 0)
        deliveries.verified(database, take(database, number), "C-FIND")
        view = queries.job_by_id(database, job_id)
        assert view is not None
        assert view.state == expected


def test_a_superseded_job_is_not_sent(database: Database) -> None:
    restored(database)
    receipts.record(database, [received(99)], quiet_s=0)
    jobs.complete(database, 1, 5, 2, [new_job(database, 1, key="n")])
    assert deliveries.claim(database, 1, "host/boot/1/1", 60) is None


def test_a_destination_that_was_configured_later_can_be_added(database: Database) -> None:
    job_id = restored(database, ())
    deliveries.add(database, job_id, ["main"], UIDS)
    assert take(database).unsent == frozenset(UIDS)


def test_an_unverified_delivery_can_be_asked_about_again(database: Database) -> None:
    job_id = restored(database)
    send(database)
    deliveries.unconfirmed(database, take(database), "sent, unverified: no answer", retry_in_s=None)
    assert deliveries.claim(database, 1, "host/boot/1/1", 60) is None
    assert deliveries.retry(database, 1, "mended")
    assert take(database).state is DeliveryState.VERIFYING
    assert states(database, job_id)[0] == JobState.SENT
