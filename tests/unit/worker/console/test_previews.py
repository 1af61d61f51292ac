"""Pictures of a real small result: thick beside thin, grey values and nothing else."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_node.errors import InputError, StorageError
from dicom_node.ledger.users import Role
from tests.unit.worker.console.conftest import enter
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import queue_series, view
from worker.console.previews import LONGEST, PLANES, Previews, png
from worker.console.serving import ConsoleServer
from worker.steps.restore import restore_next
from worker.wiring import Node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A node with one restored series."""
    folder = tmp_path_factory.mktemp("node")
    node = open_at(folder, console=f'port = 0\npreviews = "{folder}/previews"')
    job = queue_series(node, folder / "scan")
    assert restore_next(node, node.model_digests, lambda _claim: None)
    assert view(node, job).result
    return node


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_a_viewer_sees_thick_beside_thin(node: Node) -> None:
    server = ConsoleServer(node)
    server.start()
    viewer = enter(node, server, Role.VIEWER)
    for plane in PLANES:
        thick, thin = (viewer.get(f"/series/1/1/{plane}-{kind}.png") for kind in ("thick", "thin"))
        assert thick.headers["content-type"] == "image/png"
        before, after = pixels(thick.content), pixels(thin.content)
        assert before.shape == after.shape
        assert max(before.shape) == LONGEST
        assert before.std() > 20
        assert (before != after).mean() > 0.05
        # thin slices lie closer: more different rows
        assert len(np.unique(after, axis=0)) > 2 * len(np.unique(before, axis=0))
    assert viewer.get("/series/1/1/axial-thin.png").status == 400
    assert viewer.get("/series/2/1/coronal-thin.png").status == 404
    server.stop()


def test_a_picture_holds_grey_values_and_nothing_else(node: Node) -> None:
    content = Previews(node.settings.console.previews).picture(node, view(node, 1), "coronal", "thin")
    image = Image.open(io.BytesIO(content))
    assert image.mode == "L"
    assert image.info == {}
    assert b"PHANTOM" not in content


def test_head_is_up_and_proportions_are_true() -> None:
    cut = np.full((3, 40), -1100, dtype=np.float32)
    cut[2] = 300  # the slice nearest the head
    image = pixels(png(cut, height_mm=20, pixel_mm=1))
    assert image.shape == (320, 640)
    assert image[0].min() > 250
    assert image[-1].max() < 5


def test_without_a_result_there_is_a_sentence(node: Node, tmp_path: Path) -> None:
    previews = Previews(tmp_path)
    with pytest.raises(StorageError, match="no longer on this node"):
        previews.picture(node, replace(view(node, 1), result=str(tmp_path / "gone")), "coronal", "thin")
    with pytest.raises(InputError):
        previews.picture(node, view(node, 1), "../coronal", "thin")
