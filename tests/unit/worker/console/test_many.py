"""Many series at once by the console: without a script, asked before, bounded, and in the name of who did it."""

from pathlib import Path
from urllib.parse import urlencode

import pytest

from dicom_node.ledger import jobs, queries, receipts, switches, workers
from dicom_node.ledger.states import JobState
from tests.unit.dicom_node.ledger.rows import claimed, queue, received
from tests.unit.worker.console.test_acting import said
from tests.unit.worker.console.visitor import Page, Visitor
from tests.unit.worker.nodes import open_at
from tests.unit.worker.test_exporting import one_result
from tests.unit.worker.test_retention import verify
from worker.wiring import Node

PACS = "\n".join(
    f'[[send.pacs]]\nname = "{name}"\nae_title = "P"\nhost = "127.0.0.1"\nport = 1' for name in ("main", "research")
)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Three series: the jobs of two failed, that of the third waits; two destinations."""
    node = open_at(tmp_path, blocks=PACS, console=f'port = 0\npreviews = "{tmp_path}/previews"')
    for number, key in enumerate("abc", 1):
        job_id = queue(node.database, key, f"2.25.{number}")
        if number < 3:
            jobs.end(node.database, claimed(node.database, job_id), JobState.FAILED, "out of luck")
    return node


def states(node: Node) -> list[str]:
    return [job.state for job in reversed(queries.jobs(node.database))]


def choose(operator: Visitor, act: str, *series: int, **form: str) -> Page:
    """Send the form below the table with these series chosen."""
    csrf = operator.get("/series").csrf
    fields = [("csrf", csrf), ("from", "/series"), *form.items(), *(("series", str(number)) for number in series)]
    return operator.send(f"/acts/{act}", urlencode(fields).encode())


def test_every_series_can_be_chosen_by_who_may_act(operator: Visitor) -> None:
    page = operator.get("/series").text
    assert page.count('name="series"') == 3
    assert 'formaction="/acts/retry"' in page
    assert 'name="series" value="1" form="bulk"' in operator.get("/held").text


def test_nobody_else_can(viewer: Visitor) -> None:
    assert 'name="series"' not in viewer.get("/series").text
    assert 'name="series"' not in viewer.get("/held").text


def test_it_asks_with_what_it_touches_and_leaves_then_does_it(node: Node, operator: Visitor) -> None:
    asked = choose(operator, "retry", 1, 2, 3).text
    assert "Retry: 2 series?" in asked
    assert "series 3 has nothing to retry (queued)" in asked
    assert 'name="series" value="1 2"' in asked
    assert states(node) == ["failed", "failed", "queued"]
    done = choose(operator, "retry", sure="yes", reason="a new GPU", series="1 2 3")
    assert done.headers["location"] == "/series"
    assert said(operator, "/series") == "2 done, 1 left: Series 3 has nothing to retry."
    assert states(node) == ["queued"] * 3
    actors = [row.actor for row in queries.audit_of(node.database, ["job:2"]) if row.event == "job.retry"]
    assert actors == ["user the-operator"]


def test_all_that_match_are_chosen_by_what_they_have_in_common(node: Node, operator: Visitor) -> None:
    choose(operator, "cancel", all="yes", state="failed", sure="yes", reason="old")
    assert states(node) == ["cancelled", "cancelled", "queued"]


def test_what_is_no_number_nothing_and_too_many_are_refused(operator: Visitor) -> None:
    for series in ("x", "1;2", "9999999999", "-1", "1.5", "\N{ARABIC-INDIC DIGIT THREE}"):
        assert choose(operator, "retry", series=series, sure="yes").status == 400
    assert "o series was chosen" in choose(operator, "retry").text
    assert "more than 500 series" in choose(operator, "retry", series=" ".join(map(str, range(1, 502)))).text
    assert choose(operator, "explode", 1).status == 400
    choose(operator, "release", 1, 2)
    assert said(operator, "/series").startswith("Nothing to do: series 1 has no result that is held (failed)")


def test_one_who_is_later_than_another_is_told_what_is_left(node: Node, operator: Visitor) -> None:
    choose(operator, "cancel", 1, 2)
    jobs_of = queries.jobs_of(node.database, 2)
    assert jobs_of[0].state == "failed"
    choose(operator, "cancel", sure="yes", series="1 2", reason="I was first")
    choose(operator, "cancel", sure="yes", series="1 2 3", reason="I was second")
    assert said(operator, "/series").startswith("1 done, 2 left: Series 1 has nothing to stop; Series 2 has nothing")


def test_where_it_leads_back_to_is_no_other_site(operator: Visitor) -> None:
    fields = {"from": "//elsewhere.example", "sure": "yes", "series": "3"}
    assert choose(operator, "prioritise", **fields).headers["location"] == "/series"


def test_a_network_is_chosen_among_those_that_the_node_can_run(operator: Visitor) -> None:
    asked = operator.post("/series/1/again", "/series/1").text
    assert '<option value="linear">' in asked
    assert 'value="vit"' not in asked
    asked = operator.post("/series/1/again", "/series/1", sure="yes").text
    assert '<option value="linear">' in asked  # without a network it asks again
    operator.post("/series/1/again", "/series/1", sure="yes", network="linear", target_spacing_mm="", reason="sharper")
    assert said(operator, "/series/1") == "Job 1 is restored again with linear."
    assert operator.post("/series/1/again", "/", sure="yes", network="linear", target_spacing_mm="wide").status == 400


def test_a_result_is_sent_to_one_destination(node: Node, operator: Visitor) -> None:
    kept = one_result(node.settings.worker.results / "kept")
    jobs.restored(node.database, claimed(node.database, queue(node.database, "z", "2.25.77")), kept, {}, ["main"])
    verify(node)
    series = 4
    assert '<option value="research">' in operator.post(f"/series/{series}/resend", f"/series/{series}").text
    operator.post(f"/series/{series}/resend", f"/series/{series}", sure="yes", to="research", reason="a study")
    assert said(operator, f"/series/{series}") == "Job 4 is sent to research."
    refused = operator.post(f"/series/{series}/resend", f"/series/{series}", sure="yes", to="elsewhere")
    assert (refused.status, "name no destination" in refused.text) == (404, True)


def test_a_series_that_arrives_is_judged_as_it_is(node: Node, operator: Visitor) -> None:
    receipts.record(node.database, [received(1, "2.25.50")], quiet_s=3600)
    assert "/series/4/complete" in operator.get("/series/4").text
    operator.post("/series/4/complete", "/series/4", sure="yes")
    assert said(operator, "/series/4").startswith("Say why")
    operator.post("/series/4/complete", "/series/4", sure="yes", reason="the scanner broke down")
    assert said(operator, "/series/4").startswith("Series 4 is judged now")
    assert receipts.due_series(node.database) == [4]


def test_urgency_has_a_number(operator: Visitor) -> None:
    operator.post("/series/3/prioritise", "/series/3", priority="7")
    assert said(operator, "/series/3") == "Job 3 has priority 7."
    assert "STAT</abbr> 7" in operator.get("/series/3").text
    assert operator.post("/series/3/prioritise", "/series/3", priority="77").status == 400


def test_one_worker_is_drained_and_one_destination_paused(node: Node, operator: Visitor, viewer: Visitor) -> None:
    workers.register(node.database, "gpu1/boot/77/1", "restore")
    operator.post("/workers/drain", "/workers", owner="gpu1/boot/77/1", reason="a new GPU")
    assert "takes nothing more" in said(operator, "/workers")
    assert "Drained by user the-operator: a new GPU" in viewer.get("/workers").text
    operator.post("/workers/drain", "/workers", owner="nobody")
    assert "drained already, or gone" in said(operator, "/workers")
    operator.post("/partners/main/pause", "/partners", reason="a new disk")
    assert "Nothing new is sent to main" in said(operator, "/partners")
    assert "a new disk" in viewer.get("/partners").text
    assert "main is paused by user the-operator: a new disk" in viewer.get("/").text
    assert set(switches.paused_destinations(node.database)) == {"main"}
    operator.post("/partners/main/resume", "/partners")
    operator.post("/workers/undrain", "/workers", owner="gpu1/boot/77/1")
    assert said(operator, "/workers") == "It takes work again."
    assert switches.paused_destinations(node.database) == {}
    assert operator.post("/partners/nowhere/pause", "/partners").status == 404
