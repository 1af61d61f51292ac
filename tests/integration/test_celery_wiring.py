"""The production wiring: a node on PostgreSQL rings through a real Redis for a real Celery worker."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.demo.sender import find_images, send
from dicom_node.ledger import queries
from tests.nodes import AE_TITLE, HOST, Node, running
from tests.phantom import chest, write_dicom
from tests.servers import Pacs
from tests.waiting import until, until_state
from worker.app import DELIVER_QUEUE, RESTORE_QUEUE, configure, queues_of
from worker.settings import Settings, WorkerSettings
from worker.tasks import CeleryBell

pytestmark = pytest.mark.slow


@pytest.fixture
def node(tmp_path: Path, qrscp_server: Pacs, redis_url: str, postgres_url: str) -> Iterator[Node]:
    """A node that only receives and rings."""
    wiring = f'wiring = "celery"\nbroker_url = "{redis_url}"'
    with running(Node(tmp_path / "node", qrscp_server, ledger_url=postgres_url, extra={"worker": wiring})) as node:
        yield node


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """A small thick series."""
    return write_dicom(chest(shape=(31, 96, 96), pixel_mm=3.6).thick, tmp_path / "input", seed=31)


def start_worker(node: Node, *options: str) -> "subprocess.Popen[bytes]":
    program = Path(sys.executable).with_name("thinslice")
    command = [str(program), "worker", "--config", str(node.settings), *options]
    with (node.folder / "worker.log").open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def test_a_series_goes_all_the_way_and_the_broker_sees_nothing_but_row_numbers(
    node: Node, images: list[Path], redis_url: str
) -> None:
    assert send(find_images(images[0].parent), HOST, node.port, AE_TITLE, lambda _: None) == []
    broker = redis.Redis.from_url(redis_url)
    until("the bell rings", lambda: broker.llen(RESTORE_QUEUE))
    assert queries.jobs(node.ledger())[0].state == "queued"
    [message] = broker.lrange(RESTORE_QUEUE, 0, -1)
    assert b"PHANTOM" not in message
    assert b"1.2.826" not in message
    worker = start_worker(node)
    try:
        job = until_state(node, "verified")
        assert job.thin_slices == 31
        assert until("the queues are empty", lambda: not broker.llen(RESTORE_QUEUE) and not broker.llen(DELIVER_QUEUE))
    finally:
        worker.terminate()
        worker.wait(timeout=60)


def test_a_message_that_is_lost_is_rung_again_and_one_that_is_doubled_does_nothing_twice(
    node: Node, images: list[Path], redis_url: str
) -> None:
    send(find_images(images[0].parent), HOST, node.port, AE_TITLE, lambda _: None)
    broker = redis.Redis.from_url(redis_url)
    until("the bell rings", lambda: broker.llen(RESTORE_QUEUE))
    [message] = broker.lrange(RESTORE_QUEUE, 0, -1)
    broker.flushall()
    for _ in range(5):
        broker.lpush(RESTORE_QUEUE, message)
    worker = start_worker(node)
    try:
        job = until_state(node, "verified")
        assert job.attempt == 1
        assert len(queries.jobs(node.ledger())) == 1
    finally:
        worker.terminate()
        worker.wait(timeout=60)


@pytest.mark.faults
@pytest.mark.faults
def test_a_worker_that_is_told_twice_to_stop_gives_its_job_back_at_once_and_the_next_one_does_it(
    tmp_path: Path, qrscp_server: Pacs, redis_url: str, postgres_url: str, images: list[Path]
) -> None:
    wiring = f'wiring = "celery"\nbroker_url = "{redis_url}"\ndrain_s = 600.0'
    slow = "allow_untrained = true\nthreads = 1\nshared_slices = 9"
    extra = {"worker": wiring, "engine": slow}
    node = Node(tmp_path / "node", qrscp_server, ledger_url=postgres_url, extra=extra, network="tvsrn_v2")
    with running(node):
        send(find_images(images[0].parent), HOST, node.port, AE_TITLE, lambda _: None)
        worker = start_worker(node, "--queues", "restore", "--device", "cpu")
        until_state(node, "running")
        worker.send_signal(signal.SIGTERM)
        until("it is told", lambda: "Warm shutdown" in (node.folder / "worker.log").read_text())
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=120) == 0
        job = queries.jobs(node.ledger())[0]
        assert (job.state, job.attempt, job.reason) == ("queued", 0, "the worker was stopped; queued again")
        worker = start_worker(node)
        assert until_state(node, "verified").attempt == 1
        worker.terminate()
        assert worker.wait(timeout=120) == 0


def test_bells_for_urgent_rows_are_heard_first_then_those_of_deliveries(redis_url: str) -> None:
    settings = Settings(worker=WorkerSettings(wiring="celery", broker_url=redis_url))
    app, bell = configure(settings), CeleryBell(settings)
    bell.restore(1)
    bell.deliver(2)
    bell.restore(3, priority=1)
    heard: list[int] = []

    def hear(body: object, message: object) -> None:
        heard.append(body[0][0])  # type: ignore[index]
        message.ack()  # type: ignore[attr-defined]

    with app.connection_for_read() as connection:
        queues = [app.amqp.queues[name] for name in queues_of(f"{RESTORE_QUEUE},{DELIVER_QUEUE}").split(",")]
        consumer = app.amqp.Consumer(connection.channel(), queues, callbacks=[hear], accept=["json"])
        consumer.qos(prefetch_count=1)
        with consumer:
            while len(heard) < 3:
                connection.drain_events(timeout=60)
    assert heard == [3, 2, 1]
