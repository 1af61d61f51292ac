"""The clock lives through whatever happens, a bell that did not sound rings again, and two clocks share the work."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from dicom_node.ledger import chain, jobs, queries, workers
from dicom_node.ledger.states import JobState
from tests.unit.dicom_node.ledger.rows import arrive, new_job
from tests.unit.worker.nodes import open_at
from worker.clock import Clock
from worker.errors import BrokerError
from worker.wiring import Node

pytestmark = [pytest.mark.faults, pytest.mark.slow]


class Bell:
    """A bell whose broker may be away."""

    def __init__(self) -> None:
        self.away = False
        self.rung: list[int] = []

    def restore(self, job_id: int, priority: int = 0) -> None:
        if self.away:
            raise BrokerError(f"the broker does not answer about a job of priority {priority}")
        self.rung.append(job_id)

    def deliver(self, delivery_id: int, priority: int = 0) -> None:
        raise RuntimeError(f"no delivery is expected, but here is {delivery_id} of priority {priority}")


def queue(node: Node, count: int, first: int = 0) -> None:
    """Queued jobs, each of a series of its own."""
    for number in range(first, first + count):
        series = arrive(node.database, 1, f"2.25.{number + 1}")
        job = new_job(node.database, series, JobState.QUEUED)
        key = jobs.job_key(str(number), [], "", "")
        jobs.complete(node.database, series, 1, 1, [type(job)(**{**vars(job), "job_key": key})])


def rename(node: Node, table: str, name: str) -> None:
    """Take a table away from the ledger, or give it back."""
    with node.database.transaction() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {name}")


def test_a_bell_that_did_not_sound_rings_at_the_next_tick(tmp_path: Path) -> None:
    node, bell = open_at(tmp_path, worker="ring_again_s = 3600"), Bell()
    queue(node, 3)
    clock = Clock(node, bell)
    bell.away = True
    clock.tick()
    assert bell.rung == []
    bell.away = False
    clock.tick()
    clock.tick()
    assert sorted(bell.rung) == [1, 2, 3]


def test_a_bell_that_nobody_heard_rings_again_after_a_while(tmp_path: Path) -> None:
    node, bell = open_at(tmp_path, worker="ring_again_s = 0.2"), Bell()
    queue(node, 1)
    clock = Clock(node, bell)
    clock.tick()
    time.sleep(0.3)
    clock.tick()
    assert bell.rung == [1, 1]


def test_only_the_first_that_wait_are_rung_again(tmp_path: Path) -> None:
    """Else a broker whose workers are busy for hours fills up with bells."""
    node, bell = open_at(tmp_path, worker="ring_again_s = 0.1"), Bell()
    queue(node, 30)
    clock = Clock(node, bell)
    clock.tick()
    time.sleep(0.2)
    clock.tick()
    assert Counter(bell.rung) == {number: 2 if number <= 20 else 1 for number in range(1, 31)}


def test_it_goes_on_when_the_ledger_fails_and_comes_back(tmp_path: Path) -> None:
    node, bell = open_at(tmp_path, worker="tick_s = 0.05"), Bell()
    clock = Clock(node, bell)
    clock.start()
    rename(node, "job", "away")
    time.sleep(0.5)
    seen = clock.last_tick
    rename(node, "away", "job")
    queue(node, 1)
    deadline = time.monotonic() + 60
    while not bell.rung and time.monotonic() < deadline:
        time.sleep(0.05)
    clock.stop()
    assert bell.rung == [1]
    assert clock.last_tick > seen


def test_it_is_in_the_registry_while_it_runs(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    clock = Clock(node, Bell(), "node")
    clock.start()
    assert [item.role for item in workers.everyone(node.database)] == ["node"]
    clock.stop()
    assert workers.everyone(node.database) == []


@pytest.mark.timeout(300)
def test_two_clocks_ring_and_judge_nothing_twice(tmp_path: Path, ledger_url: str) -> None:
    node = open_at(tmp_path, ledger_url, worker="ring_again_s = 3600")
    queue(node, 20)
    for number in range(100, 108):
        arrive(node.database, 2, f"2.25.{number}")
    logs = [tmp_path / "bells-0", tmp_path / "bells-1"]
    command = [sys.executable, "-m", "tests.unit.worker.one_clock", str(tmp_path / "settings.toml")]
    children = [
        subprocess.Popen([*command, str(log), "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for log in logs
    ]
    _work_beside(node, children, logs)
    said = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    assert [text for text in said if "failed" in text] == []
    rung = Counter(line for log in logs if log.exists() for line in log.read_text().splitlines())
    assert {line: rung[line] for line in rung if rung[line] > 1} == {}
    assert len(rung) == 20
    for series_id in range(21, 29):
        events = [row.event for row in queries.audit_of(node.database, [f"series:{series_id}"])]
        assert events.count("series.complete") == 1
    assert queries.counts(node.database)["held"] == 8  # their files are not there: one job each, not two
    with node.database.reading() as connection:
        assert chain.first_bad_row(connection) is None


def _work_beside(node: Node, children: "list[subprocess.Popen[str]]", logs: list[Path]) -> None:
    """Claim and end the jobs that were rung while the clocks sweep on, so that all of them want the same rows."""
    while any(child.poll() is None for child in children):
        for line in [line for log in logs if log.exists() for line in log.read_text().splitlines()]:
            claim = jobs.claim(node.database, int(line.split()[1]), "elsewhere/boot/1/1", 60)
            if claim is not None:
                jobs.beat(node.database, claim, 60, 0.5)
                jobs.end(node.database, claim, JobState.FAILED, "done")
        time.sleep(0.01)
