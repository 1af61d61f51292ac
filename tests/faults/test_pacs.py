"""A PACS that is away, refuses, breaks off, loses or never confirms: a series arrives once, or says why it did not."""

import time
from collections import Counter
from pathlib import Path

import pytest

from dicom_node.ledger import queries
from dicom_node.ledger.queries import DeliveryView
from tests.faults.kit.cluster import through
from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.proxy import Fault, proxy
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node
from tests.waiting import until, until_state

pytestmark = pytest.mark.faults

THIN = 21
OUT_OF_RESOURCES, CANNOT_UNDERSTAND, COERCED = 0xA700, 0xC000, 0xB000
HASTY = "retry_first_s = 0.3\nretry_longest_s = 0.5\ncommitment_wait_s = 1.0"


def sent(node: Node, images: list[Path]) -> Scanner:
    """A scanner that has sent a series to the node."""
    scanner = Scanner(node.port)
    scanner.push_until_stored(images)
    return scanner


def delivery(node: Node) -> DeliveryView:
    """The one delivery."""
    ledger = node.ledger()
    (found,) = queries.deliveries_of(ledger, queries.jobs(ledger)[0].id)
    ledger.close()
    return found


def reason(node: Node) -> str:
    """What the newest job says of itself; empty before there is one."""
    ledger = node.ledger()
    found = queries.jobs(ledger, limit=1)
    ledger.close()
    return found[0].reason if found else ""


