"""What the pages show: the ledger's facts, nothing of a patient, and no text that anyone sent as markup."""

import pytest

from dicom_node.ledger import circuits, jobs, receipts, refusals, switches, workers
from dicom_node.ledger.states import JobState
from dicom_node.records import Refusal
from tests.unit.dicom_node.ledger.rows import arrive, claimed, new_job, queue, received
from tests.unit.worker.console.visitor import Visitor
from worker.console.doors import DOORS
from worker.wiring import Node

NASTY = "<b id=x>&'\""  # as long as an AE title may be
SCRIPT = "<script>alert(1)</script>"
PAGES = [
    door.path for door in DOORS if door.method == "GET" and "{" not in door.path and door.role and not door.is_data
]


def hold(node: Node, reason: str, series_uid: str = "2.25.20") -> int:
    """A series whose stack is held."""
    number = arrive(node.database, series=series_uid)
    row, _ = receipts.read_series(node.database, number)
    held = new_job(node.database, number, JobState.HELD, key="h", reason=reason)
    assert jobs.complete(node.database, number, row.instances, row.revision, [held])
    return number


def test_an_empty_node_says_what_to_do(viewer: Visitor) -> None:
    assert "No process works on this ledger" in viewer.get("/").text
    assert "Have a scanner send" in viewer.get("/series").text
    assert "Add a <code>[[send.pacs]]</code>" in viewer.get("/partners").text
    assert viewer.get("/held").text.count("None.") == 3


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole(admin: Visitor, node: Node, path: str) -> None:
    workers.register(node.database, "host/boot/1/1", "node")
    claimed(node.database, queue(node.database))
    hold(node, "slice missing")
    answer = admin.get(path)
    assert answer.status == 200
    assert answer.text.rstrip().endswith("</html>")


def test_the_first_page_says_what_is_in_the_way(viewer: Visitor, node: Node) -> None:
    workers.register(node.database, "host/boot/1/1", "node")
    assert "All is well" not in viewer.get("/").text
    assert "Ready for the first series" in viewer.get("/").text
    hold(node, "slice missing")
    workers.declare(node.database, "host/boot/1/1", workers.WorkerState.REFUSING, "its weights are damaged")
    switches.pause(node.database, "a new GPU")
    page = viewer.get("/").text
    for sentence in ("1 held, to be looked at", "node host/1 refuses to work: its weights are damaged", "a new GPU"):
        assert sentence in page


def test_a_running_series_shows_its_progress_and_what_is_left(viewer: Visitor, node: Node) -> None:
    claim = claimed(node.database, queue(node.database))
    jobs.beat(node.database, claim, 60, 0.5)
    for path in ("/", "/series/1", "/workers"):
        page = viewer.get(path).text
        assert 'value="50.0"' in page
        assert "left</span>" in page


def test_a_series_shows_its_state_reason_and_way(viewer: Visitor, node: Node) -> None:
    number = hold(node, "slice missing between z=1 and 3")
    page = viewer.get(f"/series/{number}").text
    assert "slice missing between z=1 and 3" in page
    assert '<li class="ended held">' in page
    assert "no longer on this node" in page  # the drawing's files are not there
    assert "slice missing" in viewer.get("/series?state=held").text
    assert "No series like that" in viewer.get("/series?state=failed").text


def test_pages_go_on_where_the_one_before_ended(viewer: Visitor, node: Node) -> None:
    for number in range(53):
        receipts.record(node.database, [received(1, series=f"2.25.1{number:03}")], quiet_s=0)
    first = viewer.get("/series").text
    assert 'href="/series/53"' in first
    assert 'href="/series?before=4"' in first
    second = viewer.get("/series?before=4").text
    assert [f'href="/series/{number}"' in second for number in (4, 3, 1)] == [False, True, True]
    assert 'rel="next"' not in second
    assert viewer.get("/series?before=x").status == 400


def test_no_text_that_anyone_sent_becomes_markup(viewer: Visitor, node: Node) -> None:
    item = received(1)
    receipts.record(node.database, [type(item)(**{**vars(item), "calling_ae": NASTY})], quiet_s=0)
    number = hold(node, SCRIPT)
    switches.pause(node.database, SCRIPT)
    circuits.failed(node.database, "main", SCRIPT, 1, lambda _times: 3600)
    refusals.record(node.database, [Refusal("10.0.0.9", NASTY, SCRIPT, 1)])
    workers.register(node.database, "host/boot/1/1", "node")
    workers.declare(node.database, "host/boot/1/1", workers.WorkerState.REFUSING, SCRIPT)
    paths = [
        *PAGES,
        "/series/1",
        f"/series/{number}",
        f"/series?text={SCRIPT}",
        f"/audit?actor={SCRIPT}",
        "/series?before=1",
    ]
    shown = "".join(viewer.get(path.replace("<", "%3C").replace(">", "%3E")).text for path in paths)
    assert SCRIPT not in shown
    assert NASTY not in shown
    assert "<b id=x>" not in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert "&lt;b id=x&gt;" in shown


def test_the_audit_shows_who_did_what(viewer: Visitor, node: Node) -> None:
    switches.pause(node.database.acting_as("user ada"), "a new GPU")
    page = viewer.get("/audit?event=claims.paused").text
    assert "user ada" in page
    assert "a new GPU" in page
    assert page.count("<tr>") == 2


def test_about_names_the_network(viewer: Visitor) -> None:
    page = viewer.get("/about").text
    assert "Cubic interpolation" in page
    assert "Not for primary diagnosis" in page


def test_times_read_without_a_script(viewer: Visitor, node: Node) -> None:
    arrive(node.database)
    assert " UTC</time>" in viewer.get("/series").text
