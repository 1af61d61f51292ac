"""Log lines in files: shared by processes, bounded, and read back by series; nothing they suffer stops the work."""

import json
import logging
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from worker import log_files, logbook
from worker.log import QUIET
from worker.settings import WorkerSettings

# Writes lines of one series under a name that others use too.
WRITER = """
import sys
from pathlib import Path
from worker.log_files import LogFile
import logging
log = LogFile(Path(sys.argv[1]), "worker", 3000, 40)
for number in range(150):
    log.handle(logging.makeLogRecord({"msg": f"{sys.argv[2]} {number}"}))
"""


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging as it was before the test."""
    names = ("sr_engine", "dicom_node")
    rooms = {name: (logging.getLogger(name).handlers, logging.getLogger(name).propagate) for name in names}
    levels = {name: logging.getLogger(name).level for name in QUIET}
    yield
    for name, (handlers, propagate) in rooms.items():
        logging.getLogger(name).handlers, logging.getLogger(name).propagate = handlers, propagate
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(logs=tmp_path / "logs", log_mb=0.002, log_files=3)


def test_lines_about_a_series_are_found_in_whatever_process_said_them(settings: WorkerSettings) -> None:
    log = structlog.get_logger()
    log_files.begin(settings, "node")
    log.info("series complete", series=7)
    log.info("series complete", series=70)
    log_files.begin(settings, "restorer")
    with structlog.contextvars.bound_contextvars(job=3, series=7):
        logging.getLogger("sr_engine.inference.memory").warning("out of memory on %s", "cuda:0")
    with structlog.contextvars.bound_contextvars(job=4):
        logging.getLogger("dicom_node.receive").error("refused")
    found = logbook.about(settings, 7, {3, 4}, 10)
    assert [(line.process, line.event) for line in found] == [
        ("node", "series complete"), ("restorer", "out of memory on cuda:0"), ("restorer", "refused"),
    ]  # fmt: skip
    assert found[1].numbers == {"job": "3", "series": "7"}
    assert [line.event for line in logbook.warnings(settings, 1)] == ["refused"]
    assert [line.event for line in logbook.about(settings, 7, {3, 4}, 1)] == ["refused"]


def test_what_is_no_whole_line_is_skipped(settings: WorkerSettings) -> None:
    log_files.begin(settings, "node")
    structlog.get_logger().info("first", series=7)
    assert settings.logs
    with (settings.logs / "node.jsonl").open("ab") as file:
        file.write(b'{"series": 7, "eve\n"series": 7\n[{"series": 7}]\n{"series": 7}\n\xff"series": 7\n')
    structlog.get_logger().info("last", series=7)
    assert [line.event for line in logbook.about(settings, 7, set(), 10)] == ["first", "last"]


def test_old_lines_leave_and_nobody_else_may_read_them(settings: WorkerSettings) -> None:
    log_files.begin(settings, "node")
    for number in range(200):
        structlog.get_logger().info("line", series=7, number=number)
    assert settings.logs
    files = sorted(settings.logs.glob("node*"))
    assert [path.name for path in files] == ["node.jsonl", "node.jsonl.1", "node.jsonl.2"]
    assert all(path.stat().st_size < 2400 for path in files)
    assert stat.S_IMODE(settings.logs.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    kept = [int(line.numbers["number"]) for line in logbook.about(settings, 7, set(), 500)]
    assert kept == list(range(200 - len(kept), 200))
    assert 10 < len(kept) < 100
    few = logbook.about(settings, 7, set(), 500, most_bytes=1)
    assert [line.numbers["number"] for line in few][-1] == "199"
    assert len(few) < len(kept)


def test_several_processes_share_a_file_and_lose_no_line(tmp_path: Path) -> None:
    children = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in "ab"]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    lines = [line for path in tmp_path.glob("worker.jsonl*") for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name} {number}" for name in "ab" for number in range(150))


def test_a_folder_that_cannot_be_written_stops_nothing(
    settings: WorkerSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("a file")
    log_files.begin(settings, "node")
    assert "log lines are not kept" in capsys.readouterr().err
    (tmp_path / "logs").unlink()
    log_files.begin(settings, "node")
    shutil.rmtree(tmp_path / "logs")
    (tmp_path / "logs").write_text("a file")
    structlog.get_logger().info("one")
    assert "one" in capsys.readouterr().err
    (tmp_path / "logs").unlink()
    structlog.get_logger().info("two", series=7)
    assert [line.event for line in logbook.about(settings, 7, set(), 10)] == ["two"]


def test_no_folder_keeps_nothing(tmp_path: Path) -> None:
    none = WorkerSettings.model_validate({"logs": ""})
    assert none.logs is None
    log_files.begin(none, "node")
    structlog.get_logger().warning("unheard", series=7)
    assert logbook.about(none, 7, set(), 10) == []
    assert list(tmp_path.iterdir()) == []


def test_lines_are_json_with_their_process(settings: WorkerSettings) -> None:
    log_files.begin(settings, "clock")
    structlog.get_logger().info("tick", what="a \u2028 b")
    assert settings.logs
    (line,) = (settings.logs / "clock.jsonl").read_text().split("\n")[:-1]
    fields = json.loads(line)
    assert (fields["process"], fields["event"], fields["level"]) == ("clock", "tick", "info")
    assert fields["pid"] > 0
