"""Redis lost, flushed, away or repeating itself: it only rings, so nothing is lost and nothing done twice."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from dicom_node.ledger import queries
from sr_engine.volume import Volume
from tests.faults.conftest import PATIENT
from tests.faults.kit.cluster import Cluster
from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.phantom import write_dicom
from tests.servers import Server
from tests.waiting import until, until_state
from worker.app import RESTORE_QUEUE

pytestmark = pytest.mark.faults

MANY = 50
More = Callable[..., list[Path]]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.row(
    10, "flushed in a loop during 50 jobs: the clock rings again, 50 verified, none restored or sent twice"
)
def test_row_10_redis_is_flushed_in_a_loop(
    cluster: Cluster, pacs: ScriptedPacs, redis_server: Server, thick: Volume, tmp_path: Path
) -> None:
    cluster.extra["worker"] += "\nring_again_s = 1.0"
    cluster.start()
    cluster.start_part("worker-1")
    cluster.start_part("worker-2")
    scanner = Scanner(cluster.port)
    with flushing(redis_server.url) as flushes:
        for number in range(MANY):
            scanner.push_until_stored(write_dicom(thick, tmp_path / f"{number}", seed=1000 + number, patient=PATIENT))
        until(f"{MANY} jobs", lambda: len(queries.jobs(cluster.ledger(), limit=200)) == MANY)
        jobs = check(cluster, scanner.acknowledged, pacs, 1200)
    assert flushes() > 20
    assert Counter(job.state for job in jobs) == {"verified": MANY}
    assert {job.attempt for job in jobs} == {1}
    assert set(pacs.came.values()) == {1}


@pytest.mark.slow
@pytest.mark.row(10, "killed and started again, empty: workers come back by themselves, the clock rings again")
def test_row_10_redis_is_killed_and_started(
    cluster: Cluster, pacs: ScriptedPacs, redis_server: Server, images: list[Path], more_images: More
) -> None:
    cluster.start()
    cluster.start_part("worker-1")
    scanner = Scanner(cluster.port)
    scanner.push_until_stored(images)
    until_state(cluster, "running", "restored", "sending", "sent", "verified")
    redis_server.daemon.kill()
    scanner.push_until_stored(more_images(1))
    redis_server.daemon.start()
    until("two jobs", lambda: len(queries.jobs(cluster.ledger())) == 2)
    jobs = check(cluster, scanner.acknowledged, pacs)
    assert [job.state for job in jobs] == ["verified"] * 2


@pytest.mark.slow
@pytest.mark.row(11, "C-STORE is answered 0x0000 all the same; the job runs when Redis is back")
def test_row_11_redis_is_down_at_receive_time(
    cluster: Cluster, pacs: ScriptedPacs, redis_server: Server, images: list[Path]
) -> None:
    redis_server.daemon.kill()
    try:
        cluster.start()
        scanner = Scanner(cluster.port)
        assert scanner.push(images)
        assert set(scanner.statuses) == {0x0000}
        assert until_state(cluster, "queued").attempt == 0
    finally:
        redis_server.daemon.start()
    cluster.start_part("worker-1")
    (job,) = check(cluster, scanner.acknowledged, pacs)
    assert job.state == "verified"


@pytest.mark.slow
@pytest.mark.row(12, "the first claim wins, the others change no row and are dropped")
def test_row_12_messages_are_doubled(
    cluster: Cluster, pacs: ScriptedPacs, redis_server: Server, images: list[Path]
) -> None:
    cluster.start()
    scanner = Scanner(cluster.port)
    scanner.push_until_stored(images)
    broker = redis.Redis.from_url(redis_server.url)
    queue = until("the bell rings", lambda: next((name for name in broker.keys(f"{RESTORE_QUEUE}*")), None))
    (message, *_) = broker.lrange(queue, 0, -1)
    for _ in range(5):
        broker.lpush(queue, message)
    cluster.start_part("worker-1")
    cluster.start_part("worker-2")
    (job,) = check(cluster, scanner.acknowledged, pacs)
    assert (job.state, job.attempt) == ("verified", 1)
    assert set(pacs.came.values()) == {1}


class flushing:  # noqa: N801 (a context manager, named as it reads)
    """FLUSHALL every second; gives a function that says how often so far."""

    def __init__(self, url: str) -> None:
        self._broker = redis.Redis.from_url(url)
        self._stop = threading.Event()
        self._count = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Callable[[], int]:
        self._thread.start()
        return lambda: self._count

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            self._broker.flushall()
            self._count += 1
