"""What an operator does by the console happens in the ledger, in their name, and says what came of it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_node.audit.export import Form, verify_file
from dicom_node.ledger import queries
from dicom_node.ledger.users import Role
from tests import servers
from tests.tampering import tamper
from tests.unit.worker.console.conftest import As, enter
from tests.unit.worker.console.visitor import Visitor
from tests.unit.worker.nodes import open_at
from tests.unit.worker.test_retention import arrive, restore
from worker.console.serving import ConsoleServer
from worker.wiring import Node

DOUBT = "the result contradicts its source"


def state(node: Node) -> str:
    return queries.jobs(node.database)[0].state


def said(visitor: Visitor, path: str) -> str:
    """The note on the next page, once."""
    page = visitor.get(path).text
    assert 'class="note"' not in visitor.get(path).text
    return page.partition('class="note" role="status">')[2].partition("</p>")[0]


def actor_of(node: Node, event: str) -> str:
    return next(row.actor for row in queries.audit_of(node.database, ["job:1"]) if row.event == event)


def test_cancel_asks_first_and_retry_takes_it_back(node: Node, operator: Visitor) -> None:
    restore(node, arrive(node))
    sure = operator.post("/series/1/cancel", "/series/1", reason="wrong protocol")
    assert "A retry takes it up again" in sure.text
    assert state(node) == "restored"
    operator.post("/series/1/cancel", "/series/1", reason="wrong protocol", sure="yes")
    assert said(operator, "/series/1") == "Job 1 is cancelled."
    assert state(node) == "cancelled"
    assert actor_of(node, "job.cancelled") == "user the-operator"
    operator.post("/series/1/retry", "/series/1")
    assert said(operator, "/series/1") == "Job 1 goes on."


def test_a_held_result_is_released_with_a_reason_only(node: Node, operator: Visitor) -> None:
    restore(node, arrive(node), doubt=DOUBT)
    assert "/series/1/release" in operator.get("/series/1").text
    operator.post("/series/1/release", "/series/1", sure="yes")
    assert said(operator, "/series/1").startswith("Say why")
    assert state(node) == "held"
    assert "cannot be called back" in operator.post("/series/1/release", "/series/1", reason="looked at it").text
    operator.post("/series/1/release", "/series/1", reason="looked at it", sure="yes")
    assert state(node) == "restored"
    assert actor_of(node, "job.released") == "user the-operator"
    assert "/series/1/release" not in operator.get("/series/1").text


def test_a_held_result_is_rejected(node: Node, operator: Visitor) -> None:
    restore(node, arrive(node), doubt=DOUBT)
    operator.post("/series/1/reject", "/series/1", reason="  a   stripe\n", sure="yes")
    assert queries.jobs(node.database)[0].reason == "rejected: a stripe"


def test_a_series_goes_first(node: Node, operator: Visitor) -> None:
    restore(node, arrive(node))
    operator.post("/series/1/prioritise", "/series/1")
    assert said(operator, "/series/1") == "Job 1 has priority 1."


def test_who_looks_sees_no_way_to_act(node: Node, viewer: Visitor) -> None:
    restore(node, arrive(node), doubt=DOUBT)
    for path, forms in {"/": 1, "/series/1": 2, "/workers": 1, "/partners": 1}.items():
        assert viewer.get(path).text.count('method="post"') == forms  # to log out, and to say what they think
    assert viewer.post("/series/1/release", "/", reason="mine", sure="yes").status == 403
    assert state(node) == "held"


def test_what_there_is_not_cannot_be_done(operator: Visitor, node: Node) -> None:
    assert operator.post("/series/9/cancel", "/", sure="yes").status == 404
    restore(node, arrive(node))
    assert operator.post("/series/1/explode", "/", sure="yes").status == 404


def test_pause_and_resume(operator: Visitor) -> None:
    operator.post("/pause", "/", reason="a new GPU")
    assert "Paused by user the-operator: a new GPU" in operator.get("/").text
    assert operator.post("/resume", "/workers", **{"from": "workers"}).headers["location"] == "/workers"
    assert said(operator, "/workers") == "The node works again."


def test_the_chain_is_verified_by_an_admin(as_: As, node: Node) -> None:
    admin = as_(Role.ADMIN)
    admin.post("/audit/verify", "/audit")
    assert "is whole" in said(admin, "/audit")
    tamper(node.database, "UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    admin.post("/audit/verify", "/audit")
    assert "broken at row 2" in said(admin, "/audit")
    events = [(row.event, row.actor) for row in queries.audit_of(node.database, ["audit"])]
    assert events == [("audit.verified", "user the-admin"), ("audit.broken", "user the-admin")]


@pytest.mark.parametrize("form", Form)
def test_the_trail_is_taken_along_as_a_file_that_proves_itself(
    as_: As, operator: Visitor, node: Node, tmp_path: Path, form: Form
) -> None:
    admin = as_(Role.ADMIN)
    answer = admin.post("/audit/export", "/audit", format=form)
    assert "attachment" in answer.headers["content-disposition"]
    path = tmp_path / "export"
    path.write_bytes(answer.content)
    verdict = verify_file(path)
    assert verdict.fault is None
    assert verdict.rows == verdict.seq > 2
    (row,) = queries.audit_of(node.database, ["audit"])
    assert (row.event, row.actor, json.loads(row.detail)["last"]) == ("audit.exported", "user the-admin", verdict.rows)
    empty = admin.post("/audit/export", "/audit", format=form, until="2020-01-01")
    assert empty.text.count("\n") == (form is Form.CSV)
    assert admin.post("/audit/export", "/audit", format="xml").status == 400
    assert operator.post("/audit/export", "/audit", format=form).status == 403


def test_the_trail_is_searched_by_day(as_: As) -> None:
    admin, today = as_(Role.ADMIN), datetime.now(UTC).date().isoformat()
    assert "session.opened" in admin.get(f"/audit?since={today}&until={today}").text
    assert "No row like that" in admin.get("/audit?until=2020-01-01").text
    assert json.loads(admin.get("/api/audit?since=2999-01-01").text)["rows"] == []
    assert admin.get("/audit?since=yesterday").status == 400


@pytest.mark.dicom
def test_a_pacs_is_asked_whether_it_answers(tmp_path: Path) -> None:
    with servers.qrscp(tmp_path / "pacs") as pacs:
        node = open_at(tmp_path, console="port = 0", **{"[send.pacs]": pacs_lines(pacs.port)})
        server = ConsoleServer(node)
        server.start()
        visitor = enter(node, server, Role.OPERATOR)
        visitor.post("/partners/main/echo", "/partners")
        assert said(visitor, "/partners").startswith("✓ main answers")
    visitor.post("/partners/main/echo", "/partners")
    assert said(visitor, "/partners").startswith("✕ ")
    assert visitor.post("/partners/other/echo", "/partners").status == 404
    server.stop()


def pacs_lines(port: int) -> str:
    return f'name = "main"\nae_title = "QRSCP"\nhost = "127.0.0.1"\nport = {port}'
