"""How long a job waits after kill -9 of whoever restored it, until it runs again: ``make bench-recovery``.

On the ledger's own time, with the settings that the program comes with; prints a table and writes
tests/bench/results/recovery.json.
"""

import argparse
import json
import os
import signal
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import update

from dicom_node.ledger import queries
from dicom_node.ledger.tables import job
from tests.faults.kit.cluster import Cluster
from tests.faults.kit.holders import holder_of, owner_of
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node
from tests.phantom import chest, write_dicom
from tests.processes import free_port
from tests.servers import postgres, redis_server
from tests.waiting import until, until_state
from worker.settings import Settings

RESULTS = Path(__file__).with_name("results") / "recovery.json"
DEFAULTS = Settings()
# What the program comes with, but for the waits before a series counts as complete.
EXTRA = {
    "series": "quiet_s = 4.0\nquiet_released_s = 1.0",
    "engine": "allow_untrained = true\nthreads = 1",
    "worker": f"tick_s = {DEFAULTS.worker.tick_s}\nheartbeat_s = {DEFAULTS.worker.heartbeat_s}",
    "ledger": f"lease_s = {DEFAULTS.ledger.lease_s}",
}
ELSEWHERE = "another-host/another-boot/1/1.00"


@dataclass(frozen=True)
class Row:
    """One line of the table; seconds from the kill to the next claim."""

    what: str
    noticed_by: str
    seconds: list[float]

    def __str__(self) -> str:
        """As the table shows it."""
        found = self.seconds
        spread = f"{min(found):6.1f} {statistics.median(found):7.1f} {max(found):7.1f}"
        return f"{self.what:<42} {self.noticed_by:<28} {len(found):>3} {spread}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="thinslice-recovery-", ignore_cleanup_errors=True) as name:
        rows = [*_embedded(Path(name), times), *_production(Path(name), times)]
    settings = {
        "lease_s": DEFAULTS.ledger.lease_s,
        "heartbeat_s": DEFAULTS.worker.heartbeat_s,
        "tick_s": DEFAULTS.worker.tick_s,
    }
    _say(", ".join(f"{key} = {value:g}" for key, value in settings.items()))
    _say(
        f"{'killed':<42} {'noticed by':<28} {'n':>3} {'least':>6} {'median':>7} {'most':>7}  seconds to the next claim"
    )
    for row in rows:
        _say(str(row))
    RESULTS.write_text(json.dumps({"settings": settings, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")


def _embedded(folder: Path, times: int) -> list[Row]:
    with ExitStack() as stack:
        node = Node(folder / "embedded", None, network="tvsrn_v2", extra=dict(EXTRA))
        stack.callback(node.kill)
        node.start()
        child = [_once(node, folder, number, lambda: _kill_child(node)) for number in range(times)]
        whole = [_once(node, folder, 100 + number, lambda: _restart(node)) for number in range(times)]
    return [
        Row("the restoring child, embedded", "its process id", child),
        Row("the whole node, embedded, and started again", "its process id", whole),
    ]


def _production(folder: Path, times: int) -> list[Row]:
    with ExitStack() as stack:
        pacs = ScriptedPacs(free_port())
        pacs.start()
        stack.callback(pacs.stop)
        broker = stack.enter_context(redis_server(folder / "redis"))
        database = stack.enter_context(postgres(folder / "postgres"))
        cluster = Cluster(
            folder / "cluster", pacs, pacs.node_port, database.url, "tvsrn_v2", dict(EXTRA), broker_url=broker.url
        )
        stack.callback(cluster.kill_all)
        cluster.start()
        cluster.start_part("worker-1")
        cluster.start_part("worker-2")
        same = [_once(cluster, folder, 200 + number, lambda: _kill_holder(cluster)) for number in range(times)]
        lease = [_once(cluster, folder, 300 + number, lambda: _kill_elsewhere(cluster)) for number in range(times)]
    return [
        Row("a whole worker, on the clock's host", "its process id", same),
        Row("a whole worker, on another host", "the end of its lease", lease),
    ]


def _once(node: Node, folder: Path, number: int, kill: Callable[[], object]) -> float:
    """Send a series, kill whoever restores it, and give the seconds until it was claimed again."""
    thick = chest(shape=(51, 64, 64), pixel_mm=5.4).thick
    images = write_dicom(thick, folder / f"input-{number}", seed=number)
    before = _newest(node)
    Scanner(node.port).push_until_stored(images)
    until("its job runs", lambda: _newest(node) > before and owner_of(node))
    killed = datetime.now(UTC)
    kill()
    until("the job runs again", lambda: len(_claims(node)) > 1, 300)
    again = _claims(node)[1]
    until_state(node, "restored", "verified", "sent", "sending", limit_s=300)
    return (again - killed).total_seconds()


def _newest(node: Node) -> int:
    ledger = node.ledger()
    found = queries.jobs(ledger, limit=1)
    ledger.close()
    return found[0].id if found else 0


def _claims(node: Node) -> list[datetime]:
    ledger = node.ledger()
    newest = queries.jobs(ledger, limit=1)[0]
    found = [row.at for row in queries.audit_of(ledger, [f"job:{newest.id}"]) if row.event == "job.running"]
    ledger.close()
    return found


def _kill_child(node: Node) -> None:
    os.kill(owner_of(node), signal.SIGKILL)


def _restart(node: Node) -> None:
    node.kill()
    node.start()


def _kill_holder(cluster: Cluster) -> None:
    """Kill the worker that has the job, and start another in its place."""
    name = until("a worker has the job", lambda: holder_of(cluster))
    cluster.kill_part(name)
    cluster.start_part(name)


def _kill_elsewhere(cluster: Cluster) -> None:
    """The same, but its name in the ledger is another host's, of which nothing is known but the lease."""
    name = until("a worker has the job", lambda: holder_of(cluster))
    ledger = cluster.ledger()
    with ledger.transaction() as connection:
        connection.execute(update(job).where(job.c.state == "running").values(owner=ELSEWHERE))
    ledger.close()
    cluster.kill_part(name)
    cluster.start_part(name)


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
