"""What a person decides holds against workers that are in the middle of it, and can be taken back."""

import json

import pytest

from dicom_node.errors import StaleFence
from dicom_node.ledger import acts, claims, commitments, deliveries, jobs, queries, switches
from dicom_node.ledger.database import Database
from dicom_node.ledger.states import JobState
from dicom_node.records import CommitmentReport, InstanceOutcome
from tests.unit.dicom_node.ledger.rows import AGAIN_S, EVERYBODY_IS_GONE, claimed, queue, result

OWNER = "host/boot/9/1"


def state_of(database: Database, job_id: int) -> str:
    view = queries.job_by_id(database, job_id)
    assert view is not None
    return view.state


def restored(database: Database, key: str = "k", series: str = "2.25.1", uids: int = 3) -> int:
    job_id = queue(database, key, series)
    jobs.restored(database, claimed(database, job_id), result(uids), {}, ["main"])
    return job_id


def test_the_worker_of_a_cancelled_job_may_not_finish(database: Database) -> None:
    job_id = queue(database)
    claim = claimed(database, job_id)
    assert acts.cancel(database, job_id, "wrong patient")
    with pytest.raises(StaleFence):
        jobs.restored(database, claim, result(), {}, ["main"])
    with pytest.raises(StaleFence):
        jobs.beat(database, claim, 60, 0.5)
    assert jobs.expire(database, EVERYBODY_IS_GONE, deaths_allowed=3) == 0
    assert state_of(database, job_id) == JobState.CANCELLED
    assert not acts.cancel(database, job_id, "again")


def test_the_sender_of_a_cancelled_job_stops_at_its_next_answer(database: Database) -> None:
    job_id = restored(database)
    claim = deliveries.claim(database, 1, OWNER, 60)
    assert claim is not None
    acts.cancel(database, job_id, "wrong patient")
    with pytest.raises(StaleFence):
        deliveries.answered(database, claim, [InstanceOutcome("2.25.7.0", 0)])
    assert deliveries.claim(database, 1, OWNER, 60) is None
    assert deliveries.due_deliveries(database, AGAIN_S) == []
    assert claims.under_way(database).nothing


def test_a_late_report_does_not_bring_a_cancelled_job_back(database: Database) -> None:
    job_id = restored(database)
    claim = deliveries.claim(database, 1, OWNER, 60)
    assert claim is not None
    deliveries.answered(database, claim, [InstanceOutcome(f"2.25.7.{k}", 0) for k in range(3)])
    deliveries.sent(database, claim, "2.25.77", 0)
    assert acts.cancel(database, job_id, "wrong patient")
    commitments.apply(database, CommitmentReport("2.25.77", (), ()), attempts=10, retry_in_s=0)
    assert state_of(database, job_id) == JobState.CANCELLED


def test_a_cancelled_job_that_is_taken_back_sends_the_result_it_has(database: Database) -> None:
    job_id = restored(database)
    acts.cancel(database, job_id, "a mistake")
    assert acts.retry(database, job_id, "no mistake")
    assert state_of(database, job_id) == JobState.RESTORED
    claim = deliveries.claim(database, 1, OWNER, 60)
    assert claim is not None
    assert len(claim.unsent) == 3


def test_a_cancelled_job_without_result_is_queued_again(database: Database) -> None:
    job_id = queue(database)
    acts.cancel(database, job_id, "a mistake")
    assert acts.retry(database, job_id, "no mistake")
    jobs.restored(database, claimed(database, job_id), result(), {}, ["main"])
    assert deliveries.claim(database, 1, OWNER, 60) is not None


def doubted(database: Database) -> int:
    job_id = queue(database)
    jobs.restored(database, claimed(database, job_id), result(), {}, ["main"], doubt="it contradicts its source")
    return job_id


def test_a_doubted_result_goes_nowhere_until_it_is_released(database: Database) -> None:
    job_id = doubted(database)
    assert state_of(database, job_id) == JobState.HELD
    assert deliveries.due_deliveries(database, AGAIN_S) == []
    assert not acts.retry(database, job_id, "a retry is no release")
    assert acts.release(database, job_id, ["2.25.7.0", "2.25.7.1"], ["main", "other"], "looked at it")
    assert not acts.release(database, job_id, ["2.25.7.0"], ["main"], "twice")
    assert not acts.reject(database, job_id, "too late")
    assert {due.id for due in deliveries.due_deliveries(database, AGAIN_S)} == {1, 2}
    row = queries.audit_of(database, [f"job:{job_id}"])[-1]
    assert (row.event, json.loads(row.detail)["reason"], row.actor) == ("job.released", "looked at it", "tests")


