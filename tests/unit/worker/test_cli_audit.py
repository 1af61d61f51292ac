"""thinslice audit: whole or not, what happened, and a copy that proves itself."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dicom_node.ledger import queries, switches
from dicom_node.ledger.database import Database
from tests.tampering import tamper
from tests.unit.worker.nodes import settings_file
from worker.cli.main import app
from worker.settings import load
from worker.wiring import prepare


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a node that was paused and resumed."""
    path = settings_file(tmp_path, f"sqlite:///{tmp_path}/ledger.sqlite")
    prepare(load(path))
    database = ledger(path)
    switches.pause(database, "a [bold]new[/] GPU")
    switches.resume(database, "")
    return path


def ledger(config: Path) -> Database:
    return Database(load(config).ledger.url, "user ada")


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", *arguments, "--config", str(config)])


def test_a_whole_trail_is_told_and_that_someone_looked(config: Path) -> None:
    done = run(config, "verify")
    assert done.exit_code == 0
    assert "✓ The audit trail is whole: 2 rows, the last is row 2 with hash " in done.output
    (row,) = queries.audit_of(ledger(config), ["audit"])
    assert row.event == "audit.verified"
    found = json.loads(run(config, "verify", "--json").output)
    assert (found["whole"], found["rows"], found["fault"]) == (True, 3, None)


def test_a_broken_trail_is_an_exit_code_and_an_alert(config: Path) -> None:
    tamper(ledger(config), "UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    done = run(config, "verify")
    assert done.exit_code == 1
    assert "broken at row 2: row 2 was changed" in done.output
    assert [row.event for row in queries.audit_of(ledger(config), ["audit"])] == ["audit.broken"]
    assert json.loads(run(config, "verify", "--json").output)["fault"]["seq"] == 2


def test_rows_are_listed_and_searched(config: Path) -> None:
    assert "a [bold]new[/] GPU" in run(config, "list").output
    assert "claims.paused" not in run(config, "list", "--event", "claims.resumed").output
    assert run(config, "list", "--until", "2020-01-01").output == "No row like that.\n"
    lines = run(config, "list", "--json", "--actor", "user ada", "--since", "2020-01-01", "--limit", "1").output
    (row,) = [json.loads(line) for line in lines.splitlines()]
    assert (row["seq"], row["event"], row["subject"]) == (2, "claims.resumed", "node")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_is_verified_by_itself(config: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / "export"
    assert run(config, "export", "--output", str(path), "--format", form).exit_code == 0
    assert run(config, "verify", "--file", str(path)).exit_code == 0
    path.write_text(path.read_text().replace("user ada", "user eve", 1))
    done = run(config, "verify", "--file", str(path))
    assert done.exit_code == 1
    assert "row 1 was changed" in done.output
    assert [row.event for row in queries.audit_of(ledger(config), ["audit"])] == ["audit.exported"]
    assert isinstance(run(config, "export", "--output", str(path)).exception, Exception)
    assert run(config, "export").output.count("\n") == 4
