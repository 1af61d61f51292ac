"""The page of series as people search it: links that sort, filters that stay, and what is said where nothing is."""

import html
import re

import pytest

from dicom_node.ledger import jobs, receipts
from dicom_node.ledger.browse import PAGE
from tests.unit.dicom_node.ledger.rows import claimed, queue, received, result
from tests.unit.worker.console.visitor import Visitor
from worker.wiring import Node

ROW = re.compile(r'<tr id="series-(\d+)">')


def rows(page: str) -> list[int]:
    return [int(number) for number in ROW.findall(page)]


def link(page: str, before: str) -> str:
    """The address of a link by the text that it shows."""
    found = re.search(rf'href="([^"]*)"[^>]*>{re.escape(before)}', page)
    assert found, before
    return html.unescape(found[1])


@pytest.fixture
def two(node: Node) -> None:
    """Series 1 took a minute, series 2 only 9 s."""
    for key, seconds in (("a", 60.0), ("b", 9.0)):
        claim = claimed(node.database, queue(node.database, key, f"2.25.{ord(key)}"))
        jobs.restored(node.database, claim, result(), {"seconds": seconds}, ["main"])


@pytest.mark.usefixtures("two")
def test_a_column_sorts_and_sorts_back(viewer: Visitor) -> None:
    page = viewer.get("/series").text
    assert rows(page) == [2, 1]
    assert page.count('aria-sort="descending"') == 1
    page = viewer.get(link(page, "Took")).text
    assert rows(page) == [1, 2]
    assert re.search(r'aria-sort="descending"><a href="[^"]*">Took', page)
    assert "never restored" in page
    page = viewer.get(link(page, "Took")).text
    assert rows(page) == [2, 1]
    assert re.search(r'aria-sort="ascending"><a href="[^"]*">Took', page)
    assert 'value="-duration" selected' in page


@pytest.mark.usefixtures("two")
def test_filters_stay_while_one_sorts(viewer: Visitor) -> None:
    page = viewer.get("/series?state=restored&destination=main&model=cubic&since=2026-01-02&text=2.25.97").text
    assert rows(page) == [1]
    for part in ("state=restored", "destination=main", "model=cubic", "since=2026-01-02", "text=2.25.97", "sort=state"):
        assert part in link(page, "State")
    for value in ("<option selected>restored", "<option selected>main", "<option selected>cubic", 'value="2026-01-02"'):
        assert value in page


@pytest.mark.usefixtures("two")
def test_series_of_certain_days_come_by_their_last_image(viewer: Visitor) -> None:
    page = viewer.get("/series?since=2026-01-02").text
    assert re.search(r'aria-sort="descending"><a href="[^"]*">Last image', page)
    assert rows(viewer.get(link(page, "Series<i")).text) == [2, 1]
    assert "sort=number" in link(page, "Series<i")


def test_pages_lead_on_and_back(viewer: Visitor, node: Node) -> None:
    for number in range(2 * PAGE + 3):
        receipts.record(node.database, [received(1, series=f"2.25.1{number:03}")], quiet_s=0)
    seen, page = [], viewer.get("/series?sort=last&calling_ae=CT1").text
    assert "← back" not in page
    while "on →" in page:
        seen += rows(page)
        page = viewer.get(link(page, "on →")).text
    assert sorted(seen + rows(page), reverse=True) == list(range(2 * PAGE + 3, 0, -1))
    assert "on →" not in page
    page = viewer.get(link(page, "← back")).text
    assert rows(page) == seen[PAGE:]
    assert rows(viewer.get(link(page, "← back")).text) == seen[:PAGE]
    data = viewer.get("/api/series?sort=last&after=" + link(page, "← back").rpartition("=")[2]).text
    assert '"previous":null' in data


def test_what_is_said_where_nothing_is(viewer: Visitor, node: Node) -> None:
    assert "Nothing has been restored yet" in viewer.get("/series?sort=duration").text
    receipts.record(node.database, [received(1)], quiet_s=0)
    assert "found by its beginning" in viewer.get("/series?text=9.9").text
    assert "First page" in viewer.get("/series?sort=last&before=2001-01-01T00:00:00%2B00:00_1").text


@pytest.mark.parametrize(
    "query", ["sort=size", "sort=duration&before=long_1", "sort=last&before=7", "since=yesterday", "before=x"]
)
def test_what_makes_no_sense_is_said(viewer: Visitor, query: str) -> None:
    assert viewer.get(f"/series?{query}").status == 400
    assert viewer.get(f"/api/series?{query}").status == 400
