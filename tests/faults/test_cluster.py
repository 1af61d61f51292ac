"""The crash matrix in the production wiring: the listener and clock, or a worker, dies between two durable steps."""

from pathlib import Path

import pytest

from tests.faults.kit.cluster import Cluster
from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.slow]

IN_NODE = ("spool.stored", "receipts.taken", "judge.entered", "commitment.reported")
IN_WORKER = ("restore.claimed", "restore.renamed", "restore.recorded", "deliver.one-stored", "deliver.transaction-kept")


@pytest.mark.row(3, "in the production wiring too: whichever process dies, the others go on and it is started again")
@pytest.mark.parametrize("place", IN_NODE)
def test_row_3_listener_and_clock_die_between_two_durable_steps(
    place: str, cluster: Cluster, pacs: ScriptedPacs, images: list[Path], tmp_path: Path
) -> None:
    mark = tmp_path / "died"
    cluster.environment["THINSLICE_CRASH"] = f"{place}:{mark}"
    cluster.start()
    cluster.environment.clear()
    cluster.start_part("worker-1")
    scanner = Scanner(cluster.port)
    scanner.push(images)
    until(f"the node died at {place}", mark.exists)
    assert cluster.process is not None
    assert cluster.process.wait(30) == -9
    cluster.start()
    scanner.push_until_stored(images)
    finish(cluster, pacs, scanner)


@pytest.mark.row(3, "in the production wiring too: whichever process dies, the others go on and it is started again")
@pytest.mark.parametrize("place", IN_WORKER)
def test_row_3_a_worker_dies_between_two_durable_steps(
    place: str, cluster: Cluster, pacs: ScriptedPacs, images: list[Path], tmp_path: Path
) -> None:
    mark = tmp_path / "died"
    cluster.start()
    cluster.environment["THINSLICE_CRASH"] = f"{place}:{mark}"
    cluster.start_part("worker-1")
    cluster.environment.clear()
    scanner = Scanner(cluster.port)
    scanner.push_until_stored(images)
    until(f"a worker died at {place}", mark.exists)
    cluster.start_part("worker-2")
    finish(cluster, pacs, scanner)


def finish(cluster: Cluster, pacs: ScriptedPacs, scanner: Scanner) -> None:
    """One verified job, one series in the PACS."""
    (ended,) = check(cluster, scanner.acknowledged, pacs)
    assert ended.state == "verified"
    assert pacs.holdings() == {ended.derived_series_uid: 21}
