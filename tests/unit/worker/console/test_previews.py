"""Pictures of a real small result: thick beside thin, grey values and nothing else."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_node.errors import InputError, StorageError
from dicom_node.ledger import queries
from dicom_node.ledger.users import Role
from tests.unit.worker.console.conftest import enter
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import queue_series, view
from worker.console.cuts import PLANES, Cuts, difference
from worker.console.painting import LONGEST, MOST_HU, SCALE, WINDOWS, colours, grey, upright
from worker.console.previews import Previews
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
        if plane != "axial":  # thin slices lie closer: more different rows
            assert len(np.unique(after, axis=0)) > 2 * len(np.unique(before, axis=0))
        between = pixels(viewer.get(f"/series/1/1/{plane}-difference.png").content)
        assert between.shape == (*after.shape, 3)
        assert between.std() > 1
        lung = pixels(viewer.get(f"/series/1/1/{plane}-thin.png?window=lung").content)
        assert (lung != after).mean() > 0.5
    page = viewer.get("/series/1?window=mediastinum").text
    assert page.count("-thin.png?window=mediastinum") == 3
    assert "derived, not for primary diagnosis" in page
    assert viewer.get("/series/1/1/oblique-thin.png").status == 400
    assert viewer.get("/series/2/1/coronal-thin.png").status == 404
    looked = [row.actor for row in queries.audit_of(node.database, ["series:1"]) if row.event == "images.viewed"]
    assert looked == ["user the-viewer"]  # once, though there were four pictures
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
    image = pixels(upright(grey(cut, WINDOWS["wide"]), height_mm=20, pixel_mm=1))
    assert image.shape == (320, 640)
    assert image[0].min() > 250
    assert image[-1].max() < 5


def stack(height: int, step_mm: float, values: list[float]) -> Cuts:
    planes = {plane: np.repeat(np.array(values, dtype=np.float32)[:, np.newaxis], 4, axis=1) for plane in PLANES}
    return Cuts(planes, 0.0, step_mm, height, (1.0, 1.0))


def test_the_difference_is_from_straight_lines_between_thick_slices() -> None:
    thick, thin = stack(10, 5.0, [0, 100, 0]), stack(10, 2.5, [0, 50, 100, 80, 0])
    assert difference(thick, thin, "coronal")[:, 0].tolist() == [0, 0, 0, 30, 0]
    slices = {"axial": np.array([[[10.0]], [[30.0]]], dtype=np.float32)}
    between = {"axial": np.array([[[25.0]]], dtype=np.float32)}
    found = difference(Cuts(slices, 10.0, 5.0, 10, (1, 1)), Cuts(between, 12.0, 1.0, 10, (1, 1)), "axial")
    assert found.ravel().tolist() == pytest.approx([25 - (10 + 20 * 2 / 5)])
    short = stack(10, 3.0, [0, 60, 70, 0])  # at 0, 3, 6 and 9 mm
    assert difference(thick, short, "sagittal")[:, 0].tolist() == pytest.approx([0, 0, -10, -20], abs=1e-4)


def test_colours_say_the_sign_and_hold_for_every_series() -> None:
    shown = colours(np.array([[-9999, -MOST_HU, 0, MOST_HU, 9999]], dtype=np.float32))[0]
    assert shown[0].tolist() == shown[1].tolist()
    assert shown[3].tolist() == shown[4].tolist()
    assert shown[2].tolist() == [8, 8, 8]
    assert int(shown[1][2]) > int(shown[1][0])  # blue is darker
    assert int(shown[3][0]) > int(shown[3][2])  # orange is brighter
    assert SCALE.stops[0][1] == "#{:02x}{:02x}{:02x}".format(*shown[0])


def test_without_a_result_there_is_a_sentence(node: Node, tmp_path: Path) -> None:
    previews = Previews(tmp_path)
    with pytest.raises(StorageError, match="no longer on this node"):
        previews.picture(node, replace(view(node, 1), result=str(tmp_path / "gone")), "coronal", "thin")
    with pytest.raises(InputError):
        previews.picture(node, view(node, 1), "../coronal", "thin")
