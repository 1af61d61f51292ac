"""Interpolation against values worked out by hand."""

import math

import torch

from sr_engine.networks.contract import Sampling
from sr_engine.networks.interpolation import CubicInterpolation, LanczosInterpolation, LinearInterpolation, cubic

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


def test_lanczos_keeps_flat_volumes_flat_and_thick_slices_exact():
    network = LanczosInterpolation()
    assert torch.allclose(network(column(7, 7, 7, 7, 7, 7), 5, CHEST), torch.tensor(7.0))
    thin = network(column(1, -2, 0, 5, 3, 8), 5, CHEST).flatten().tolist()
    assert (thin[0], thin[5]) == (0, 5)


def test_lanczos_halfway_weighs_by_the_windowed_sinc():
    """sinc(x) sinc(x / 3) at 1/2, 3/2 and 5/2 of a spacing, divided by their sum."""
    weight = {x: 3 * math.sin(math.pi * x) * math.sin(math.pi * x / 3) / (math.pi * x) ** 2 for x in (0.5, 1.5, 2.5)}
    values = (4, 1, -3, 6, 2, 9)
    weights = [weight[abs(index - 2.5)] for index in range(6)]
    expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    assert math.isclose(LanczosInterpolation()(column(*values), 2, CHEST).flatten()[1], expected, rel_tol=1e-6)
