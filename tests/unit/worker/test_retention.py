"""Files go after the ledger has said so, only what is settled goes, and a power cut in between is made good."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from dicom_node.commitment import CommitmentRequest, CommitmentVerdict, Reference
from dicom_node.ledger import commitment_requests, commitment_verdicts, deliveries, jobs, purging, queries, receipts
from dicom_node.ledger.states import JobState
from dicom_node.records import ReceivedInstance
from tests.unit.dicom_node.ledger.rows import claimed, new_job, received, result
from tests.unit.worker.nodes import open_at
from worker import retention
from worker.receiving import rescan
from worker.steps.judge import judge_series
from worker.wiring import Node

AT_ONCE = "results_days = 1e-9\nspool_days = 1e-9\nearly_percent = 0"
LONG_AGO = "2020-01-01 00:00:00.000000"


def spooled(node: Node, number: int, series: str = "2.25.1") -> ReceivedInstance:
    """An instance whose file lies in the spool."""
    item = received(number, series)
    path = node.settings.receive.spool / "series" / series / f"{number}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"image")
    return replace(item, path=path)


def arrive(node: Node, numbers: Sequence[int] = range(4), series: str = "2.25.1") -> int:
    receipts.record(node.database, [spooled(node, number, series) for number in numbers], quiet_s=0)
    return max(receipts.due_series(node.database))


def restore(node: Node, series: int, key: str = "k", doubt: str = "") -> Path:
    """A job of a series with a stored result that waits for its PACS, or for a person."""
    row, _ = receipts.read_series(node.database, series)
    jobs.complete(node.database, series, row.instances, row.revision, [new_job(node.database, series, key=key)])
    claim = claimed(node.database, queries.jobs_of(node.database, series)[0].id)
    folder = retention.result_folder(node, key * 64) / str(claim.fence)
    folder.mkdir(parents=True)
    kept = replace(result(), folder=folder)
    named = ("study_instance_uid", "series_instance_uid", "source_series_uid")
    manifest = {"instances": [], "check": asdict(kept.check), **{name: getattr(kept, name) for name in named}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    jobs.restored(node.database, claim, kept, {}, ["main"], doubt)
    return folder


def verify(node: Node, delivery_id: int = 1) -> None:
    claim = deliveries.claim(node.database, delivery_id, "host/boot/1/1", 60)
    assert claim is not None
    deliveries.verified(node.database, claim, "C-FIND")


def commit(node: Node) -> None:
    """Commit to the first image of the series, as a scanner asked, and have it told."""
    item = received(0)
    reference = Reference(item.sop_class_uid, item.sop_instance_uid)
    number = commitment_requests.enter(node.database, CommitmentRequest("2.25.5", "CT1", (reference,)), 0)
    claim = commitment_requests.claim(node.database, number, "host/boot/1/1", 60)
    assert claim is not None
    commitment_verdicts.decide(node.database, claim, [CommitmentVerdict(reference, 0)])
    commitment_requests.reported(node.database, claim)


def spool_files(node: Node) -> list[str]:
    return sorted(path.name for path in (node.settings.receive.spool / "series").rglob("*.dcm"))


def test_a_verified_series_goes_with_its_result_and_an_unsent_one_stays(tmp_path: Path) -> None:
    node = open_at(tmp_path, retention=AT_ONCE)
    verified = restore(node, arrive(node))
    unsent = restore(node, arrive(node, [9], "2.25.2"), "u")
    retention.sweep(node, datetime.now(UTC))
    assert verified.exists()
    verify(node)
    retention.sweep(node, datetime.now(UTC))
    assert not verified.parent.exists()
    assert unsent.exists()
    assert spool_files(node) == ["9.dcm"]
    assert [job.state for job in queries.jobs(node.database)] == [JobState.RESTORED, JobState.VERIFIED]
    assert rescan(node, datetime.now(UTC)) == 0


def test_by_default_nothing_young_goes_however_often_it_sweeps(tmp_path: Path) -> None:
    node = open_at(tmp_path, retention="early_percent = 99.9")
    folder = restore(node, arrive(node))
    verify(node)
    retention.sweep(node, datetime.now(UTC))
    assert folder.exists()
    assert len(spool_files(node)) == 4


@pytest.mark.parametrize("committed", [False, True], ids=["", "committed to"])
def test_a_disk_that_fills_up_takes_what_was_settled_a_while_ago(tmp_path: Path, *, committed: bool) -> None:
    """But not the images that a scanner may have deleted since, because the node committed to one of them."""
    node = open_at(tmp_path, retention="early_percent = 99.9", receive="disk_full_percent = 1")
    folder = restore(node, arrive(node))
    verify(node)
    if committed:
        commit(node)
    with node.database.transaction() as connection:
        for column in ("job SET updated_at", "series SET last_heard_at"):
            connection.execute(text(f"UPDATE {column} = :then"), {"then": LONG_AGO})
        connection.execute(text("UPDATE job SET updated_at = datetime('now', '-1 hour')"))
    retention.sweep(node, datetime.now(UTC))
    assert not folder.exists()
    assert len(spool_files(node)) == (4 if committed else 0)


def test_a_death_between_decision_and_removal_is_made_good(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    folder = restore(node, arrive(node))
    verify(node)
    purging.purge_result(node.database, 1, str(folder.parent), "old")
    purging.purge_series(node.database, 1, "old")
    assert rescan(node, datetime.now(UTC)) == 0
    retention.sweep(node, datetime.now(UTC))
    assert not folder.parent.exists()
    assert spool_files(node) == []
    assert purging.files_to_remove(node.database) == {}
    assert purging.results_to_remove(node.database) == {}


def test_a_part_of_a_purged_series_that_comes_again_changes_nothing(tmp_path: Path) -> None:
    node = open_at(tmp_path, retention=AT_ONCE)
    restore(node, arrive(node))
    verify(node)
    retention.sweep(node, datetime.now(UTC))
    series = arrive(node, [1, 2])
    assert judge_series(node, series)
    assert [job.state for job in queries.jobs(node.database)] == [JobState.VERIFIED]


def test_a_late_image_of_a_purged_series_is_held_until_all_are_sent_again(tmp_path: Path) -> None:
    node = open_at(tmp_path, retention=AT_ONCE)
    restore(node, arrive(node))
    verify(node)
    retention.sweep(node, datetime.now(UTC))
    assert judge_series(node, arrive(node, [99]))
    held, verified = queries.jobs(node.database)
    assert (held.state, verified.state) == (JobState.HELD, JobState.VERIFIED)
    assert "4 of 5 images are no longer in the spool" in held.reason
    series = arrive(node, range(4))
    assert judge_series(node, series)
    assert queries.jobs_of(node.database, series)[1].state == JobState.SUPERSEDED


@pytest.mark.parametrize(("days", "left"), [("0", 1), ("3", 1), ("1", 0)])
def test_quarantine_is_kept_unless_told_otherwise(tmp_path: Path, days: str, left: int) -> None:
    node = open_at(tmp_path, retention=f"quarantine_days = {days}")
    kept = node.settings.receive.spool / "quarantine" / "damaged.dcm"
    kept.write_bytes(b"?")
    two_days_ago = time.time() - 2 * retention.DAY_S
    os.utime(kept, (two_days_ago, two_days_ago))
    retention.sweep(node, datetime.now(UTC))
    assert len(list(kept.parent.glob("*"))) == left
