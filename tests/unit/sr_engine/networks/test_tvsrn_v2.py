"""TVSRN-V2: its size, its base, and that every part of it can learn."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 the name torch itself uses

from sr_engine.networks.contract import Sampling
from sr_engine.networks.interpolation import cubic
from sr_engine.networks.slots import slot_passes
from sr_engine.networks.tvsrn_v2 import TvsrnV2, TvsrnV2Config

SMALL = TvsrnV2Config(encoder_layers=2, tab_layers=2, decoder_groups=1, decoder_layers=2)
CHEST = Sampling.of(step_mm=5, thickness_mm=5, pixel_mm=0.75)


def scan(height: int = 16, width: int = 8) -> torch.Tensor:
    """Thick slices well inside the range that the network sees."""
    return torch.randn(1, 6, height, width, generator=torch.Generator().manual_seed(1)) * 100 - 300


def awake(config: TvsrnV2Config = SMALL) -> TvsrnV2:
    """A network whose last layers are not zero."""
    torch.manual_seed(2)
    network = TvsrnV2(config)
    torch.nn.init.normal_(network.head[-1].weight, std=0.5)
    if config.millimetres:
        torch.nn.init.normal_(network.distance_code[-1].weight, std=0.5)
    return network


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_published_geometry_has_1926833_parameters_beside_mask_tokens_and_millimetres():
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
    assert count(network.distance_code) == 416
    assert count(network) == 1_926_833 + 96 + 416


@pytest.mark.parametrize("ratio", range(2, 11))
def test_untrained_it_equals_cubic_interpolation(ratio: int):
    torch.manual_seed(2)
    with torch.inference_mode():
        assert torch.equal(TvsrnV2(SMALL)(scan(), ratio, CHEST), cubic(scan(), ratio))


def test_a_gradient_reaches_every_parameter():
    network = awake(TvsrnV2Config())
    network(scan(), 5, CHEST).square().mean().backward()
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
        error = (network(thick, 5, CHEST) - truth).abs().mean()
        errors.append(error.item())
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    assert errors[-1] < 0.9 * errors[0]


def test_a_tile_knows_nothing_of_its_surroundings_mean():
    """The centre is fixed: what lies far away in the plane changes nothing, so tiles join without steps."""
    network, near = awake().eval(), scan(16, 64)
    far = near.clone()
    far[..., 56:] += 400
    with torch.inference_mode():
        change = (network(far, 4, CHEST) - network(near, 4, CHEST)).abs()
    assert change[..., 60].max() > 100
    assert change[..., :16].max() < 0.01


def test_distances_in_millimetres_change_the_answer():
    network = awake().eval()
    with torch.inference_mode():
        usual = network(scan(), 4, CHEST)
        for other in (Sampling.of(2, 5, 0.75), Sampling.of(5, 6, 0.75), Sampling.of(5, 5, 0.5)):
            assert not torch.allclose(network(scan(), 4, other), usual, atol=0.5)


def test_without_millimetres_only_counts_matter():
    """The published form, 416 parameters smaller."""
    config = replace(SMALL, millimetres=False)
    network = awake(config).eval()
    assert count(awake()) - count(network) == 416
    with torch.inference_mode():
        assert torch.equal(network(scan(), 4, CHEST), network(scan(), 4, Sampling.of(2, 3, 0.5)))


def test_each_window_of_a_batch_has_its_own_distances():
    network = awake().eval()
    both = Sampling(torch.tensor([5.0, 2.0]), torch.tensor([5.0, 3.0]), torch.tensor([0.75, 0.6]))
    with torch.inference_mode():
        together = network(torch.cat((scan(), scan())), 5, both)
        alone = torch.cat((network(scan(), 5, CHEST), network(scan(), 5, Sampling.of(2, 3, 0.6))))
    assert torch.allclose(together, alone, atol=0.01)
    assert not torch.allclose(together[0], together[1], atol=0.5)


def test_slots_with_another_z_predict_something_else():
    """In a window that is the same everywhere, only z tells one thin slice from another."""
    network = awake().eval()
    with torch.inference_mode():
        thin = network(torch.full((1, 6, 8, 8), -300.0), 5, CHEST)[0, :, 0, 0]
    assert len(set(thin.tolist())) == 16


def test_a_plane_is_padded_by_its_last_row_and_column():
    network, plane = awake().eval(), scan(11, 13)
    with torch.inference_mode():
        odd = network(plane, 5, CHEST)
        whole = network(F.pad(plane, (0, 3, 0, 5), mode="replicate"), 5, CHEST)
    assert torch.allclose(odd, whole[..., :11, :13], atol=0.01)


@pytest.mark.parametrize("ratio", range(2, 14))
def test_slots_ask_for_every_thin_position_in_order(ratio: int):
    passes = slot_passes(4, 4, ratio)
    assert {index for slots in passes for index in slots} == set(range(3 * ratio + 1))
    for slots in passes:
        assert len(slots) == 16
        assert slots == sorted(slots)
        assert slots[::5] == [0, ratio, 2 * ratio, 3 * ratio]


def test_at_ratio_5_the_slots_are_the_published_ones():
    assert slot_passes(4, 4, 5) == [list(range(16))]


def test_the_z_code_is_the_published_one_at_ratio_5():
    """sin(z / 10000^(2i/8)) and cos of the same, interleaved, over z = 0..15."""
    code = TvsrnV2(SMALL)._z_code(torch.arange(16) / 5, CHEST)[0]
    rate = 10000 ** (-2 * torch.arange(4) / 8)
    angle = torch.arange(16)[:, None] * rate
    assert torch.allclose(code[:, 0::2], angle.sin(), atol=1e-5)
    assert torch.allclose(code[:, 1::2], angle.cos(), atol=1e-5)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="must be multiples"):
        TvsrnV2Config(window=6)


def test_the_convolutional_branch_adds_its_own_answer_to_attentions():
    """What the network with a branch says is attention's residual plus the residual CNN's, both over cubic."""
    both = awake(replace(SMALL, local_blocks=2)).eval()
    torch.nn.init.normal_(both.local.exit.weight, std=0.02)
    alone = TvsrnV2(SMALL).eval()
    alone.load_state_dict(both.state_dict(), strict=False)
    thick = scan()
    with torch.inference_mode():
        together = both(thick, 3, CHEST)
        apart = alone(thick, 3, CHEST) + both.local(thick, 3, CHEST) - cubic(thick, 3)
    assert torch.allclose(together, apart, atol=1e-3)
    assert (together - alone(thick, 3, CHEST)).abs().max() > 1


def test_a_convolutional_branch_needs_the_cubic_base():
    with pytest.raises(ValueError, match="cubic_base"):
        TvsrnV2Config(local_blocks=2, cubic_base=False)
