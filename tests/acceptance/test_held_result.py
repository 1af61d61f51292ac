"""A result that is held: what an admin is shown, and what a release does, from scanner to PACS, with real weights."""

from pathlib import Path

import pytest
from pydicom import dcmread

from deploy.demo.sender import send
from dicom_node.ledger import queries
from tests import servers
from tests.acceptance.command_line import Done, thinslice
from tests.nodes import AE_TITLE, HOST, Node
from tests.phantom import chest, write_dicom
from tests.waiting import until

HOLDING = {"THINSLICE_WORKER__HOLD_UNFAMILIAR": "true"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_unfamiliar_series_is_held_shown_released_and_delivered(tmp_path: Path) -> None:
    """A chest with pixels of 5.4 mm is nothing that the network has learned from."""
    images = write_dicom(chest(shape=(41, 64, 64), pixel_mm=5.4).thick, tmp_path / "scan")
    with servers.qrscp(tmp_path / "pacs") as pacs:
        node = Node(tmp_path / "node", pacs, network="tvsrn_v2", environment=HOLDING)
        node.start()
        try:
            assert send(images, HOST, node.port, AE_TITLE, lambda _: None) == []
            until("the result is held", lambda: state(node) == "held", 120)
            shown = admin(node, "show", "1").out
            assert "unfamiliar to the network: pixel spacing 5.4 mm" in shown
            assert "thinslice release 1" in shown
            assert stored(pacs.folder) == []
            assert admin(node, "release", "1", "--reason", "looked at it").code == 0
            until("the PACS has confirmed it", lambda: state(node) == "verified", 120)
        finally:
            node.kill()
        assert len(stored(pacs.folder)) == 41
        assert "looked at it" in admin(node, "show", "1").out


def admin(node: Node, *arguments: str) -> Done:
    return thinslice(node.folder, *arguments, "--config", str(node.settings))


def state(node: Node) -> str:
    """Of the one job; empty before there is one."""
    return next((job.state for job in queries.jobs(node.ledger())), "")


def stored(folder: Path) -> list[str]:
    """Series descriptions of what qrscp holds: the source was sent to the node alone."""
    files = [path for path in (folder / "instances").rglob("*") if path.is_file()]
    return [str(dcmread(path, stop_before_pixels=True).SeriesDescription) for path in files]
