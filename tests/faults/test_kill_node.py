"""kill -9 of the whole node while it receives, restores and sends: one derived series, nothing lost."""

import json
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from deploy.demo.sender import find_images, send
from dicom_node.errors import DestinationError
from dicom_node.ledger import chain, queries, receipts
from dicom_node.ledger.deliveries import CLAIMED
from sr_engine.volume import Volume
from tests.nodes import AE_TITLE, HOST, Node
from tests.phantom import chest, write_dicom
from tests.servers import Pacs
from tests.waiting import until, until_state

pytestmark = [pytest.mark.faults, pytest.mark.slow]

THICK, THIN = 21, 101
# The transformer is slow enough to be caught at it, with weights or without.
SLOW = "allow_untrained = true\nthreads = 1"


@pytest.fixture(scope="module")
def thick() -> Volume:
    """One small thick chest for all tests of the module."""
    return chest(shape=(THIN, 96, 96), pixel_mm=3.6).thick


@pytest.fixture
def images(thick: Volume, tmp_path: Path, request: pytest.FixtureRequest) -> list[Path]:
    """A thick series with UIDs of this test's own."""
    seed = zlib.crc32(request.node.name.encode())
    return write_dicom(thick, tmp_path / "input", seed=seed)


@pytest.fixture
def node(tmp_path: Path, orthanc_server: Pacs) -> Iterator[Node]:
    """A node that the PACS knows; started by the test."""
    node = Node(tmp_path / "node", orthanc_server, orthanc_server.node_port)
    yield node
    node.kill()


def in_pacs(pacs: Pacs, study_uid: str) -> dict[str, int]:
    """Series of a study as the PACS lists them, with their number of instances."""
    query = json.dumps({"Level": "Series", "Query": {"StudyInstanceUID": study_uid}, "Expand": True}).encode()
    request = urllib.request.Request(f"{pacs.url}/tools/find", query)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return {item["MainDicomTags"]["SeriesInstanceUID"]: len(item["Instances"]) for item in json.load(answer)}


def study_of(images: list[Path]) -> str:
    return str(dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)


def send_all(node: Node, images: list[Path]) -> None:
    assert send(find_images(images[0].parent), HOST, node.port, AE_TITLE, lambda _: None) == []


def assert_one_whole_series(node: Node, images: list[Path]) -> None:
    """The invariants at rest: one verified job, one series of the right count, a whole audit chain, no leftovers."""
    job = until_state(node, "verified")
    assert node.pacs is not None
    assert in_pacs(node.pacs, study_of(images)) == {job.derived_series_uid: THIN}
    ledger = node.ledger()
    assert [item.state for item in queries.jobs(ledger)] == ["verified"]
    assert {item.state for item in queries.deliveries_of(ledger, job.id)}.isdisjoint(CLAIMED.values())
    with ledger.reading() as connection:
        assert chain.first_bad_row(connection) is None
    assert list(node.folder.rglob("*.part")) == []


def test_killed_while_it_receives(node: Node, images: list[Path]) -> None:
    node.start()

    def answered(count: int) -> None:
        if count == 8:
            node.kill()

    with pytest.raises(DestinationError, match="ended"):
        send(images, HOST, node.port, AE_TITLE, answered)
    kept = {path.name for path in (node.spool / "series").rglob("*.dcm")}
    assert len(kept) >= 8, "an image that was answered with success is not on disk"
    node.start()
    until("the spool is in the ledger", lambda: len(receipts.known_paths(node.ledger())) >= len(kept))
    send_all(node, images)
    assert_one_whole_series(node, images)


def test_killed_while_it_restores(node: Node, images: list[Path]) -> None:
    node.network, node.extra["engine"] = "tvsrn_v2", SLOW
    node.start()
    send_all(node, images)
    until_state(node, "running")
    node.kill()
    node.start()
    assert_one_whole_series(node, images)
    job = queries.jobs(node.ledger())[0]
    assert job.attempt == 2


def test_killed_while_it_sends(node: Node, images: list[Path]) -> None:
    node.start()
    send_all(node, images)
    until_state(node, "sending")
    node.kill()
    assert queries.jobs(node.ledger())[0].state in ("sending", "sent")
    node.start()
    assert_one_whole_series(node, images)


def test_killed_between_sending_and_the_confirmation(node: Node, images: list[Path]) -> None:
    node.start()
    send_all(node, images)
    until_state(node, "sent", "verified")
    node.kill()
    node.start()
    assert_one_whole_series(node, images)


def test_killed_again_and_again(node: Node, images: list[Path]) -> None:
    node.network, node.extra["engine"] = "tvsrn_v2", SLOW
    node.start()
    send_all(node, images)
    for state in ("queued", "running", "sending"):
        until_state(node, state, "sent", "verified")
        node.kill()
        node.start()
    assert_one_whole_series(node, images)


def test_the_same_series_sent_again_makes_no_second_one(node: Node, images: list[Path]) -> None:
    node.start()
    send_all(node, images)
    until_state(node, "verified")
    send_all(node, images)
    until("the repeat is in the audit trail", lambda: _events(node).count("instances.duplicate"))
    assert_one_whole_series(node, images)


def _events(node: Node) -> list[str]:
    return [row.event for row in queries.audit_of(node.ledger(), ["series:1"])]
