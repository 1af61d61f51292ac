"""Retention interrupted, and retention beside what is not yet delivered."""

import time
from pathlib import Path

import pytest

from dicom_node.ledger import queries
from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node
from tests.waiting import until, until_state

pytestmark = [pytest.mark.faults, pytest.mark.slow]

# A few seconds instead of a month.
BRIEF = "results_days = 0.00003\nspool_days = 0.00003"


def files_of(node: Node) -> list[Path]:
    """Images and results on disk."""
    return [*(node.spool / "series").rglob("*.dcm"), *(node.folder / "results").rglob("*.dcm")]


@pytest.mark.row(3, "a kill between the decision to remove files and their removal is made good by the next sweep")
@pytest.mark.parametrize("place", ["retention.decided", "retention.removed"])
def test_row_3_killed_while_it_removes_old_files(
    place: str, node: Node, pacs: ScriptedPacs, images: list[Path], tmp_path: Path
) -> None:
    mark = tmp_path / "died"
    node.extra["retention"] = BRIEF
    node.environment["THINSLICE_CRASH"] = f"{place}:{mark}"
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored(images)
    until(f"the node died at {place}", mark.exists)
    assert node.process is not None
    assert node.process.wait(30) == -9
    node.environment.clear()
    node.start()
    until("everything old is gone", lambda: not files_of(node))
    (ended,) = check(node, scanner.acknowledged, pacs)
    assert ended.state == "verified"
    assert pacs.holdings() == {ended.derived_series_uid: 21}


@pytest.mark.row(48, "nothing is removed before the PACS has confirmed it, however old it is")
def test_row_48_what_is_not_delivered_is_kept(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    node.extra["retention"] = BRIEF
    node.extra["worker"] = "tick_s = 0.1\nrescan_s = 0.5"
    node.extra["send"] = "retry_first_s = 1.0\nretry_longest_s = 1.0\nattempts = 100"
    pacs.stop()
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored(images)
    until("it is tried in vain", lambda: until_state(node, "sending", "restored").reason)
    kept = len(files_of(node))
    time.sleep(8)  # several sweeps, all of them past its time
    assert len(files_of(node)) == kept == len(images) + 21
    pacs.start()
    until_state(node, "verified")
    until("confirmed and old: gone", lambda: not files_of(node))
    check(node, scanner.acknowledged, pacs)


@pytest.mark.row(23, "a series that comes again after its files were removed makes no second derived series")
def test_row_23_sent_again_after_it_was_purged(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    node.extra["retention"] = BRIEF
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored(images)
    until_state(node, "verified")
    until("everything old is gone", lambda: not files_of(node))
    scanner.push_until_stored(images)
    ledger = node.ledger()
    until("it is gone again", lambda: not files_of(node))
    ended = check(node, scanner.acknowledged, pacs)
    assert [job.state for job in ended] == ["verified"]
    assert len(queries.jobs(ledger)) == 1
    ledger.close()
    assert set(pacs.came.values()) == {1}
