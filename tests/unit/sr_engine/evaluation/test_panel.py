"""The picture shows what the volumes hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_engine.errors import InvalidVolume
from sr_engine.evaluation.panel import (
    CAPTION_PX,
    FOOT_PX,
    GAP_PX,
    HEAD_PX,
    VIEW_PX,
    coronal_panel,
)
from tests.phantom import Phantom, chest

TOP = HEAD_PX + CAPTION_PX


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return chest(shape=(41, 64, 64), pixel_mm=5.0, noise_hu=0)


def _column(path: Path, index: int) -> np.ndarray:
    left = GAP_PX + index * (VIEW_PX + GAP_PX)
    return np.asarray(Image.open(path))[TOP:-FOOT_PX, left : left + VIEW_PX].astype(int)


def test_views_keep_the_true_proportions(phantom: Phantom, tmp_path: Path):
    """64 columns of 5 mm are as wide as the view, so 9 slices of 5 mm are 9/64 of that high."""
    width, height = Image.open(coronal_panel(tmp_path / "new" / "panel.png", phantom.thick, phantom.thin)).size
    whole = round(VIEW_PX * 9 / 64)
    assert (width, height) == (2 * VIEW_PX + 3 * GAP_PX, TOP + whole + GAP_PX + VIEW_PX + FOOT_PX)


def test_truth_and_baseline_add_three_views(phantom: Phantom, tmp_path: Path):
    path = coronal_panel(tmp_path / "p.png", phantom.thick, phantom.thin, phantom.thin, phantom.thin)
    assert Image.open(path).width == 5 * VIEW_PX + 6 * GAP_PX


def test_thick_slices_are_blocks_and_thin_ones_are_not(phantom: Phantom, tmp_path: Path):
    path = coronal_panel(tmp_path / "p.png", phantom.thick, phantom.thin)
    thick, thin = (_column(path, column)[: round(VIEW_PX * 9 / 64), : VIEW_PX // 2] for column in (0, 1))
    changes = [int((np.abs(np.diff(view, axis=0)).max(axis=(1, 2)) > 0).sum()) for view in (thick, thin)]
    assert changes[0] <= 8 + 2  # nine slices, and the frame around the detail
    assert changes[1] > 20


def test_the_head_is_up(phantom: Phantom, tmp_path: Path):
    """The brightest slice of a volume that is bright near the head only is drawn at the top."""
    thin = replace(phantom.thin, voxels=np.full_like(phantom.thin.voxels, -1024))
    thin.voxels[30:] = 300
    view = _column(coronal_panel(tmp_path / "p.png", phantom.thick, thin), 1)[: round(VIEW_PX * 9 / 64), :50]
    assert view[10:15].mean() > 200
    assert view[-15:-10].mean() < 60


def test_a_different_volume_gives_a_different_picture(phantom: Phantom, tmp_path: Path):
    thin = replace(phantom.thin, voxels=phantom.thin.voxels[::-1].copy())
    one = coronal_panel(tmp_path / "1.png", phantom.thick, phantom.thin).read_bytes()
    assert one == coronal_panel(tmp_path / "2.png", phantom.thick, phantom.thin).read_bytes()
    assert one != coronal_panel(tmp_path / "3.png", phantom.thick, thin).read_bytes()


def test_a_sagittal_cut_is_the_coronal_one_of_the_volume_turned_over(phantom: Phantom, tmp_path: Path):
    """A volume that is bright in its left columns only: bright in one sagittal cut, dark in another."""
    thin = replace(phantom.thin, voxels=np.full_like(phantom.thin.voxels, -1024))
    thin.voxels[:, :, :32] = 300
    inside = slice(20, round(VIEW_PX * 9 / 64) - 20)
    means = []
    for column in (10, 50):
        path = coronal_panel(tmp_path / f"{column}.png", phantom.thick, thin, plane="sagittal", row=column)
        means.append(_column(path, 1)[inside, 20:60].mean())
    assert means[0] > 200
    assert means[1] < 60


def test_no_error_is_dark_and_error_glows(phantom: Phantom, tmp_path: Path):
    wrong = replace(phantom.thin, voxels=phantom.thin.voxels + np.float32(500))
    right = coronal_panel(tmp_path / "right.png", phantom.thick, phantom.thin, phantom.thin)
    wrong_path = coronal_panel(tmp_path / "wrong.png", phantom.thick, wrong, phantom.thin)
    assert np.median(_column(right, 3)) < 20
    assert np.median(_column(wrong_path, 3)) > 200


def test_volumes_that_do_not_belong_together_are_refused(phantom: Phantom, tmp_path: Path):
    narrow = replace(phantom.thin, voxels=phantom.thin.voxels[:, :, :32].copy())
    with pytest.raises(InvalidVolume, match="equal rows and columns"):
        coronal_panel(tmp_path / "p.png", phantom.thick, narrow)
    with pytest.raises(InvalidVolume, match="the truth has shape"):
        coronal_panel(tmp_path / "p.png", phantom.thick, phantom.thin, phantom.thick)


def test_an_unknown_window_is_named(phantom: Phantom, tmp_path: Path):
    with pytest.raises(ValueError, match="lung, soft tissue, not bone"):
        coronal_panel(tmp_path / "p.png", phantom.thick, phantom.thin, window="bone")
    with pytest.raises(ValueError, match="coronal, sagittal, not axial"):
        coronal_panel(tmp_path / "p.png", phantom.thick, phantom.thin, plane="axial")
