"""Nothing goes before it is settled, and what comes back is judged again as a whole or not at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_node.ledger import acts, commitments, deliveries, jobs, purging, queries, receipts
from dicom_node.ledger.database import Database
from dicom_node.ledger.deliveries import DeliveryClaim
from dicom_node.ledger.states import JobState, SeriesState
from dicom_node.records import CommitmentReport, InstanceOutcome
from tests.unit.dicom_node.ledger.rows import arrive, claimed, new_job, queue, received, result

OWNER = "host/boot/9/1"
# Negative: settled just now counts as long ago.
ANY_AGE = -1.0


def restored(database: Database, destinations: tuple[str, ...] = ("main",)) -> int:
    job_id = queue(database)
    jobs.restored(database, claimed(database, job_id), result(), {}, destinations)
    return job_id


def take(database: Database) -> DeliveryClaim:
    claim = deliveries.claim(database, 1, OWNER, 60)
    assert claim is not None
    return claim


def verify(database: Database) -> int:
    job_id = restored(database)
    deliveries.verified(database, take(database), "C-FIND")
    return job_id


def failing(database: Database) -> None:
    jobs.end(database, claimed(database, queue(database)), JobState.FAILED, "ours")


def parked(database: Database) -> None:
    restored(database)
    deliveries.park(database, take(database), "refused")


def unverified(database: Database) -> None:
    restored(database)
    deliveries.sent(database, take(database), None, 0)


def held(database: Database) -> None:
    series = arrive(database)
    jobs.complete(database, series, 4, 1, [new_job(database, series, JobState.HELD, reason="gap")])


def half_settled(database: Database) -> None:
    series = arrive(database)
    stacks = [new_job(database, series, JobState.SKIPPED, "s"), new_job(database, series, JobState.HELD, "h")]
    jobs.complete(database, series, 4, 1, stacks)


@pytest.mark.parametrize(
    "ended",
    [arrive, queue, restored, lambda db: restored(db, ()), failing, parked, unverified, held, half_settled],
    ids=["receiving", "queued", "restored", "no PACS", "failed", "parked", "sent", "held", "one stack held"],
)
def test_what_is_not_settled_never_goes(database: Database, ended: Callable[[Database], object]) -> None:
    ended(database)
    assert purging.results_due(database, ANY_AGE) == []
    assert purging.series_due(database, ANY_AGE) == []
    assert not purging.purge_series(database, 1, "full")
    assert not purging.purge_result(database, 1, "/results/k", "full")


def test_a_verified_result_goes_after_its_time_and_only_once(database: Database) -> None:
    job_id = verify(database)
    assert purging.results_due(database, 60) == []
    assert [item.job_id for item in purging.results_due(database, ANY_AGE)] == [job_id]
    assert purging.purge_result(database, job_id, "/results/k", "old")
    assert not purging.purge_result(database, job_id, "/results/k", "old")
    assert purging.results_to_remove(database) == {job_id: "/results/k"}
    purging.result_removed(database, job_id)
    assert purging.results_to_remove(database) == {}
    view = queries.job_by_id(database, job_id)
    assert view is not None
    assert view.state == JobState.VERIFIED


def test_the_images_of_a_verified_series_go_after_their_time(database: Database) -> None:
    verify(database)
    assert purging.series_due(database, 60) == []
    assert purging.series_due(database, ANY_AGE) == [1]
    assert purging.purge_series(database, 1, "old")
    assert purging.files_to_remove(database) == {1: [str(received(number).path) for number in range(4)]}
    purging.files_removed(database, 1)
    assert purging.files_to_remove(database) == {}
    assert purging.series_due(database, ANY_AGE) == []
    events = [row.event for row in queries.audit_of(database, ["series:1"])]
    assert events[-1] == "series.purged"


def test_images_that_contradict_each_other_go_only_at_a_persons_wish(database: Database) -> None:
    series = arrive(database)
    receipts.record(database, [received(1, digest="b")], quiet_s=0)
    jobs.complete(database, series, 5, 1, [new_job(database, series, JobState.SKIPPED)])
    assert purging.series_due(database, ANY_AGE) == []
    assert not purging.purge_series(database, series, "old")
    assert purging.purge_series(database, series, "seen to", by_person=True)


def test_a_purged_series_that_is_sent_again_makes_no_second_job(database: Database) -> None:
    job_id = verify(database)
    purging.purge_series(database, 1, "old")
    purging.files_removed(database, 1)
    again = [received(number) for number in range(4)]
    assert receipts.record(database, again[:2], quiet_s=0).new == 0
    assert receipts.record(database, again[2:], quiet_s=0).new == 0
    row, instances = receipts.read_series(database, 1)
    assert row.state is SeriesState.RECEIVING
    assert {item.path for item in instances} == {str(item.path) for item in again}
    assert jobs.complete(database, 1, row.instances, row.revision, [new_job(database, 1)])
    assert [view.id for view in queries.jobs(database)] == [job_id]
    assert purging.files_to_remove(database) == {}
    assert purging.series_due(database, ANY_AGE) == [1]


def test_what_comes_back_between_decision_and_removal_stays(database: Database) -> None:
    verify(database)
    purging.purge_series(database, 1, "old")
    receipts.record(database, [received(1)], quiet_s=0)
    assert purging.files_to_remove(database) == {}
    purging.files_removed(database, 1)
    _, instances = receipts.read_series(database, 1)
    assert str(received(1).path) in {item.path for item in instances}


def test_the_part_of_a_purged_series_that_is_new_is_told_from_the_known(database: Database) -> None:
    verify(database)
    assert not receipts.has_unjudged(database, 1)
    receipts.record(database, [replace(received(99), path=Path("/spool/late"))], quiet_s=0)
    assert receipts.has_unjudged(database, 1)


def test_a_cancelled_job_whose_result_went_is_restored_anew(database: Database) -> None:
    job_id = restored(database)
    deliveries.answered(database, take(database), [InstanceOutcome("2.25.7.0", 0)])
    acts.cancel(database, job_id, "why")
    assert purging.purge_result(database, job_id, "/results/k", "old")
    purging.result_removed(database, job_id)
    assert acts.retry(database, job_id, "after all")
    jobs.restored(database, claimed(database, job_id), result(), {}, ["main"])
    assert len(take(database).unsent) == 3
    assert purging.results_to_remove(database) == {}


def test_a_pacs_that_loses_what_we_no_longer_have_is_told_to_a_person(database: Database) -> None:
    job_id = restored(database)
    claim = take(database)
    deliveries.sent(database, claim, "2.25.77", 0)
    deliveries.verified(database, take(database), "C-FIND")
    purging.purge_result(database, job_id, "/results/k", "old")
    commitments.apply(database, CommitmentReport("2.25.77", (), (("2.25.7.0", 0x0112),)), attempts=10, retry_in_s=0)
    view = queries.job_by_id(database, job_id)
    assert view is not None
    assert view.state == JobState.PARKED
    assert "removed from this node" in view.reason
