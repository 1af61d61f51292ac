"""A job is claimed by one worker, finished by the holder of the latest fence, and never made twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dicom_node.errors import StaleFence
from dicom_node.ledger import acts, claims, jobs, queries, receipts
from dicom_node.ledger.database import Database
from dicom_node.ledger.states import JobState
from tests.unit.dicom_node.ledger.rows import (
    AGAIN_S,
    EVERYBODY_IS_GONE,
    NOBODY_IS_GONE,
    arrive,
    claimed,
    new_job,
    queue,
    received,
    result,
    series_id,
)


def state_of(database: Database, job_id: int) -> str:
    view = queries.job_by_id(database, job_id)
    assert view is not None
    return view.state


def test_the_key_depends_on_everything_that_makes_the_result_and_on_no_order() -> None:
    sources = [("1.1", "a"), ("1.2", "b")]
    key = jobs.job_key("1", sources, "model", "config")
    assert key == jobs.job_key("1", sources[::-1], "model", "config")
    others = [
        jobs.job_key("2", sources, "model", "config"),
        jobs.job_key("1", sources[:1], "model", "config"),
        jobs.job_key("1", [("1.1", "a"), ("1.2", "c")], "model", "config"),
        jobs.job_key("1", sources, "other", "config"),
        jobs.job_key("1", sources, "model", "other"),
    ]
    assert len({key, *others}) == 6


def test_only_one_of_many_workers_gets_a_job(database: Database) -> None:
    job_id = queue(database)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: jobs.claim(database, job_id, f"host/boot/{n}/1", 60), range(8)))
    assert sum(claim is not None for claim in claims) == 1


def test_a_claim_names_the_sources(database: Database) -> None:
    claim = claimed(database, queue(database))
    assert {path for path, _ in claim.source_paths} == {str(received(number).path) for number in range(4)}
    assert claim.series_uid == "2.25.1"


def test_a_bell_rings_once_until_it_is_silent_too_long(database: Database) -> None:
    job_id = queue(database)
    assert jobs.due_jobs(database, AGAIN_S) == []
    assert claimed(database, job_id).attempt == 1


def test_a_worker_that_lost_its_lease_may_not_finish(database: Database) -> None:
    job_id = queue(database)
    stale = claimed(database, job_id)
    assert jobs.expire(database, EVERYBODY_IS_GONE, deaths_allowed=3) == 1
    fresh = claimed(database, job_id)
    assert fresh.fence > stale.fence
    for act in (
        lambda: jobs.beat(database, stale, 60, 0.5),
        lambda: jobs.restored(database, stale, result(), {}, ["main"]),
        lambda: jobs.give_back(database, stale, "late", 0),
        lambda: jobs.end(database, stale, JobState.FAILED, "late"),
    ):
        with pytest.raises(StaleFence):
            act()
    jobs.restored(database, fresh, result(), {}, ["main"])
    assert state_of(database, job_id) == JobState.RESTORED


def test_a_living_worker_keeps_its_job_as_long_as_it_beats(database: Database) -> None:
    job_id = queue(database)
    claim = jobs.claim(database, job_id, "host/boot/1/1", lease_s=-1)
    assert claim is not None
    jobs.beat(database, claim, 60, 0.25)
    assert jobs.expire(database, NOBODY_IS_GONE, deaths_allowed=3) == 0
    jobs.beat(database, claim, -1, 0.5)
    assert jobs.expire(database, NOBODY_IS_GONE, deaths_allowed=3) == 1


def test_a_job_that_kills_its_workers_fails_instead_of_killing_the_next(database: Database) -> None:
    job_id = queue(database)
    for _ in range(2):
        claimed(database, job_id)
        jobs.expire(database, EVERYBODY_IS_GONE, deaths_allowed=2)
    view = queries.job_by_id(database, job_id)
    assert view is not None
    assert (view.state, view.reason) == (JobState.FAILED, "the worker died 2 times on this job")
    assert acts.retry(database, job_id, "mended")
    assert claimed(database, job_id).attempt == 1


def test_what_may_pass_waits_before_the_next_try(database: Database) -> None:
    job_id = queue(database)
    jobs.give_back(database, claimed(database, job_id), "the disk is full", retry_in_s=3600)
    assert jobs.claim(database, job_id, "host/boot/2/1", 60) is None
    assert state_of(database, job_id) == JobState.QUEUED


def test_the_same_series_again_makes_no_second_job(database: Database) -> None:
    job_id = queue(database)
    receipts.reopen(database, 1, "sent again")
    assert jobs.complete(database, 1, 4, 1, [new_job(database, 1)])
    assert [view.id for view in queries.jobs(database)] == [job_id]


def test_a_held_stack_may_be_judged_anew(database: Database) -> None:
    series = arrive(database)
    jobs.complete(database, series, 4, 1, [new_job(database, series, JobState.HELD, reason="a slice is missing")])
    receipts.reopen(database, series, "tolerance raised")
    jobs.complete(database, series, 4, 1, [new_job(database, series)])
    assert [view.state for view in queries.jobs(database)] == [JobState.QUEUED]


def test_late_images_supersede_the_earlier_job_and_its_worker(database: Database) -> None:
    job_id = queue(database)
    claim = claimed(database, job_id)
    receipts.record(database, [received(99)], quiet_s=0)
    assert jobs.complete(database, series_id(database), 5, 2, [new_job(database, 1, key="n")])
    assert state_of(database, job_id) == JobState.SUPERSEDED
    with pytest.raises(StaleFence):
        jobs.restored(database, claim, result(), {}, ["main"])


def test_a_node_that_starts_rings_again_what_was_rung_before_it_died(database: Database) -> None:
    job_id = queue(database)
    assert jobs.due_jobs(database, AGAIN_S) == []
    claims.ring_all_again(database)
    assert [due.id for due in jobs.due_jobs(database, AGAIN_S)] == [job_id]
