"""One SOP Instance UID with two contents: both are entered, the second is marked, and what was delivered stays."""

import json

import pytest
from sqlalchemy import select, update

from dicom_node.ledger import jobs, queries, receipts
from dicom_node.ledger.database import Database
from dicom_node.ledger.states import JobState
from dicom_node.ledger.tables import instance, job
from tests.unit.dicom_node.ledger.rows import new_job, queue, received, series_id

CONFLICT = "conflict: one SOP Instance UID came with two different contents"


def marked(database: Database) -> dict[str, bool]:
    """Whether each content, by the first letter of its digest, is marked."""
    with database.reading() as connection:
        return {
            row.sha256[0]: row.conflict for row in connection.execute(select(instance.c.sha256, instance.c.conflict))
        }


@pytest.mark.parametrize("batches", [[["a", "b"]], [["a"], ["b"]]], ids=["in one batch", "one after the other"])
def test_the_second_content_is_marked_and_audited(database: Database, batches: list[list[str]]) -> None:
    found = []
    for digests in batches:
        batch = [received(1, digest=digest) for digest in digests]
        found += receipts.record(database, batch, quiet_s=0).conflicts
    assert [(item.instance.sha256[0], item.earlier_sha256[0]) for item in found] == [("b", "a")]
    assert marked(database) == {"a": False, "b": True}
    [row] = [row for row in queries.audit_of(database, ["series:1"]) if row.event == "series.conflict"]
    assert json.loads(row.detail)["sha256"] == ["a" * 64, "b" * 64]


def test_a_third_content_is_measured_by_the_first(database: Database) -> None:
    receipts.record(database, [received(1), received(1, digest="b")], quiet_s=0)
    (found,) = receipts.record(database, [received(1, digest="c")], quiet_s=0).conflicts
    assert found.earlier_sha256 == "a" * 64


def test_the_marked_content_sent_again_is_a_duplicate_and_no_second_conflict(database: Database) -> None:
    receipts.record(database, [received(1), received(1, digest="b")], quiet_s=0)
    assert receipts.record(database, [received(1, digest="b")], quiet_s=0) == receipts.Entered(0, ())
    events = [row.event for row in queries.audit_of(database, ["series:1"])]
    assert events == ["series.conflict", "instances.received", "instances.duplicate"]


def conflict_after(database: Database, state: JobState) -> str:
    """State of a job after a conflict came when it was in ``state``."""
    job_id = queue(database)
    with database.transaction() as connection:
        connection.execute(update(job).values(state=state))
    receipts.record(database, [received(1, digest="z")], quiet_s=0)
    held = new_job(database, 1, JobState.HELD, key="h", reason=CONFLICT)
    assert jobs.complete(database, series_id(database), 5, 2, [held])
    newest, _ = queries.jobs(database)
    assert (newest.state, newest.reason, newest.revision) == (JobState.HELD, CONFLICT, 2)
    view = queries.job_by_id(database, job_id)
    assert view is not None
    return view.state


@pytest.mark.parametrize("state", [JobState.SENDING, JobState.SENT, JobState.VERIFIED])
def test_what_a_pacs_has_or_is_getting_stays_until_something_replaces_it(database: Database, state: JobState) -> None:
    assert conflict_after(database, state) == state
    receipts.reopen(database, 1, "a person has decided")
    assert jobs.complete(database, 1, 5, 2, [new_job(database, 1, key="n")])
    assert [view.state for view in queries.jobs(database)] == ["queued", "superseded", "superseded"]


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.RESTORED, JobState.PARKED])
def test_what_has_not_left_is_not_sent_from_doubtful_images(database: Database, state: JobState) -> None:
    assert conflict_after(database, state) == JobState.SUPERSEDED


def test_the_ledger_knows_a_series_that_a_job_of_its_own_made(database: Database) -> None:
    queue(database)
    with database.transaction() as connection:
        connection.execute(update(job).values(derived_series_uid="2.25.77"))
    assert receipts.made_here(database, "2.25.77")
    assert not receipts.made_here(database, "2.25.1")
