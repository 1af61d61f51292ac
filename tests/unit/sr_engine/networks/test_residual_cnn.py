"""The baseline: its size, and that it reads between its slots along straight lines."""

import torch

from sr_engine.networks.contract import Sampling
from sr_engine.networks.interpolation import cubic
from sr_engine.networks.residual_cnn import ResidualCnn

CHEST = Sampling.of(step_mm=5, thickness_mm=5, pixel_mm=0.75)


def awake() -> ResidualCnn:
    torch.manual_seed(2)
    network = ResidualCnn().eval()
    torch.nn.init.normal_(network.exit.weight, std=0.02)
    return network


def scan() -> torch.Tensor:
    return torch.randn(1, 6, 12, 9, generator=torch.Generator().manual_seed(1)) * 100 - 300


def test_it_has_454736_parameters():
    assert sum(parameter.numel() for parameter in ResidualCnn().parameters()) == 454_736


def test_a_gradient_reaches_every_parameter():
    network = awake()
    network(scan(), 5, CHEST).square().mean().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_ratio_10_meets_the_slots_of_ratio_5_at_every_second_slice():
    with torch.inference_mode():
        fine = awake()(scan(), 10, CHEST) - cubic(scan(), 10)
        coarse = awake()(scan(), 5, CHEST) - cubic(scan(), 5)
    assert coarse.abs().max() > 1
    assert torch.allclose(fine[:, ::2], coarse, atol=0.01)
    assert torch.allclose(fine[:, 1::2], (coarse[:, 1:] + coarse[:, :-1]) / 2, atol=0.01)