@pytest.mark.slow
@pytest.mark.row(16, "tried again with growing pauses, then parked with the reason; `thinslice retry` sends it, once")
def test_row_16_pacs_is_down_for_long(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    node.extra["send"] = f"{HASTY}\nattempts = 3\ncircuit_failures = 100"
    pacs.stop()
    node.start()
    scanner = sent(node, images)
    parked = until_state(node, "parked")
    assert "cannot be reached" in parked.reason
    pacs.start()
    assert node.run("retry", str(parked.series_id), log=node.log).wait(60) == 0
    until_state(node, "verified")
    check(node, scanner.acknowledged, pacs)
    assert pacs.holdings() == {parked.derived_series_uid: THIN}


@pytest.mark.slow
@pytest.mark.row(16, "a PACS that comes back in time gets the series without anybody's help")
def test_row_16_pacs_is_down_and_comes_back(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    pacs.stop()
    node.start()
    scanner = sent(node, images)
    until("the node has tried", lambda: "cannot be reached" in reason(node))
    pacs.start()
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert set(pacs.came.values()) == {1}


@pytest.mark.slow
@pytest.mark.row(17, "parked at once with what to do: the PACS does not know our AE title; nothing is tried in a loop")
def test_row_17_pacs_rejects_the_association(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    pacs.stop()
    pacs.script.callers = ["SOMEONE-ELSE"]
    pacs.start()
    node.start()
    scanner = sent(node, images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "parked"
    assert "does not know our AE title THINSLICE" in job.reason
    assert pacs.associations <= 2


@pytest.mark.row(18, "the rest is sent, the one whose answer was lost again; the series is whole, nothing is doubled")
def test_row_18_pacs_dies_after_k_of_n(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    with proxy(pacs.port) as between:
        between.set(Fault(cut_after_answers=8))
        node.pacs = through(between.port, pacs)
        node.start()
        scanner = sent(node, images)
        (job,) = check(node, scanner.acknowledged, pacs)
        assert between.cuts == 1
    assert job.state == "verified"
    assert Counter(pacs.came.values()) == {1: THIN - 1, 2: 1}


@pytest.mark.slow
@pytest.mark.row(18, "a line cut in the middle of an image, again and again, only costs time")
def test_row_18_the_line_is_cut_inside_an_image(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    with proxy(pacs.port) as between:
        node.pacs = through(between.port, pacs)
        between.set(Fault(cut_after_bytes=50_000))
        node.start()
        scanner = sent(node, images)
        for _ in range(2):
            cuts = between.cuts
            until("the line is cut", lambda cuts=cuts: between.cuts > cuts)
            between.set(Fault(cut_after_bytes=50_000))
        between.heal()
        (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert max(pacs.came.values()) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault(stalled=True), Fault(cut_after_bytes=30_000, half_close=True)])
@pytest.mark.row(18, "a PACS that falls silent is given up after response_timeout_s, and sent the rest later")
def test_row_18_the_line_falls_silent(node: Node, pacs: ScriptedPacs, images: list[Path], fault: Fault) -> None:
    node.extra["send"] = f"{HASTY}\nresponse_timeout_s = 2.0\nconnect_timeout_s = 2.0\nattempts = 50"
    with proxy(pacs.port) as between:
        node.pacs = through(between.port, pacs)
        between.set(fault)
        node.start()
        scanner = sent(node, images)
        until("the node has given up once", lambda: reason(node))
        between.heal()
        (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"


@pytest.mark.slow
@pytest.mark.row(19, "0xA700 now and then: those images, and only those, are sent again")
def test_row_19_pacs_is_out_of_resources_now_and_then(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    pacs.script.status = lambda number, times: OUT_OF_RESOURCES if number % 3 == 0 and times == 0 else 0
    node.start()
    scanner = sent(node, images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert Counter(pacs.came.values()) == {1: 14, 2: 7}


@pytest.mark.slow
@pytest.mark.row(19, "0xC000 on one image: the others are stored, the delivery is parked and names the status")
def test_row_19_pacs_cannot_understand_one_image(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    pacs.script.status = lambda number, _times: CANNOT_UNDERSTAND if number == 4 else 0
    node.start()
    scanner = sent(node, images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "parked"
    assert "0xC000" in job.reason
    assert "1 of 21" in job.reason
    assert (delivery(node).stored, delivery(node).total) == (THIN - 1, THIN)
    assert set(pacs.came.values()) == {1}


@pytest.mark.slow
@pytest.mark.row(19, "0xB000 (stored with a warning) counts as stored, and the PACS has to confirm it like any other")
def test_row_19_pacs_warns(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    pacs.script.status = lambda _number, _times: COERCED
    node.start()
    scanner = sent(node, images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert set(pacs.came.values()) == {1}


@pytest.mark.row(20, "storage commitment names what was lost; that alone is sent again, then confirmed")
def test_row_20_pacs_accepts_then_loses(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    pacs.script.loses = frozenset({3, 11})
    node.start()
    scanner = sent(node, images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert delivery(node).verified_by == "storage commitment"
    assert Counter(pacs.came.values()) == {1: THIN - 2, 2: 2}


@pytest.mark.slow
@pytest.mark.row(20, "without commitment the query finds what was lost")
def test_row_20_pacs_without_commitment_loses(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    pacs.script.loses, pacs.script.commitment = frozenset({0, 20}), "never"
    node.start()
    scanner = sent(node, images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert delivery(node).verified_by == "C-FIND"
    assert Counter(pacs.came.values()) == {1: THIN - 2, 2: 2}


@pytest.mark.slow
@pytest.mark.parametrize("commitment", ["never", "unknown", "absent"])
@pytest.mark.row(
    21, "never, or about a transaction nobody asked for: after commitment_wait_s the PACS is queried instead"
)
def test_row_21_commitment_never_comes(commitment: str, node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    pacs.stop()
    pacs.script.commitment = commitment
    pacs.start()
    node.start()
    scanner = sent(node, images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert delivery(node).verified_by == "C-FIND"
    assert set(pacs.came.values()) == {1}


@pytest.mark.slow
@pytest.mark.row(21, "a report that comes after the node was killed and started again still counts")
def test_row_21_commitment_comes_after_a_restart(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    node.extra["send"] = "commitment_wait_s = 300.0"
    pacs.script.commitment = "when told"
    node.start()
    scanner = sent(node, images)
    until("the PACS was asked", lambda: pacs.asked)
    node.kill()
    node.start()
    pacs.report()
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert delivery(node).verified_by == "storage commitment"
    assert pacs.reported == [0x0000]


@pytest.mark.slow
@pytest.mark.row(21, "a report that comes twice, or on the association of the request, changes nothing more")
def test_row_21_commitment_comes_on_the_request_s_association(
    node: Node, pacs: ScriptedPacs, images: list[Path]
) -> None:
    pacs.script.commitment = "same"
    node.start()
    scanner = sent(node, images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert delivery(node).verified_by == "storage commitment"


@pytest.mark.slow
@pytest.mark.row(22, "neither commitment nor query: `sent, unverified` with the reason, and no more associations")
def test_row_22_pacs_can_confirm_nothing(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    node.extra["send"] = f"{HASTY}\nattempts = 4"
    pacs.stop()
    pacs.script.query, pacs.script.commitment = False, "absent"
    pacs.start()
    node.start()
    scanner = sent(node, images)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert (job.state, job.reason.partition(":")[0]) == ("sent", "sent, unverified")
    assert pacs.holdings() == {job.derived_series_uid: THIN}
    before = pacs.associations
    time.sleep(3)
    assert pacs.associations == before
