"""Every registered network keeps the contract; a new one is tested here as soon as it is registered.

Large networks are built small where what is tested does not depend on size; their sizes have tests of their own.
"""

from typing import Any

import numpy as np
import pytest
import torch

from sr_engine.inference.restore import predict
from sr_engine.networks.contract import Sampling, SliceContract, SliceNetwork
from sr_engine.networks.interpolation import CubicInterpolation
from sr_engine.networks.registry import NETWORKS
from sr_engine.volume import Volume

CHEST = Sampling.of(step_mm=5, thickness_mm=5, pixel_mm=0.75)
LAYERS = {"encoder_layers": 2, "decoder_groups": 1, "decoder_layers": 2}
SMALL: dict[str, dict[str, Any]] = {
    "residual_cnn": {"blocks": 2},
    "resvox_like": {"channels": 8, "blocks": 1},
    "saint_like": {"channels": 8, "view_blocks": 1, "fusion_blocks": 1},
    "rdst_e_through_plane": {"groups": 1},
    "rdst_through_plane": {"groups": 1},
    "vit": {"width": 32, "layers": 2, "heads": 4, "grid": 2},
    "encoder_only": {"layers": 2},
    "tvsrn_v2_without_tab": LAYERS,
    "tvsrn": LAYERS | {"tab_layers": 2},
    "tvsrn_v2": LAYERS | {"tab_layers": 2},
}
LEARNED = [name for name, line in NETWORKS.items() if line.learned]


def make(name: str) -> SliceNetwork:
    torch.manual_seed(7)
    return NETWORKS[name].build(SMALL.get(name, {})).eval()


def wake(network: SliceNetwork) -> SliceNetwork:
    """Give everything that starts at zero another value, as training would."""
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return network


@pytest.fixture(params=list(NETWORKS), scope="module")
def network(request: pytest.FixtureRequest) -> SliceNetwork:
    """A network that does more than interpolate, where it can."""
    return wake(make(request.param))


@pytest.fixture(params=LEARNED, scope="module")
def untrained(request: pytest.FixtureRequest) -> SliceNetwork:
    return make(request.param)


def scan(slices: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(-1024, 2000, (1, slices, height, width), generator=generator).float()


def volume(slices: int, height: int = 8, width: int = 8) -> Volume:
    return Volume(scan(slices, height, width)[0].numpy(), (5.0, 0.75, 0.75), np.eye(4), 5.0)


@pytest.mark.parametrize("ratio", range(2, 11))
def test_shapes_follow_the_contract_at_every_ratio(network: SliceNetwork, ratio: int):
    contract = network.contract(ratio)
    with torch.inference_mode():
        thin = network(scan(contract.slices_in, 8, 8), ratio, CHEST)
    assert contract.ratio == ratio
    assert thin.shape == (1, contract.slices_out, 8, 8)
    assert thin.dtype == torch.float32
    assert torch.isfinite(thin).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 23), (16, 5)])
def test_any_plane_size_is_served(network: SliceNetwork, height: int, width: int):
    contract = network.contract(3)
    with torch.inference_mode():
        thin = network(scan(contract.slices_in, height, width), 3, CHEST)
    assert thin.shape == (1, contract.slices_out, height, width)


@pytest.mark.parametrize("slices", range(1, 8))
@pytest.mark.parametrize("ratio", [2, 5])
def test_volumes_of_one_slice_and_more_come_out_whole_and_finite(network: SliceNetwork, slices: int, ratio: int):
    thin = predict(network, volume(slices, 5, 7), ratio)
    assert thin.shape == ((slices - 1) * ratio + 1, 5, 7)
    assert np.isfinite(thin).all()


def test_the_same_input_gives_the_same_output(network: SliceNetwork):
    thick = scan(network.contract(5).slices_in, 16, 8)
    with torch.inference_mode():
        assert torch.equal(network(thick, 5, CHEST), network(thick, 5, CHEST))


