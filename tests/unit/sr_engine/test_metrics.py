"""Figures are checked against values worked out by hand."""

import math

import numpy as np
import pytest

from sr_engine.intensity import IntensityRange
from sr_engine.metrics import mae_hu, psnr_db, rmse_hu, ssim

TRUTH = np.zeros((2, 1, 2), dtype=np.float32)
RESTORED = np.array([[[3, -4]], [[0, 5]]], dtype=np.float32)


def test_errors_are_means_over_all_voxels():
    assert mae_hu(RESTORED, TRUTH) == pytest.approx(3.0)
    assert rmse_hu(RESTORED, TRUTH) == pytest.approx(math.sqrt(12.5))


def test_psnr_is_stated_over_its_range():
    assert psnr_db(RESTORED, TRUTH, -50, 50) == pytest.approx(20 * math.log10(100 / math.sqrt(12.5)))


def test_psnr_matches_the_papers_conversion():
    """A PSNR of 39.162 dB over [-1024, 2048] is an error of 33.8 HU."""
    truth = np.zeros((1, 4, 4), dtype=np.float32)
    assert psnr_db(truth + np.float32(33.83), truth, -1024, 2048) == pytest.approx(39.162, abs=0.01)


def test_psnr_does_not_count_what_lies_outside_the_range():
    assert psnr_db(TRUTH + 5000, TRUTH + 3000, -1024, 2048) == math.inf


def test_volumes_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="cannot compare shapes"):
        rmse_hu(RESTORED, TRUTH[:1])


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match="empty"):
        IntensityRange(100, 100)


def test_ssim_is_1_for_equal_volumes_and_falls_with_noise():
    truth = np.random.default_rng(1).uniform(-1000, 500, (2, 30, 30)).astype(np.float32)
    noise = np.random.default_rng(2).normal(0, 1, truth.shape).astype(np.float32)
    assert ssim(truth, truth, -1024, 2048) == pytest.approx(1)
    little, much = (ssim(truth + size * noise, truth, -1024, 2048) for size in (50, 300))
    assert 1 > little > much > 0


def test_ssim_of_two_flat_volumes_is_the_formula_of_their_levels():
    """Far from the border nothing varies, so what is left is (2ab + C1) / (a^2 + b^2 + C1)."""
    one, other = np.full((1, 400, 400), -256, np.float32), np.full((1, 400, 400), 512, np.float32)
    a, b = 0.25, 0.5
    whole = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert ssim(one, other, -1024, 2048) == pytest.approx(whole, abs=0.01)
