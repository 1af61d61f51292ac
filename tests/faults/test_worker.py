"""Workers killed, frozen and starved: the job runs again, once, under the same UIDs."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.ledger import queries
from tests.faults.kit.cluster import Cluster
from tests.faults.kit.holders import family, owner_of
from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node
from tests.waiting import until, until_state

pytestmark = pytest.mark.faults

# The transformer is slow enough to be caught at it, with weights or without.
SLOW = "allow_untrained = true\nthreads = 1"
needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
needs_faketime = pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime: apt install faketime")


def slow_network(node: Node) -> None:
    """Make restorations last a few seconds."""
    node.network, node.extra["engine"] = "tvsrn_v2", SLOW


def started(node: Node) -> list[str]:
    """Who began the newest job, one entry for each time."""
    ledger = node.ledger()
    found = queries.audit_of(ledger, [f"job:{queries.jobs(ledger)[0].id}"])
    ledger.close()
    return [row.event for row in found if row.event in ("job.running", "job.restored")]


@pytest.mark.row(1, "the ledger knows the dead process: queued again within a tick, attempt 2, the same UIDs")
def test_row_1_the_restoring_child_is_killed(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    slow_network(node)
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored(images)
    until_state(node, "running")
    child = until("the job has its owner", lambda: owner_of(node))
    assert node.process is not None
    assert child != node.process.pid
    os.kill(child, signal.SIGKILL)
    (job,) = check(node, scanner.acknowledged, pacs)
    assert (job.state, job.attempt) == ("verified", 2)
    assert started(node) == ["job.running", "job.running", "job.restored"]


@pytest.mark.slow
@pytest.mark.row(2, "another worker takes over: within a tick on the node's own host, after lease_s elsewhere")
def test_row_2_a_whole_worker_is_killed(cluster: Cluster, pacs: ScriptedPacs, images: list[Path]) -> None:
    slow_network(cluster)
    cluster.start()
    cluster.start_part("worker-1")
    scanner = Scanner(cluster.port)
    scanner.push_until_stored(images)
    until_state(cluster, "running")
    cluster.start_part("worker-2")
    cluster.kill_part("worker-1")
    (job,) = check(cluster, scanner.acknowledged, pacs)
    assert (job.state, job.attempt) == ("verified", 2)


@pytest.mark.slow
@pytest.mark.row(
    4, "its lease ends, another takes over; when it wakes, its fence is stale: it may neither finish nor send"
)
def test_row_4_a_worker_freezes_and_wakes(cluster: Cluster, pacs: ScriptedPacs, images: list[Path]) -> None:
    slow_network(cluster)
    cluster.extra["ledger"] = "lease_s = 3.0"
    cluster.start()
    cluster.start_part("worker-1")
    scanner = Scanner(cluster.port)
    scanner.push_until_stored(images)
    until_state(cluster, "running")
    frozen = family(cluster.parts["worker-1"].pid)
    for process in frozen:
        process.suspend()
    cluster.start_part("worker-2")
    until("the other has begun", lambda: started(cluster).count("job.running") >= 2)
    for process in frozen:
        process.resume()
    (job,) = check(cluster, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert started(cluster).count("job.restored") == 1
    assert set(pacs.came.values()) == {1}


@pytest.mark.slow
@needs_faketime
@pytest.mark.row(
    29, "leases and due times are the database's: a worker whose clock is an hour off works like any other"
)
@pytest.mark.parametrize("skew", ["-1h", "+1h"])
def test_row_29_a_worker_s_clock_is_an_hour_off(
    cluster: Cluster, pacs: ScriptedPacs, images: list[Path], skew: str
) -> None:
    cluster.start()
    cluster.start_part("worker-1", "faketime", "-f", skew)
    scanner = Scanner(cluster.port)
    scanner.push_until_stored(images)
    (job,) = check(cluster, scanner.acknowledged, pacs)
    assert (job.state, job.attempt) == ("verified", 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@needs_mount
@pytest.mark.row(8, "the job says so and is tried again; it goes on when there is room")
def test_row_8_the_results_disk_is_full(node: Node, pacs: ScriptedPacs, images: list[Path], small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2_000_000))
    node.extra["worker"] += f'\nresults = "{small_disk}/results"\nattempts = 50'
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored(images)
    until("the job says why it waits", lambda: any("No space" in job.reason for job in queries.jobs(node.ledger())))
    ballast.unlink()
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert list(small_disk.rglob("*.part")) == []


@pytest.mark.slow
@pytest.mark.row(47, "nothing new is begun, what is in hand is finished or given back, exit code 0, no lease is left")
@pytest.mark.parametrize("moment", ["running", "sending"])
def test_row_47_sigterm_under_load(node: Node, pacs: ScriptedPacs, images: list[Path], moment: str) -> None:
    slow_network(node)
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored(images)
    until_state(node, moment, "sent", "verified")
    began = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - began < 90
    node.start()
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert pacs.holdings() == {job.derived_series_uid: 21}
