"""The self-check sees what it should see, in HU."""

from dataclasses import replace

import numpy as np
import pytest

from sr_engine.inference.selfcheck import box_profile, check, find_lung, roughness_ratio
from sr_engine.inference.slicewise import look
from sr_engine.volume import Volume

RATIO = 5


def volume(voxels: np.ndarray, step: float, thickness: float | None = None) -> Volume:
    affine = np.diag([step, 2.0, 2.0, 1.0])[:, [2, 1, 0, 3]]
    return Volume(voxels.astype(np.float32), (step, 2.0, 2.0), affine, thickness or step)


def chest(slices: int = 12) -> np.ndarray:
    """Air, a body, two lungs, spots that vary through plane; thin slices of 1 mm, 2 mm pixels."""
    z, y, x = np.ogrid[: (slices - 1) * RATIO + 1, :96, :128]
    voxels = np.full((z.size, 96, 128), -1000.0)
    voxels[np.broadcast_to(((y - 48) / 40) ** 2 + ((x - 64) / 58) ** 2 < 1, voxels.shape)] = 40
    for centre in (40, 88):
        lung = ((y - 48) / 26) ** 2 + ((x - centre) / 18) ** 2 < 1
        voxels = np.where(lung, -850 + 30 * np.sin(z / 3 + x / 5), voxels)
    return voxels


def thickened(thin: np.ndarray) -> np.ndarray:
    """Box of 5 around every fifth slice; the ends, which have no whole box, keep their own value."""
    centres = range(0, len(thin), RATIO)
    return np.stack([thin[max(0, c - 2) : c + 3].mean(axis=0) if 0 < c < len(thin) - 1 else thin[c] for c in centres])


def test_the_truth_agrees_with_its_own_thick_slices():
    found = check(volume(chest(), 1.0), volume(thickened(chest()), 5.0), RATIO)
    assert found.rms_error_hu == pytest.approx(0, abs=1e-3)
    assert found.mean_offset_hu == pytest.approx(0, abs=1e-3)
    assert found.lung_offset_hu == pytest.approx(0, abs=1e-3)
    assert (found.minimum_hu, found.maximum_hu) == (-1000, 40)


def test_displaced_lung_shows_in_full():
    """The known flaw of regression networks: -18 HU in lung and nowhere else."""
    thin = chest()
    source = volume(thickened(thin), 5.0)
    displaced = np.where((thin < -700) & (thin > -950), thin - 18, thin)
    found = check(volume(displaced, 1.0), source, RATIO)
    assert found.lung_offset_hu == pytest.approx(-18, abs=0.01)
    assert -18 < found.mean_offset_hu < -1


def test_emphysema_is_counted_in_the_same_lung_of_both():
    """Every second thin slice of lung is a hole of -970: half of the thin lung, none of its averages."""
    thin = chest()
    lung = (thin < -700) & (thin > -950)
    holes = np.where(np.arange(len(thin)) % 2 == 0, -970, -870)[:, None, None]
    found = check(volume(np.where(lung, holes, thin), 1.0), volume(thickened(np.where(lung, holes, thin)), 5.0), RATIO)
    assert found.laa950_percent == pytest.approx(50, abs=3)
    assert found.source_laa950_percent == 0
    dark = np.where(lung, -970, thin)
    found = check(volume(dark, 1.0), volume(dark[::RATIO], 5.0), RATIO)
    assert (found.laa950_percent, found.source_laa950_percent) == (100, 100)


def test_one_wrong_slice_shows_in_the_slice_figure():
    thin = chest()
    source = volume(thickened(thin), 5.0)
    thin[30] += 100
    found = check(volume(thin, 1.0), source, RATIO)
    assert found.max_slice_offset_hu == pytest.approx(20, abs=0.1)


def test_thickness_and_not_spacing_is_the_profile():
    """Overlapping slices, 5 mm thick every 2 mm, are compared over 5 mm."""
    thin = chest()[:-1]  # ends on a thick slice
    overlapping = np.stack([thin[max(0, c - 2) : c + 3].mean(axis=0) for c in range(0, len(thin), 2)])
    assert check(volume(thin, 1.0), volume(overlapping, 2.0, 5.0), 2).rms_error_hu == pytest.approx(0, abs=1e-3)
    assert check(volume(thin, 1.0), volume(overlapping, 2.0, 2.0), 2).rms_error_hu > 0.5


@pytest.mark.parametrize(
    ("width", "step", "weights"),
    [
        (5.0, 1.0, [0.2] * 5),
        (4.0, 1.0, [0.125, 0.25, 0.25, 0.25, 0.125]),
        (1.0, 1.0, [1.0]),
        (0.5, 1.0, [1.0]),
        (2.5, 0.5, [0.2] * 5),
    ],
)
def test_a_box_counts_the_part_of_each_slice_it_covers(width: float, step: float, weights: list[float]):
    assert box_profile(width, step) == pytest.approx(weights)


def test_lung_is_found_inside_the_body_and_away_from_its_border():
    source = volume(thickened(chest()), 5.0)
    lung = find_lung(source)
    assert lung.shape == source.voxels.shape
    assert lung[5].sum() > 500
    assert source.voxels[lung].max() < -800
    assert source.voxels[lung].min() > -900
    assert not lung[0].any()


def test_a_body_without_lung_says_so():
    source = volume(np.where(chest() > -900, 40, chest())[::RATIO], 5.0)
    assert not find_lung(source).any()
    found = check(volume(source.voxels.repeat(RATIO, axis=0)[2:-2], 1.0), source, RATIO)
    assert (found.lung_offset_hu, found.laa950_percent, found.source_laa950_percent) == (None, None, None)


def test_straight_lines_have_roughness_one():
    thick = np.array([0.0, 10.0, -5.0], dtype=np.float32).reshape(3, 1, 1)
    thin = np.interp(np.arange(11) / 5, np.arange(3), thick.ravel()).astype(np.float32).reshape(11, 1, 1)
    assert roughness_ratio(look(thin, thick, 5).steps, thick, 5) == pytest.approx(1)
    thin[::2] += 4
    assert roughness_ratio(look(thin, thick, 5).steps, thick, 5) == pytest.approx(3.5 / 2.5)


def test_a_volume_without_variation_has_figures_too():
    flat = volume(np.zeros((1, 8, 8)), 5.0)
    found = check(replace(flat, spacing_mm=(1.0, 2.0, 2.0)), flat, RATIO)
    assert (found.rms_error_hu, found.roughness_ratio, found.lung_offset_hu) == (0, 1, None)
