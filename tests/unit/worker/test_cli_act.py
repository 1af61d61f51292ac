"""What an admin types acts on the ledger, says what it did, and status shows what stands in the way."""

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from dicom_node.errors import InputError, SettingsError
from dicom_node.ledger import circuits, claims, jobs, queries, switches, workers
from dicom_node.ledger.states import JobState
from dicom_node.ledger.workers import WorkerState
from tests.unit.dicom_node.ledger.rows import claimed, new_job
from tests.unit.worker.nodes import open_at
from tests.unit.worker.test_retention import arrive, restore, spool_files
from worker.cli.main import app
from worker.wiring import Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with one series whose result waits for its PACS."""
    node = open_at(tmp_path)
    restore(node, arrive(node))
    return node


def admin(node: Node, *arguments: str, answer: str = "") -> Result:
    """Run a command as an admin would."""
    config = node.settings.receive.spool.parent / "settings.toml"
    return CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"}).invoke(
        app, [*arguments, "--config", str(config)], input=answer
    )


def state(node: Node) -> str:
    return queries.jobs(node.database)[0].state


def test_cancel_stops_and_retry_takes_it_back(node: Node) -> None:
    assert admin(node, "cancel", "1", "--reason", "wrong patient").output == "job 1 is cancelled\n"
    assert state(node) == JobState.CANCELLED
    assert admin(node, "cancel", "1").output == "Series 1 has nothing to stop.\n"
    assert admin(node, "retry", "1").output == "job 1 goes on\n"
    assert state(node) == JobState.RESTORED
    actors = {row.actor for row in queries.audit_of(node.database, ["job:1"]) if row.event == "job.cancelled"}
    assert all(actor.startswith("admin ") for actor in actors)
    assert actors


def test_release_and_reject_ask_why_and_name_the_job(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    restore(node, arrive(node), doubt="it contradicts its source")
    assert "it contradicts its source" in admin(node, "show", "1").output
    assert admin(node, "release", "1", answer="looked at it\n").output.endswith("job 1 is released\n")
    assert state(node) == JobState.RESTORED
    assert admin(node, "reject", "1", "--reason", "late").output == "Series 1 has no result that is held.\n"


def test_prioritise_says_which_jobs(node: Node) -> None:
    assert admin(node, "prioritise", "1").output == "job 1 has priority 1\n"


def test_a_series_that_there_is_not_is_named(node: Node) -> None:
    assert isinstance(admin(node, "cancel", "9.9").exception, InputError)


def test_drain_is_seen_in_status_until_resume(node: Node) -> None:
    assert "Nothing is under way" in admin(node, "drain", "--reason", "a new GPU").output
    shown = admin(node, "status").output
    assert "PAUSED" in shown.splitlines()[0]
    assert "a new GPU" in shown.splitlines()[0]
    assert admin(node, "resume").output == "The node works again.\n"
    assert "PAUSED" not in admin(node, "status").output
    assert admin(node, "resume").output == "The node was not paused.\n"


def test_drain_waits_for_what_is_under_way(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    restore(node, arrive(node))
    series = arrive(node, [9], "2.25.2")
    jobs.complete(node.database, series, 1, 1, [new_job(node.database, series, key="o")])
    claim = claimed(node.database, 2)

    def finish() -> None:
        while switches.paused(node.database) is None:
            time.sleep(0.05)
        time.sleep(0.5)
        jobs.end(node.database, claim, JobState.FAILED, "done")

    worker = threading.Thread(target=finish)
    worker.start()
    assert "Nothing is under way" in admin(node, "drain", "--wait").output
    assert claims.under_way(node.database).nothing
    worker.join()


def test_status_names_a_pacs_that_does_not_answer_and_a_worker_that_refuses(tmp_path: Path) -> None:
    pacs = 'name = "main"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 104'
    node = open_at(tmp_path, **{"[send.pacs]": pacs})
    circuits.failed(node.database, "main", "it cannot be reached", 1, lambda _times: 60)
    workers.register(node.database, "gpu1/boot/77/1", "restore")
    workers.declare(node.database, "gpu1/boot/77/1", WorkerState.REFUSING, "the weights are damaged")
    shown = admin(node, "status").output
    assert "main does not answer" in shown
    assert "it cannot be reached" in shown
    assert "restore gpu1/77 refuses to work: the weights are damaged" in shown


def test_purge_asks_and_then_removes_what_no_pacs_has(node: Node) -> None:
    folder = Path(queries.jobs(node.database)[0].result or "")
    assert admin(node, "purge", "1", "--reason", "a test", answer="n\n").exit_code == 1
    assert folder.exists()
    assert admin(node, "purge", "1", "--reason", "a test", answer="y\n").exit_code == 0
    assert (folder.exists(), spool_files(node), state(node)) == (False, [], JobState.CANCELLED)


def test_migrate_goes_back_only_when_told_twice_and_forth_again(node: Node) -> None:
    assert admin(node, "migrate", "--to", "0001", answer="n\n").exit_code == 1
    assert "revision 0001" in admin(node, "migrate", "--to", "0001", "--yes").output
    assert "revision 0001" not in admin(node, "migrate").output
    assert state(node) == JobState.RESTORED


@pytest.mark.parametrize("command", [["status"], ["jobs"], ["drain"], ["migrate"], ["show", "1"]])
def test_every_command_refuses_a_ledger_of_a_newer_program(node: Node, command: list[str]) -> None:
    with node.database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert isinstance(admin(node, *command).exception, SettingsError)
