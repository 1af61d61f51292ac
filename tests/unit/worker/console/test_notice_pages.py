"""Notices on the console and the command line: what is amiss, since when, and who was told."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node.ledger import notices, workers
from dicom_node.ledger.users import Role
from tests.receivers import Hook, hook_receiver
from tests.unit.worker.console.conftest import As
from tests.unit.worker.console.visitor import Visitor
from tests.unit.worker.notices.callers import fail_job, look, node_at
from worker.cli.main import app
from worker.wiring import Node


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hook_receiver() as hook:
        yield hook


@pytest.fixture
def node(tmp_path: Path, hook: Hook) -> Node:
    """A node that calls a webhook."""
    return node_at(tmp_path, hook, console=f'port = 0\npreviews = "{tmp_path}/previews"')


def test_the_page_says_what_is_amiss_and_what_was_sent(viewer: Visitor, node: Node) -> None:
    page = viewer.get("/notices").text
    assert "<b>chat</b>" in page
    assert "No message yet." in page
    assert "/trial" not in page  # for admins
    fail_job(node, "a")
    look(node)
    page = viewer.get("/notices").text
    assert "Series that wait for a person: 1 failed." in page
    assert "new: job failed" in page
    now = viewer.get("/").text
    assert "1 failed</a> <small>since <time" in now
    assert "by chat, new: job failed" in now
    workers.forget(node.database, "host/boot/1/1")
    notices.note(node.database, [])
    assert "<h2>Over</h2>" in viewer.get("/notices").text


def test_an_admin_sends_a_trial_and_reads_what_came_of_it(as_: As, hook: Hook) -> None:
    admin, operator = as_(Role.ADMIN), as_(Role.OPERATOR)
    assert operator.post("/notices/chat/trial", "/").status == 403
    admin.post("/notices/chat/trial", "/notices")
    assert "A trial went out by chat" in admin.get("/notices").text
    assert hook.sentences() == ["trial: This is a trial: nothing is amiss."]
    hook.status = 500
    admin.post("/notices/chat/trial", "/notices")
    assert "answered HTTP 500" in admin.get("/notices").text
    assert "user the-admin" in admin.get("/audit?event=notice.tried").text


def test_the_command_line_shows_the_same(node: Node, tmp_path: Path, hook: Hook) -> None:
    def said(*arguments: str) -> str:
        return CliRunner().invoke(app, ["notices", *arguments, "--config", str(tmp_path / "settings.toml")]).output

    assert said() == "Nothing is amiss.\nNo message was sent.\n"
    fail_job(node, "a")
    hook.status = 500
    look(node)
    assert "chat does not work: 127.0.0.1 answered HTTP 500 (tried 1 times, next at " in said()
    assert "job_failed" in said()
    found = json.loads(said("--json"))
    assert [item["kind"] for item in found["lasting"]] == ["job_failed"]
    assert found["failing"][0]["name"] == "chat"
    hook.status = 200
    assert said("test", "chat") == "A trial went out by chat: look whether it arrived.\n"
