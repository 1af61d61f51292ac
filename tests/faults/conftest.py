"""Phantoms, nodes and bad PACSs for fault tests."""

import logging
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sr_engine.volume import Volume
from tests.faults.kit.cluster import Cluster
from tests.faults.kit.pacs import ScriptedPacs
from tests.nodes import Node
from tests.phantom import chest, write_dicom
from tests.processes import free_port
from tests.servers import Server

PATIENT = "SECRET^PERSON"
Images = Callable[..., list[Path]]

# What keeps a test short where the network is not at stake.
QUICK = {
    "series": "quiet_s = 2.5\nquiet_released_s = 0.5",
    "send": "retry_first_s = 0.5\nretry_longest_s = 2.0\ncommitment_wait_s = 2.0",
    "worker": "tick_s = 0.1\nrescan_s = 2.0",
    "ledger": "lease_s = 20.0",
}


def pytest_configure() -> None:
    """One thread per process, since many run side by side; and no word of pynetdicom's: here every line breaks."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Time enough on a busy machine: nothing here measures speed."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def thick() -> Volume:
    """A small thick chest: 5 slices that become 21."""
    return chest(shape=(21, 64, 64), pixel_mm=5.4).thick


@pytest.fixture(scope="session")
def tall() -> Volume:
    """A thick chest of 21 slices, 101 thin ones: long enough to be interrupted."""
    return chest(shape=(101, 64, 64), pixel_mm=5.4).thick


@pytest.fixture
def images(thick: Volume, tmp_path: Path, request: pytest.FixtureRequest) -> list[Path]:
    """The small chest as DICOM, under UIDs of this test's own."""
    return write_dicom(thick, tmp_path / "input", seed=_seed(request), patient=PATIENT)


@pytest.fixture
def tall_images(tall: Volume, tmp_path: Path, request: pytest.FixtureRequest) -> list[Path]:
    """The tall chest as DICOM, under UIDs of this test's own."""
    return write_dicom(tall, tmp_path / "tall", seed=_seed(request) + 1, patient=PATIENT)


@pytest.fixture
def more_images(thick: Volume, tmp_path: Path, request: pytest.FixtureRequest) -> Images:
    """Makes further series of the small chest."""

    def make(number: int, **options: object) -> list[Path]:
        return write_dicom(
            thick, tmp_path / f"more-{number}", seed=_seed(request) + 100 + number, patient=PATIENT, **options
        )

    return make


@pytest.fixture
def pacs() -> Iterator[ScriptedPacs]:
    """A PACS that behaves until the test changes its script."""
    scripted = ScriptedPacs(free_port())
    scripted.start()
    yield scripted
    scripted.stop()


@pytest.fixture
def node(tmp_path: Path, pacs: ScriptedPacs) -> Iterator[Node]:
    """A quick node of one process tree, started by the test."""
    node = Node(tmp_path / "node", pacs, pacs.node_port, extra=dict(QUICK))
    yield node
    node.kill()


@pytest.fixture
def cluster(tmp_path: Path, pacs: ScriptedPacs, redis_server: Server, postgres_url: str) -> Iterator[Cluster]:
    """A quick node in the production wiring, started by the test."""
    cluster = Cluster(
        tmp_path / "node", pacs, pacs.node_port, postgres_url, extra=dict(QUICK), broker_url=redis_server.url
    )
    yield cluster
    cluster.kill_all()


def _seed(request: pytest.FixtureRequest) -> int:
    return zlib.crc32(request.node.nodeid.encode())
