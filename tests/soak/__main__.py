"""``make soak SECONDS=600 SEED=1``: blows on the production wiring while scanners push series; at rest, the sums.

Ends with one line; exit code 1 when anything was lost, doubled, left without an end, or the audit chain is broken.
"""

import argparse
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicom_node.errors import LedgerError
from dicom_node.ledger import queries
from tests.faults.kit.cluster import Cluster
from tests.faults.kit.invariants import OrthancHoldings
from tests.nodes import AE_TITLE
from tests.processes import free_port
from tests.servers import Pacs, Server, orthanc, postgres, redis_server
from tests.soak.chaos import Chaos
from tests.soak.plan import actions
from tests.soak.senders import Sender, Tally
from tests.soak.sums import add_up

ROOT = Path(__file__).resolve().parents[2]
SENDERS = 3
MOST_WAITING = 8
PARTS = ("listen-1", "listen-2", "clock-1", "clock-2", "worker-1", "worker-2")
REST_S = 900.0
# Small real series, restored as they are.
REAL = ("ct_3slice_dcmqi", "chest_2slices_lungmask", "chest_5mm_toshiba_R168")
EXTRA = {
    "receive": "network_timeout_s = 10.0\nshare_port = true",
    "series": "quiet_s = 8.0\nquiet_released_s = 1.0",
    "send": "retry_first_s = 1.0\nretry_longest_s = 5.0\ncommitment_wait_s = 5.0\nattempts = 200\n"
    "response_timeout_s = 10.0",
    "ledger": "lease_s = 15.0",
    "worker": "rescan_s = 5.0\nattempts = 200\ndeaths_allowed = 200",
}


@dataclass(frozen=True)
class Site:
    """All parts of a soak."""

    cluster: Cluster
    pacs: Pacs
    redis: Server
    postgres: Server


def main() -> int:
    """Run a soak."""
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="thinslice-soak-", ignore_cleanup_errors=True) as name,
        _site(Path(name)) as site,
    ):
        tally, chaos = Tally(), Chaos(site.cluster, site.pacs, site.redis, site.postgres)
        senders = _senders(options, site, Path(name), tally)
        for sender in senders:
            sender.start()
        watching = threading.Event()
        threading.Thread(target=_watch, args=(site, chaos, tally, watching), daemon=True).start()
        chaos.run(actions(options.seed), time.monotonic() + options.seconds)
        for sender in senders:
            sender.stop()
        for sender in senders:
            sender.join()
        chaos.revive()
        sums = add_up(site.cluster, OrthancHoldings(site.pacs), tally, REST_S)
        watching.set()
        for line in (*sums.details(), *tally.details(), *chaos.details()):
            _say(line)
        _say(f"seed {options.seed}, {options.seconds:.0f} s: {chaos.line()}; {tally.line()}; {sums.line()}")
    return int(not sums.good)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("THINSLICE_DATA", ROOT.parent / "shared" / "data"))
    )
    options = parser.parse_args()
    _say(f"soak of {options.seconds:.0f} s with seed {options.seed}")
    return options


@contextmanager
def _site(folder: Path) -> Iterator[Site]:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ExitStack() as stack:
        port = free_port()
        pacs = stack.enter_context(orthanc(folder / "pacs", node_ae=AE_TITLE, node_port=port))
        broker = stack.enter_context(redis_server(folder / "redis"))
        database = stack.enter_context(postgres(folder / "postgres"))
        cluster = Cluster(folder / "node", pacs, port, database.url, extra=dict(EXTRA), broker_url=broker.url)
        stack.callback(cluster.kill_all)
        for name in PARTS:
            cluster.start_part(name)
        cluster.wait_until_ready(cluster.parts[PARTS[0]])
        yield Site(cluster, pacs, broker, database)


def _senders(options: argparse.Namespace, site: Site, folder: Path, tally: Tally) -> list[Sender]:
    real = [path for name in REAL if (path := options.data / "dicom" / name).is_dir()]
    return [
        Sender(
            number, options.seed, site.cluster.port, folder / "scanners", tally, real if number == 0 else [],
            lambda: _waiting(site) > MOST_WAITING,
        )
        for number in range(SENDERS)
    ]  # fmt: skip


def _waiting(site: Site) -> int:
    """Jobs that no worker has begun; none while the database is away."""
    try:
        return _counts(site).get("queued", 0)
    except LedgerError:
        return 0


def _counts(site: Site) -> dict[str, int]:
    """Jobs by state. LedgerError while the database is away."""
    ledger = site.cluster.ledger()
    try:
        return queries.counts(ledger)
    finally:
        ledger.close()


def _watch(site: Site, chaos: Chaos, tally: Tally, stop: threading.Event) -> None:
    """A line every 15 s: how it goes."""
    began = time.monotonic()
    while not stop.wait(15):
        try:
            counts = _counts(site)
        except Exception as error:  # noqa: BLE001 (the database may be away: that is what a soak is for)
            counts = {type(error).__name__: 1}
        states = " ".join(f"{state} {count}" for state, count in counts.items() if count)
        blows = sum(chaos.counts.values())
        _say(f"  {time.monotonic() - began:5.0f} s  {blows} blows, {tally.series} series sent; {states}")


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
