"""Interpolation against values worked out by hand."""

import torch

from sr_engine.networks.contract import Sampling
from sr_engine.networks.interpolation import CubicInterpolation, LinearInterpolation, cubic

CHEST = Sampling.of(step_mm=5, thickness_mm=5, pixel_mm=0.75)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)


def test_linear_is_the_straight_line():
    assert LinearInterpolation()(column(0, 10), 5, CHEST).flatten().tolist() == [0, 2, 4, 6, 8, 10]


def test_cubic_halfway_weighs_minus_1_9_9_minus_1_over_16():
    thin = CubicInterpolation()(column(16, 32, 64, 160), 2, CHEST)
    assert thin.flatten().tolist() == [32, (-16 + 9 * 32 + 9 * 64 - 160) / 16, 64]


def test_cubic_is_exact_for_parabolas():
    z = torch.arange(6, dtype=torch.float64)
    fine = 1 + torch.arange(16, dtype=torch.float64) / 5
    assert torch.allclose(cubic((z**2 - 3 * z).view(1, -1, 1, 1), 5).flatten(), fine**2 - 3 * fine)


def test_cubic_of_a_long_window_is_the_join_of_short_ones():
    thick = torch.randn(1, 6, 3, 2, generator=torch.Generator().manual_seed(1))
    whole = cubic(thick, 4)
    assert whole.shape[1] == 13
    for start in range(3):
        assert torch.allclose(whole[:, 4 * start : 4 * start + 5], cubic(thick[:, start : start + 4], 4))
