"""A node that dies around a scanner's storage commitment request: the scanner hears what holds, after the restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.requestor import Requestor, requestor
from tests.faults.kit.scanner import Scanner
from tests.faults.test_crash_matrix import ASKED
from tests.nodes import Node
from tests.processes import HOST
from tests.waiting import until

pytestmark = pytest.mark.faults

ALL_STORED, SUCCESS = 1, 0x0000


@pytest.fixture
def scanner(node: Node) -> Iterator[Requestor]:
    """A scanner that the node commits to."""
    with requestor() as scanner:
        peer = f'{{ae_title = "{scanner.ae_title}", host = "{HOST}", port = {scanner.port}}}'
        node.extra["receive"] = f"storage_commitment = true\npeers = [{peer}]"
        yield scanner


def uids(images: list[Path]) -> list[str]:
    return [str(dcmread(image, stop_before_pixels=True).SOPInstanceUID) for image in images]


def told(scanner: Requestor, images: list[Path]) -> None:
    """The scanner has at least one report, and every one says that all is stored."""
    until("the scanner is told", lambda: scanner.reports)
    assert {report.event_type for report in scanner.reports} == {ALL_STORED}
    assert all(sorted(report.stored) == sorted(uids(images)) for report in scanner.reports)


@pytest.mark.slow
@pytest.mark.row(21, "a scanner that was waiting for the node's report when the node was killed gets it afterwards")
def test_row_21_killed_between_a_scanner_s_request_and_its_report(
    node: Node, pacs: ScriptedPacs, images: list[Path], scanner: Requestor
) -> None:
    scanner.stop()
    node.start()
    sender = Scanner(node.port)
    sender.push_until_stored(images)
    assert scanner.ask(node.port, uids(images)) == SUCCESS
    node.kill()
    scanner.start()
    assert scanner.reports == []
    node.start()
    told(scanner, images)
    check(node, sender.acknowledged, pacs)


@pytest.mark.slow
@pytest.mark.row(3, "a scanner that got no answer to its commitment request asks again; it is told at least once")
@pytest.mark.parametrize("place", ASKED)
def test_row_3_killed_while_it_commits(
    place: str, node: Node, pacs: ScriptedPacs, images: list[Path], scanner: Requestor, tmp_path: Path
) -> None:
    mark = tmp_path / "died"
    node.environment["THINSLICE_CRASH"] = f"{place}:{mark}"
    node.start()
    sender = Scanner(node.port)
    sender.push_until_stored(images)
    answer = scanner.ask(node.port, uids(images))
    until(f"the node died at {place}", mark.exists)
    assert answer == (None if place == "commitment.asked" else SUCCESS)
    node.environment.clear()
    assert node.process is not None
    assert node.process.wait(30) == -9
    node.start()
    if answer is None:
        assert scanner.ask(node.port, uids(images)) == SUCCESS
    told(scanner, images)
    check(node, sender.acknowledged, pacs)
