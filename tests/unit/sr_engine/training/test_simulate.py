"""Thick slices are averages of thin ones, centred on the thin grid, and lose no mass."""

import numpy as np
import pytest

from sr_engine.training.simulate import SliceProfile, thicken, thicken_volume


@pytest.mark.parametrize("ratio", range(2, 7))
def test_every_thin_slice_gives_all_of_itself_away_under_a_box_as_wide_as_the_spacing(ratio: int):
    """Each of one HU in one thin slice adds 1/ratio HU to the thick slices together: no gap, no double counting."""
    weights = SliceProfile().weights(ratio)
    reach = len(weights) // 2
    thin = np.zeros((6 * ratio + 1 + 2 * reach, 1, 1), np.float32)
    for place in range(reach + ratio, reach + 5 * ratio):
        thin[:] = 0
        thin[place] = 1
        assert thicken(thin, ratio, weights, reach, 7).sum() == pytest.approx(1 / ratio, abs=1e-6)


@pytest.mark.parametrize("profile", [SliceProfile(), SliceProfile(1.5), SliceProfile(0.8), SliceProfile(1, True)])
def test_a_volume_of_one_value_keeps_it(profile: SliceProfile):
    thick, truth = thicken_volume(np.full((40, 2, 3), -850, np.float32), 4, profile)
    assert np.allclose(thick, -850, atol=1e-3)
    assert len(truth) == (len(thick) - 1) * 4 + 1


@pytest.mark.parametrize("ratio", [2, 3, 5])
@pytest.mark.parametrize("gaussian", [False, True])
def test_thick_slices_stand_on_the_thin_grid(ratio: int, gaussian: bool):
    """A straight slope along z is kept by a symmetric profile, so any shift of the centre would show."""
    thin = np.arange(60, dtype=np.float32)[:, None, None] * 7
    thick, truth = thicken_volume(thin, ratio, SliceProfile(1.2, gaussian))
    assert np.allclose(thick, truth[::ratio], atol=1e-3)


def test_a_gaussian_has_half_its_height_at_half_its_width():
    weights = SliceProfile(1.0, gaussian=True).weights(10)
    middle = len(weights) // 2
    assert weights[middle + 5] / weights[middle] == pytest.approx(0.5, abs=1e-3)
    assert weights.sum() == pytest.approx(1)


def test_slices_beyond_the_volume_are_refused():
    thin = np.zeros((20, 2, 2), np.float32)
    with pytest.raises(ValueError, match="reach beyond"):
        thicken(thin, 5, SliceProfile().weights(5), 0, 3)
    with pytest.raises(ValueError, match="too few"):
        thicken_volume(thin[:7], 5, SliceProfile())
