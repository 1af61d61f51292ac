"""The log on the pages: lines of one series with it, warnings with the processes."""

import pytest

from dicom_node.ledger import receipts
from tests.unit.dicom_node.ledger.rows import received
from tests.unit.worker.console.visitor import Visitor
from tests.unit.worker.logged import say
from worker.wiring import Node


def test_a_series_shows_what_was_said_of_it(viewer: Visitor, node: Node) -> None:
    receipts.record(node.database, [received(1)], quiet_s=0)
    assert "No recent line" in viewer.get("/series/1").text
    say(node, "series complete", series=1, instances=9)
    say(node, "series complete", series=10)
    say(node, "<b>refused</b>", level="warning", series=1, reason="<i>because</i>")
    page = viewer.get("/series/1").text
    assert "<summary>Log <small>2</small>" in page
    assert page.index("&lt;b&gt;refused") < page.index("series complete")
    assert '<span class="dim">reason</span> &lt;i&gt;because' in page
    assert "<b>refused" not in page


def test_the_processes_show_their_last_warnings(viewer: Visitor, node: Node) -> None:
    assert '<p class="empty">None.</p>' in viewer.get("/workers").text
    say(node, "job restored", series=1)
    say(node, "this worker refuses to claim jobs", level="error", reason="no GPU")
    page = viewer.get("/workers").text
    assert "error: this worker refuses to claim jobs" in page
    assert "job restored" not in page


@pytest.mark.parametrize("path", ["/series/1", "/workers"])
def test_a_node_that_keeps_none_says_how_to(viewer: Visitor, node: Node, path: str) -> None:
    receipts.record(node.database, [received(1)], quiet_s=0)
    object.__setattr__(node.settings.worker, "logs", None)
    assert "[worker] logs" in viewer.get(path).text
