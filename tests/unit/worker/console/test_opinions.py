"""What people think of derived series is kept, counted by scanner, model and time, and shown by command and console."""

import json
from datetime import date

import pytest
from typer.testing import CliRunner, Result

from dicom_node.errors import InputError
from dicom_node.ledger import feedback, jobs, overview, queries
from dicom_node.ledger.feedback import Fault, OpinionFilter, Verdict
from dicom_node.ledger.users import Role
from tests.unit.dicom_node.ledger.rows import claimed, queue, result
from tests.unit.worker.console.conftest import As
from tests.unit.worker.console.visitor import Visitor
from worker.cli.main import app
from worker.feedback import Span, starts_of, summary
from worker.wiring import Node

SCRIPT = "<script>alert(1)</script>"


def restored(node: Node, count: int = 1) -> None:
    for number in range(count):
        job = queue(node.database, chr(ord("a") + number), f"2.25.{number + 1}")
        jobs.restored(node.database, claimed(node.database, job), result(), {}, ["main"])


def run(node: Node, *arguments: str) -> Result:
    environment = {"COLUMNS": "300", "NO_COLOR": "1"}
    config = str(node.settings.receive.spool.parent / "settings.toml")
    return CliRunner(env=environment).invoke(app, ["feedback", *arguments, "-c", config], catch_exceptions=True)


def test_a_viewer_rejects_with_a_reason_and_may_change_their_mind(viewer: Visitor, node: Node) -> None:
    restored(node)
    assert "I accept it" in viewer.get("/series/1").text
    viewer.post("/series/1/1/feedback", "/series/1", verdict="rejected", remark="a stripe")
    assert "Say why it is rejected." in viewer.get("/series/1").text
    viewer.post("/series/1/1/feedback", "/series/1", verdict="rejected", reason="artefact", remark=SCRIPT)
    page = viewer.get("/series/1").text
    assert "Noted: rejected." in page
    assert "<b>artefact</b>" in page
    assert "user the-viewer" in page
    viewer.post("/series/1/1/feedback", "/series/1", verdict="accepted", reason="artefact")
    assert "Said before" in viewer.get("/series/1").text
    said = feedback.everything_about(node.database, 1)
    assert [(item.verdict, item.reason, item.latest) for item in said] == [
        ("rejected", "artefact", False),
        ("accepted", "", True),
    ]
    rows = [row for row in queries.audit_of(node.database, ["job:1"]) if row.event.startswith("feedback.")]
    assert [(row.event, row.actor) for row in rows] == [
        ("feedback.rejected", "user the-viewer"),
        ("feedback.accepted", "user the-viewer"),
    ]
    assert json.loads(rows[0].detail)["reason"] == f"artefact: {SCRIPT}"
    assert SCRIPT not in viewer.get("/series/1").text + viewer.get("/feedback").text


def test_what_makes_no_sense_is_refused(viewer: Visitor, node: Node) -> None:
    restored(node)
    queue(node.database, "z", "2.25.77")
    for path, form in (
        ("/series/1/1/feedback", {"verdict": "fine"}),
        ("/series/1/1/feedback", {"verdict": "rejected", "reason": "taste"}),
        ("/series/2/1/feedback", {"verdict": "accepted"}),
        ("/series/1/9/feedback", {"verdict": "accepted"}),
    ):
        assert viewer.post(path, "/series/1", **form).status == 400
    viewer.post("/series/1/1/feedback", "/series/1", verdict="rejected", reason="other")
    assert "Say in a few words what the other reason is." in viewer.get("/series/1").text
    viewer.post("/series/2/2/feedback", "/series/1", verdict="accepted")
    assert "has made no series yet" in viewer.get("/series/2").text
    assert "I accept it" not in viewer.get("/series/2").text
    assert feedback.page(node.database, OpinionFilter()) == []


def test_series_are_found_by_what_people_think(viewer: Visitor, node: Node) -> None:
    restored(node, 3)
    feedback.give(node.database, 1, Verdict.REJECTED, Fault.NOISE, "")
    feedback.give(node.database, 2, Verdict.REJECTED, Fault.NOISE, "")
    feedback.give(node.database, 2, Verdict.ACCEPTED, None, "")
    shown = viewer.get("/series?feedback=rejected").text
    assert [f'id="series-{number}"' in shown for number in (1, 2, 3)] == [True, False, False]
    assert 'class="chip rejected"' in shown
    (one,) = json.loads(viewer.get("/api/series?feedback=accepted").text)["series"]
    assert one["jobs"][0]["feedback"]["verdict"] == "accepted"