def test_a_rejected_result_is_not_sent_and_a_retry_restores_it_anew(database: Database) -> None:
    job_id = doubted(database)
    assert acts.reject(database, job_id, "upside down")
    view = queries.job_by_id(database, job_id)
    assert view is not None
    assert (view.state, view.reason) == (JobState.CANCELLED, "rejected: upside down")
    assert not acts.release(database, job_id, ["2.25.7.0"], ["main"], "changed my mind")
    assert acts.retry(database, job_id, "with other weights")
    assert state_of(database, job_id) == JobState.QUEUED


def test_a_stack_that_is_held_has_nothing_to_release(database: Database) -> None:
    job_id = queue(database)
    jobs.end(database, claimed(database, job_id), JobState.HELD, "a slice is missing")
    assert not acts.release(database, job_id, [], ["main"], "send it")
    assert not acts.reject(database, job_id, "away with it")


def test_a_job_that_this_machine_is_too_small_for_waits_for_a_person(database: Database) -> None:
    job_id = queue(database)
    jobs.end(database, claimed(database, job_id), JobState.PARKED, "not enough memory")
    assert jobs.due_jobs(database, AGAIN_S) == []
    assert acts.retry(database, job_id, "more memory")
    assert claimed(database, job_id).attempt == 1


def test_what_is_verified_cannot_be_cancelled_or_prioritised(database: Database) -> None:
    job_id = restored(database)
    claim = deliveries.claim(database, 1, OWNER, 60)
    assert claim is not None
    deliveries.verified(database, claim, "C-FIND")
    assert not acts.cancel(database, job_id, "late")
    assert not acts.prioritise(database, job_id, 1, "late")
    assert not acts.retry(database, job_id, "late")


def test_the_urgent_ring_first_and_at_once(database: Database) -> None:
    first, second = queue(database, "a", "2.25.1"), queue(database, "b", "2.25.2")
    assert jobs.due_jobs(database, AGAIN_S) == []
    assert acts.prioritise(database, second, 1, "STAT")
    claims.ring_all_again(database)
    assert [(due.id, due.priority) for due in jobs.due_jobs(database, AGAIN_S)] == [(second, 1), (first, 0)]
    for number, job_id in enumerate((first, second)):
        jobs.restored(database, claimed(database, job_id), result(3), {}, ["main"])
        assert deliveries.claim(database, number + 1, OWNER, 60) is not None
    deliveries.expire(database, EVERYBODY_IS_GONE, deaths_allowed=3)
    assert [due.priority for due in deliveries.due_deliveries(database, AGAIN_S)] == [1, 0]


def test_nothing_is_claimed_while_the_node_is_paused(database: Database) -> None:
    job_id = restored(database)
    other = queue(database, "b", "2.25.2")
    claims.ring_all_again(database)
    assert switches.pause(database, "new GPU")
    assert not switches.pause(database, "twice")
    assert jobs.claim(database, other, OWNER, 60) is None
    assert deliveries.claim(database, 1, OWNER, 60) is None
    assert jobs.due_jobs(database, AGAIN_S) == []
    pause = switches.paused(database)
    assert pause is not None
    assert (pause.reason, pause.by) == ("new GPU", "tests")
    assert switches.resume(database, "it is in")
    assert not switches.resume(database, "twice")
    assert [due.id for due in jobs.due_jobs(database, AGAIN_S)] == [other]
    assert deliveries.claim(database, 1, OWNER, 60) is not None
    assert state_of(database, job_id) == JobState.SENDING


def test_what_was_under_way_before_a_pause_ends(database: Database) -> None:
    job_id = queue(database)
    claim = claimed(database, job_id)
    switches.pause(database, "new GPU")
    assert not claims.under_way(database).nothing
    jobs.restored(database, claim, result(), {}, ["main"])
    assert claims.under_way(database).nothing


def test_every_act_is_in_the_audit_trail_with_who_and_why(database: Database) -> None:
    job_id = queue(database)
    acts.prioritise(database, job_id, 1, "why 1")
    acts.cancel(database, job_id, "why 2")
    acts.retry(database, job_id, "why 3")
    switches.pause(database, "why 4")
    switches.resume(database, "why 5")
    rows = queries.audit_of(database, [f"job:{job_id}", "node"])[1:]
    assert [(row.event, json.loads(row.detail)["reason"], row.actor) for row in rows] == [
        ("job.priority.1", "why 1", "tests"),
        ("job.cancelled", "why 2", "tests"),
        ("job.retry", "why 3", "tests"),
        ("claims.paused", "why 4", "tests"),
        ("claims.resumed", "why 5", "tests"),
    ]
