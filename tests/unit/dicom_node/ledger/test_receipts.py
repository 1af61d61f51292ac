"""What arrives is entered once, wakes its series, and opens a revision when it is late."""

from dataclasses import replace
from pathlib import Path

from dicom_node.ledger import jobs, queries, receipts
from dicom_node.ledger.database import Database
from dicom_node.ledger.states import SeriesState
from tests.unit.dicom_node.ledger.rows import arrive, new_job, received


def test_the_same_image_twice_is_one_row_and_an_audit_row(database: Database) -> None:
    assert receipts.record(database, [received(1), received(1)], quiet_s=0).new == 1
    assert receipts.record(database, [received(1)], quiet_s=0).new == 0
    events = [row.event for row in queries.audit_of(database, ["series:1"])]
    assert events == ["instances.received", "instances.duplicate"]


def test_one_sop_uid_with_other_bytes_is_kept_too(database: Database) -> None:
    receipts.record(database, [received(1), received(1, digest="b")], quiet_s=0)
    row, instances = receipts.read_series(database, 1)
    assert row.instances == 2
    assert {item.sha256 for item in instances} == {"a" * 64, "b" * 64}


def test_two_series_in_one_batch_stay_apart(database: Database) -> None:
    receipts.record(database, [received(1, "2.25.1"), received(1, "2.25.2"), received(2, "2.25.1")], quiet_s=0)
    counts = {item.series_uid: item.instances for item in queries.find_series(database, "2.25")}
    assert counts == {"2.25.1": 2, "2.25.2": 1}


def test_a_series_is_due_only_after_its_quiet_time(database: Database) -> None:
    receipts.record(database, [received(1)], quiet_s=3600)
    assert receipts.due_series(database) == []
    receipts.released(database, ["2.25.1"], quiet_released_s=0)
    assert receipts.due_series(database) == [1]
    row, _ = receipts.read_series(database, 1)
    assert row.released
    assert row.quiet_s >= 0


def test_a_late_image_opens_the_next_revision(database: Database) -> None:
    series = arrive(database)
    jobs.complete(database, series, 4, 1, [new_job(database, series)])
    receipts.record(database, [received(99)], quiet_s=0)
    row, _ = receipts.read_series(database, series)
    assert (row.state, row.revision, row.instances) == (SeriesState.RECEIVING, 2, 5)


def test_a_series_that_grew_while_it_was_judged_is_not_completed(database: Database) -> None:
    series = arrive(database)
    job = new_job(database, series)
    receipts.record(database, [received(99)], quiet_s=0)
    assert not jobs.complete(database, series, 4, 1, [job])
    assert queries.jobs(database) == []


def test_known_paths_are_those_recorded(database: Database) -> None:
    receipts.record(database, [received(1)], quiet_s=0)
    assert receipts.known_paths(database) == {str(received(1).path)}


def test_a_spool_that_moved_is_found_again_and_makes_nothing_new(database: Database) -> None:
    receipts.record(database, [received(1)], quiet_s=0)
    moved = replace(received(1), path=Path("/elsewhere/1-a"))
    assert receipts.record(database, [moved], quiet_s=0).new == 0
    assert receipts.known_paths(database) == {"/elsewhere/1-a"}