def test_items_of_a_batch_do_not_see_each_other(network: SliceNetwork):
    """Nor their distances."""
    slices = network.contract(5).slices_in
    first, second = scan(slices, 8, 16), -scan(slices, 8, 16)
    spine = Sampling.of(step_mm=3, thickness_mm=4, pixel_mm=0.4)
    both = Sampling(torch.tensor([5.0, 3.0]), torch.tensor([5.0, 4.0]), torch.tensor([0.75, 0.4]))
    with torch.inference_mode():
        together = network(torch.cat((first, second)), 5, both)
        assert torch.allclose(together[:1], network(first, 5, CHEST), atol=1e-2)
        assert torch.allclose(together[1:], network(second, 5, spine), atol=1e-2)


def test_bfloat16_adds_nearly_the_same_to_the_same_base(network: SliceNetwork):
    thick = scan(network.contract(4).slices_in, 8, 16) / 10
    with torch.inference_mode():
        exact = network(thick, 4, CHEST)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(thick, 4, CHEST)
    assert rounded.dtype == torch.float32
    assert (rounded - exact).square().mean() <= 0.05**2 * (exact - thick.mean()).square().mean()


@pytest.mark.parametrize("ratio", range(2, 7))
def test_with_nothing_to_add_a_volume_is_the_cubic_interpolation(untrained: SliceNetwork, ratio: int):
    """Also where windows meet and beyond a volume's ends."""
    source = volume(6)
    expected = predict(CubicInterpolation(), source, ratio)
    assert np.allclose(predict(untrained, source, ratio), expected, atol=0.01)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_untrained_values_stay_near_the_range_of_the_source(name: str):
    """A cubic or Lanczos kernel overshoots by at most a quarter of the range: its weights' sizes sum to 1.5 or less."""
    source = volume(6)
    low, high = source.voxels.min(), source.voxels.max()
    margin = (high - low) / 4
    thin = predict(make(name), source, 5)
    assert low - margin <= thin.min()
    assert thin.max() <= high + margin


@pytest.mark.parametrize("name", list(NETWORKS))
def test_untrained_networks_reproduce_thick_slices_exactly(name: str):
    source = volume(5)
    assert np.array_equal(predict(make(name), source, 5)[::5], source.voxels)


@pytest.mark.parametrize("name", LEARNED)
def test_a_gradient_reaches_every_parameter(name: str):
    network = wake(make(name))
    thick = scan(network.contract(5).slices_in, 32, 16) / 2
    network(thick, 5, CHEST).square().mean().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize("name", LEARNED)
def test_the_first_steps_of_training_lower_the_error(name: str):
    """The zero at the end does not starve what comes before it."""
    network = make(name).train()
    thick = scan(network.contract(5).slices_in, 8, 16) / 20 - 300
    with torch.no_grad():
        start = network(thick, 5, CHEST)
        middle = thick[:, thick.shape[1] // 2, None]
    truth = start + 40 * torch.tanh((middle + 300) / 40)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    errors = []
    for _ in range(12):
        error = (network(thick, 5, CHEST) - truth).abs().mean()
        errors.append(error.item())
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    assert min(errors) < 0.9 * errors[0]


@pytest.mark.parametrize(
    "fields", [(1, 6, 5, 0), (4, 16, 1, 0), (4, 5, 5, 0), (4, 17, 5, 0), (4, 10, 5, 7), (4, 10, 5, -1)]
)
def test_a_contract_that_cannot_be_kept_is_refused(fields: tuple[int, int, int, int]):
    with pytest.raises(ValueError, match=r"window needs|cannot span|reach beyond"):
        SliceContract(*fields)


def test_windows_share_one_thick_position():
    assert SliceContract(4, 16, 5).stride == 3
    assert SliceContract(4, 10, 5, 3).stride == 1
    assert SliceContract(2, 6, 5).stride == 1