def test_the_page_counts_what_counts_and_each_figure_leads_to_its_series(viewer: Visitor, node: Node) -> None:
    assert "Nobody has said anything yet" in viewer.get("/feedback").text
    restored(node, 4)
    for job in (1, 2, 3):
        feedback.give(node.database, job, Verdict.ACCEPTED, None, "")
    feedback.give(node.database, 4, Verdict.REJECTED, Fault.DENSITY, "too dark")
    feedback.give(node.database, 1, Verdict.REJECTED, Fault.DENSITY, "")
    (line,) = summary(node.database).lines
    assert (line.calling_ae, line.model_name, line.count.accepted, line.count.rejected) == ("CT1", "cubic", 2, 2)
    assert line.count.reasons == {"wrong density": 2}
    assert line.periods[-1].count == line.count
    page = viewer.get("/feedback").text
    assert "50 %" in page
    assert '<rect class="rejected" x="251"' in page
    behind = f"/feedback?calling_ae=CT1&model_digest={'d' * 64}&verdict=rejected&since={line.periods[-1].since}"
    assert behind.replace("&", "&amp;") in page
    said = viewer.get(behind).text.partition('id="said"')[2]
    assert [f'href="/series/{number}#job-{number}"' in said for number in (1, 2, 3, 4)] == [True, False, False, True]
    told = json.loads(viewer.get("/api/feedback?by=month").text)
    assert (told["summary"]["lines"][0]["count"]["rejected"], len(told["said"]), told["next"]) == (2, 4, None)
    assert viewer.get("/feedback?before=x").status == 400


@pytest.mark.parametrize(
    ("span", "first", "last"), [(Span.WEEK, "2025-07-21", "2026-01-19"), (Span.MONTH, "2025-02-01", "2026-02-01")]
)
def test_periods_begin_on_mondays_and_on_firsts(span: Span, first: str, last: str) -> None:
    starts = starts_of(date(2026, 1, 15), span)
    assert (starts[0].isoformat(), starts[-1].isoformat()) == (first, last)
    assert len(starts) == (27 if span is Span.WEEK else 13)


def test_the_same_by_command(node: Node) -> None:
    restored(node, 2)
    assert "rejected" in run(node, "1", "reject", "--reason", "misregistration", "--remark", "[b]heart").output
    assert run(node, "2", "accept").exit_code == 0
    (said,) = json.loads(run(node, "1", "--json").output)
    assert (said["verdict"], said["reason"], said["remark"]) == ("rejected", "misregistration", "[b]heart")
    assert said["actor"].startswith("admin ")
    assert "misregistration: [b]heart" in run(node).output
    shown = " ".join(run(node, "--summary").output.split())
    assert f"CT1 cubic dddddddd since {summary(node.database).since} 1 1 50 % misregistration 1" in shown
    assert json.loads(run(node, "--summary", "--by", "month", "--json").output)["span"] == "month"
    assert isinstance(run(node, "1", "reject").exception, InputError)
    queue(node.database, "z", "2.25.77")
    assert isinstance(run(node, "3", "accept").exception, InputError)


def test_a_delivered_one_that_is_rejected_says_what_can_be_done(as_: As, node: Node) -> None:
    restored(node)
    with node.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE delivery_instance SET stored = 1")
    feedback.give(node.database, 1, Verdict.REJECTED, Fault.ANATOMY, "")
    page = as_(Role.VIEWER).get("/series/1").text
    assert "main has it already" in page
    assert "reject_superseded" in page


def test_the_day_is_the_databases_in_utc(node: Node) -> None:
    restored(node)
    feedback.give(node.database, 1, Verdict.ACCEPTED, None, "")
    (said,) = feedback.everything_about(node.database, 1)
    with node.database.reading() as connection:
        day = connection.exec_driver_sql("SELECT day FROM feedback").scalar()
    assert day == said.at.date().isoformat() <= overview.now(node.database).date().isoformat()
