"""Receipt over a bad line and under kills: what was answered 0x0000 is kept, and sending again completes the series."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dicom_node.ledger import queries
from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.proxy import Fault, proxy
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node
from tests.waiting import until

pytestmark = pytest.mark.faults

More = Callable[..., list[Path]]


@pytest.mark.row(5, "the sender sees its association end; what was acknowledged is on disk; sending again completes it")
def test_row_5_the_node_is_killed_in_the_middle_of_an_association(
    node: Node, pacs: ScriptedPacs, tall_images: list[Path]
) -> None:
    node.start()
    scanner = Scanner(node.port, answer_s=8)

    def answered(count: int) -> None:
        if count == 8:
            node.kill()

    assert not scanner.push(tall_images, answered)
    assert 8 <= len(scanner.acknowledged) < len(tall_images)
    node.start()
    scanner.push_until_stored(tall_images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert (job.state, job.slices) == ("verified", len(tall_images))


@pytest.mark.slow
@pytest.mark.row(6, "nothing is counted, the half image is dropped, the sender sends again")
@pytest.mark.parametrize("half_close", [False, True], ids=["cut", "half-closed"])
def test_row_6_the_line_is_cut_inside_an_image(
    node: Node, pacs: ScriptedPacs, tall_images: list[Path], half_close: bool
) -> None:
    node.extra["receive"] = "network_timeout_s = 3.0"
    node.start()
    with proxy(node.port) as between:
        between.set(Fault(cut_after_bytes=3 * 8192 + 5000, half_close=half_close))
        scanner = Scanner(between.port, answer_s=10)
        assert not scanner.push(tall_images)
        assert len(scanner.acknowledged) < 5
        until("the half image is gone", lambda: not list(node.spool.rglob("*.part")))
        scanner.push_until_stored(tall_images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert (job.state, job.slices) == ("verified", len(tall_images))


@pytest.mark.slow
@pytest.mark.row(6, "an answer that is lost on the way makes the sender repeat a slice, which changes nothing")
def test_row_6_an_answer_is_lost(node: Node, pacs: ScriptedPacs, tall_images: list[Path]) -> None:
    node.start()
    with proxy(node.port) as between:
        between.set(Fault(cut_after_answers=5))
        scanner = Scanner(between.port, answer_s=8)
        assert not scanner.push(tall_images)
        scanner.push_until_stored(tall_images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert (job.state, job.slices) == ("verified", len(tall_images))


@pytest.mark.slow
@pytest.mark.row(6, "a slow line: pieces that trickle in are waited for")
def test_row_6_the_line_is_slow(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    node.start()
    with proxy(node.port) as between:
        between.set(Fault(delay_s=0.05))
        scanner = Scanner(between.port)
        assert scanner.push(images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"


@pytest.mark.slow
@pytest.mark.row(46, "associations beyond the limit are refused for the moment, their senders come again: no loss")
def test_row_46_a_flood_of_associations(node: Node, pacs: ScriptedPacs, more_images: More) -> None:
    """Twenty senders at a node that takes five at once; each of them sends a series of its own."""
    node.extra["receive"] = "maximum_associations = 5"
    node.start()
    scanners = [Scanner(node.port, f"CT{number}") for number in range(20)]
    series = [more_images(number) for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda pair: pair[0].push_until_stored(pair[1]), zip(scanners, series, strict=True)))
    until("twenty jobs", lambda: len(queries.jobs(node.ledger(), limit=100)) == 20)
    jobs = check(node, {uid for scanner in scanners for uid in scanner.acknowledged}, pacs)
    assert [job.state for job in jobs] == ["verified"] * 20
