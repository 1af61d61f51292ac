"""A node's start and end in the audit trail, its anchors, and at the audit repository; how far that is behind."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node.audit import check
from dicom_node.audit.anchors import Anchors
from dicom_node.ledger import queries, trail
from tests.processes import HOST, free_port
from tests.syslog_server import rsyslog
from tests.unit.worker.nodes import open_at
from tests.unit.worker.test_clock import Bell
from tests.waiting import until
from worker.cli.main import app
from worker.clock import Clock
from worker.console import facts, metrics
from worker.trail_keeper import TrailKeeper
from worker.wiring import Node


def syslog(port: int) -> str:
    return f'[audit.syslog]\nhost = "{HOST}"\nport = {port}\ntransport = "tcp"'


def run_once(node: Node) -> None:
    """A clock from start to stop."""
    clock = Clock(node, Bell())
    clock.start()
    clock.stop()


def test_start_and_stop_are_rows_and_anchored(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    run_once(node)
    started, stopped = queries.audit_of(node.database, ["process"])
    assert (started.event, stopped.event) == ("process.started", "process.stopped")
    newest, anchors = trail.head(node.database), list(Anchors(tmp_path / "var/audit-anchors"))
    assert newest
    assert anchors[-1]
    assert (anchors[-1].seq, anchors[-1].hash) == (newest.seq, newest.hash)
    run_once(node)
    assert check.verify(node.database, Anchors(tmp_path / "var/audit-anchors")).anchors >= 2


def test_the_repository_hears_of_start_and_stop(tmp_path: Path) -> None:
    with rsyslog(tmp_path / "rsyslog") as repository:
        node = open_at(tmp_path, blocks=syslog(repository.port))
        run_once(node)
        until("start and stop", lambda: len(repository.messages) == 2, limit_s=30)
        for code, message in zip((b"110120", b"110121"), repository.messages, strict=True):
            assert b'<EventTypeCode csd-code="' + code in message
        run_once(node)
        until("both again", lambda: len(repository.messages) == 4, limit_s=30)
        assert repository.sequence == sorted(set(repository.sequence))
        now = facts.now(node)
        assert now.audit
        assert (now.audit.rows, now.audit.reason) == (0, "")


def test_a_repository_that_is_away_is_a_trouble_and_a_metric(tmp_path: Path) -> None:
    node = open_at(tmp_path, blocks=syslog(free_port()))
    run_once(node)
    now = facts.now(node)
    assert any(
        "2 rows of the audit trail wait to be sent: the audit repository" in one.sentence for one in now.troubles
    )
    text = metrics.exposed(now, {}).decode()
    assert "thinslice_audit_unsent_rows 2.0" in text
    assert "thinslice_audit_unsent_seconds" in text
    said = CliRunner().invoke(app, ["status", "--config", str(tmp_path / "settings.toml")]).output
    assert "2 rows of the audit trail wait to be sent" in said


def test_anchors_that_cannot_be_written_end_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "var").write_text("a file where the folder should be")
    said: list[str] = []
    monkeypatch.setattr("worker.trail_keeper.log.error", lambda event, **_: said.append(event))
    keeper = TrailKeeper(open_at(tmp_path))
    trail.note(keeper._node.database, "tests.noted")
    keeper.start()
    keeper.stop()
    assert "no anchor of the audit trail" in said
