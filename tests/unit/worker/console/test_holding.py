"""Quarantine and downloads by the console: warned, with a reason, streamed, in the audit trail, and never elsewhere."""

import io
from itertools import product
from pathlib import Path
from urllib.parse import quote
from zipfile import ZipFile

from dicom_node.ledger import jobs, queries
from tests.unit.dicom_node.ledger.rows import claimed, queue
from tests.unit.worker.console.test_acting import said
from tests.unit.worker.console.visitor import Visitor
from tests.unit.worker.quarantined import REASON, set_aside
from tests.unit.worker.test_exporting import one_result
from tests.unit.worker.test_quarantine import OUTSIDE, left, told
from worker.wiring import Node

SCRIPT = "<script>alert(1)</script>"


def test_files_are_listed_with_their_reason_and_nothing_in_them_runs(node: Node, viewer: Visitor) -> None:
    digest, odd = set_aside(node), set_aside(node, 2, reason=SCRIPT)
    page = viewer.get("/held").text
    assert digest[:12] in page
    assert REASON in page
    assert SCRIPT not in page
    assert f"/quarantine/{odd}/" not in page  # who looks sees no way to act


def test_a_file_is_tried_again(node: Node, operator: Visitor) -> None:
    digest, cut = set_aside(node), set_aside(node, 2, cut=True)
    operator.post(f"/quarantine/{digest}/retry", "/held")
    assert "goes the way of every image" in said(operator, "/held")
    operator.post(f"/quarantine/{cut}/retry", "/held")
    assert said(operator, "/held").startswith("It stays in quarantine: PixelData is cut short")
    assert left(node) == [f"{cut}.dcm", f"{cut}.json"]


def test_a_file_is_taken_out_after_a_warning_and_with_a_reason(node: Node, operator: Visitor) -> None:
    digest = set_aside(node)
    assert "patient" in operator.post(f"/quarantine/{digest}/download", "/held").text
    operator.post(f"/quarantine/{digest}/download", "/held", sure="yes")
    assert said(operator, "/held").startswith("Say why")
    assert told(node, digest) == []
    answer = operator.post(f"/quarantine/{digest}/download", "/held", sure="yes", reason="to look at it")
    assert answer.content[128:132] == b"DICM"
    assert answer.headers["content-disposition"] == f'attachment; filename="quarantine-{digest[:16]}.dcm"'
    assert answer.headers["cache-control"] == "no-store"
    assert told(node, digest) == ["quarantine.exported"]


def test_a_file_is_removed_after_a_question(node: Node, operator: Visitor) -> None:
    digest = set_aside(node)
    assert "for good" in operator.post(f"/quarantine/{digest}/remove", "/held").text
    assert len(left(node)) == 2
    operator.post(f"/quarantine/{digest}/remove", "/held", sure="yes", reason="of a test scan")
    assert left(node) == []
    operator.post(f"/quarantine/{digest}/remove", "/held", sure="yes", reason="me too")
    assert told(node, digest) == ["quarantine.removed"]


def test_no_name_leads_out_of_the_folder(node: Node, operator: Visitor) -> None:
    set_aside(node)
    for name, act in product(OUTSIDE, ("download", "retry", "remove")):
        path = f"/quarantine/{quote(name, safe='')}/{act}"
        answer = operator.post(path, csrf="secret-operator", sure="yes", reason="out")
        assert answer.status in (400, 404, 405), path
        assert b"DICM" not in answer.content
    assert len(left(node)) == 2


def test_a_viewer_takes_nothing_out(node: Node, viewer: Visitor) -> None:
    digest = set_aside(node)
    for act in ("download", "retry", "remove"):
        assert viewer.post(f"/quarantine/{digest}/{act}", "/", sure="yes", reason="mine").status == 403
    assert viewer.post("/series/1/1/download", "/", sure="yes", reason="mine").status == 403
    assert len(left(node)) == 2


def test_a_result_is_downloaded_as_a_zip_after_a_warning(node: Node, operator: Visitor, tmp_path: Path) -> None:
    kept = one_result(tmp_path / "kept")
    jobs.restored(node.database, claimed(node.database, queue(node.database)), kept, {}, [])
    assert "/series/1/1/download" in operator.get("/series/1").text
    assert "patient" in operator.post("/series/1/1/download", "/series/1").text
    operator.post("/series/1/1/download", "/series/1", sure="yes")
    assert said(operator, "/series/1").startswith("Say why")
    answer = operator.post("/series/1/1/download", "/series/1", sure="yes", reason="a second opinion")
    assert answer.headers["content-disposition"] == 'attachment; filename="series-1-job-1.zip"'
    with ZipFile(io.BytesIO(answer.content)) as archive:
        assert len(archive.namelist()) == 3
        assert archive.testzip() is None
    (row,) = [row for row in queries.audit_of(node.database, ["job:1"]) if row.event == "result.downloaded"]
    assert row.actor == "user the-operator"
    assert "a second opinion" in row.detail
    assert operator.post("/series/2/1/download", "/", sure="yes", reason="x").status == 400
