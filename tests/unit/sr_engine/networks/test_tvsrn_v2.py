"""TVSRN-V2: its size, its base, and that every part of it can learn."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 the name torch itself uses

from sr_engine.networks.interpolation import cubic
from sr_engine.networks.tvsrn_v2 import TvsrnV2, TvsrnV2Config, slot_passes

SMALL = TvsrnV2Config(encoder_layers=2, tab_layers=2, decoder_groups=1, decoder_layers=2)


def scan(height: int = 16, width: int = 8) -> torch.Tensor:
    """Thick slices well inside the range that the network sees."""
    return torch.randn(1, 6, height, width, generator=torch.Generator().manual_seed(1)) * 100 - 300


def awake(config: TvsrnV2Config = SMALL) -> TvsrnV2:
    """A network whose last layer is not zero."""
    torch.manual_seed(2)
    network = TvsrnV2(config)
    torch.nn.init.normal_(network.head[-1].weight, std=0.5)
    return network


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_published_geometry_has_1926833_parameters_and_12_mask_tokens():
    """Count per Swin V2 layer of width d: 12 d^2 + 12 d + 5640; two norms per backbone; science of the two papers."""
    network = TvsrnV2()

    def layers(number: int, d: int) -> int:
        return number * (12 * d**2 + 12 * d + 5640) + 4 * d

    assert count(network.encoder) == layers(4, 32)
    assert count(network.through_plane) == layers(4, 64)
    assert count(network.in_plane) == layers(8, 128)
    assert count(network.embed) == 16
    assert count(network.head) == 161
    assert network.mask_tokens.numel() == 96
    assert count(network) == 1_926_833 + 96


@pytest.mark.parametrize("ratio", range(2, 11))
def test_untrained_it_equals_cubic_interpolation(ratio: int):
    torch.manual_seed(2)
    with torch.inference_mode():
        assert torch.equal(TvsrnV2(SMALL)(scan(), ratio), cubic(scan(), ratio))


def test_a_gradient_reaches_every_parameter():
    network = awake(TvsrnV2Config())
    network(scan(), 5).square().mean().backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


def test_learning_starts_from_the_zero_head():
    """A few steps from the untrained state lower the error: the zero head does not starve the rest."""
    torch.manual_seed(2)
    network, thick = TvsrnV2(SMALL), scan()
    truth = cubic(thick, 5) + 40 * torch.sin(thick[:, 1:2] / 100)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    errors = []
    for _ in range(12):
        error = (network(thick, 5) - truth).abs().mean()
        errors.append(error.item())
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    assert errors[-1] < 0.9 * errors[0]


def test_the_residual_does_not_depend_on_the_level_of_the_window():
    """The window's mean is removed before the first layer, so a constant added to the input is added to the output."""
    network = awake().eval()
    with torch.inference_mode():
        low, high = network(scan(), 4), network(scan() + 200, 4)
    assert not torch.allclose(low, cubic(scan(), 4), atol=1)
    assert torch.allclose(high - low, torch.full_like(low, 200), atol=0.05)


def test_slots_with_another_z_predict_something_else():
    """In a window that is the same everywhere, only z tells one thin slice from another."""
    network = awake().eval()
    with torch.inference_mode():
        thin = network(torch.full((1, 6, 8, 8), -300.0), 5)[0, :, 0, 0]
    assert len(set(thin.tolist())) == 16


def test_a_plane_is_padded_by_its_last_row_and_column():
    """The plane's corner is set so that padding leaves the mean, and so the input of the first layer, as it is."""
    network, plane = awake().eval(), scan(11, 13)
    seen = plane[:, 1:-1]
    gap = F.pad(seen, (0, 3, 0, 5), mode="replicate").mean() - seen.mean()
    plane[..., -1, -1] += gap / (1 / (11 * 13) - 6 * 4 / (16 * 16))
    with torch.inference_mode():
        odd, whole = network(plane, 5), network(F.pad(plane, (0, 3, 0, 5), mode="replicate"), 5)
    assert torch.allclose(odd, whole[..., :11, :13], atol=0.01)


@pytest.mark.parametrize("ratio", range(2, 14))
def test_slots_ask_for_every_thin_position_in_order(ratio: int):
    passes = slot_passes(TvsrnV2Config(), ratio)
    assert {index for slots in passes for index in slots} == set(range(3 * ratio + 1))
    for slots in passes:
        assert len(slots) == 16
        assert slots == sorted(slots)
        assert slots[::5] == [0, ratio, 2 * ratio, 3 * ratio]


def test_at_ratio_5_the_slots_are_the_published_ones():
    assert slot_passes(TvsrnV2Config(), 5) == [list(range(16))]


def test_the_z_code_is_the_published_one_at_ratio_5():
    """sin(z / 10000^(2i/8)) and cos of the same, interleaved, over z = 0..15."""
    code = TvsrnV2(SMALL)._z_code(torch.arange(16) / 5)
    rate = 10000 ** (-2 * torch.arange(4) / 8)
    angle = torch.arange(16)[:, None] * rate
    assert torch.allclose(code[:, 0::2], angle.sin(), atol=1e-5)
    assert torch.allclose(code[:, 1::2], angle.cos(), atol=1e-5)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="must be multiples"):
        TvsrnV2Config(window=6)
