"""`thinslice log`: the last lines about a series, and new ones as they come."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node.ledger import receipts
from tests.unit.dicom_node.ledger.rows import received
from tests.unit.worker.logged import say
from tests.unit.worker.nodes import open_at
from worker.cli.main import app
from worker.wiring import Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node that has one series."""
    node = open_at(tmp_path)
    receipts.record(node.database, [received(1)], quiet_s=0)
    return node


def shown(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, ["log", *arguments, "--config", str(folder / "settings.toml")])
    assert done.exit_code == 0, done.output
    return done.output


def test_it_shows_the_last_lines_about_a_series(node: Node, tmp_path: Path) -> None:
    assert "No line about it" in shown(tmp_path, "1")
    for number in range(4):
        say(node, f"line [{number}]", series=1)
    say(node, "of another", series=2)
    assert [line.split("line ")[1].strip() for line in shown(tmp_path, "1", "-n", "2").splitlines()] == [
        "[2]  series=1", "[3]  series=1",
    ]  # fmt: skip
    assert json.loads(shown(tmp_path, "1", "--json").splitlines()[0])["event"] == "line [0]"


def test_without_a_series_it_shows_warnings(node: Node, tmp_path: Path) -> None:
    assert "No warning" in shown(tmp_path)
    say(node, "job restored", series=1)
    say(node, "PACS away", level="warning", process="worker")
    (line,) = shown(tmp_path).splitlines()
    assert "worker" in line
    assert "PACS away" in line


def test_it_follows(node: Node, tmp_path: Path) -> None:
    say(node, "first", series=1)
    program = str(Path(sys.executable).with_name("thinslice"))
    command = [program, "log", "1", "--follow", "--config", str(tmp_path / "settings.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert "first" in child.stdout.readline()
        say(node, "second", series=1)
        assert "second" in child.stdout.readline()
        child.terminate()
        assert child.stdout.read() == ""
