"""Every registered network keeps the contract; a new one is tested here as soon as it is registered."""

import pytest
import torch

from sr_engine.networks.contract import Sampling, SliceContract, SliceNetwork
from sr_engine.networks.registry import NETWORKS

CHEST = Sampling.of(step_mm=5, thickness_mm=5, pixel_mm=0.75)


@pytest.fixture(params=list(NETWORKS), scope="module")
def network(request: pytest.FixtureRequest) -> SliceNetwork:
    torch.manual_seed(7)
    return NETWORKS[request.param].build({}).eval()


def scan(slices: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(-1024, 2000, (1, slices, height, width), generator=generator).float()


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
        assert network(scan(contract.slices_in, height, width), 3, CHEST).shape == (
            1,
            contract.slices_out,
            height,
            width,
        )


def test_the_same_input_gives_the_same_output(network: SliceNetwork):
    thick = scan(network.contract(5).slices_in, 16, 8)
    with torch.inference_mode():
        assert torch.equal(network(thick, 5, CHEST), network(thick, 5, CHEST))


def test_items_of_a_batch_do_not_see_each_other(network: SliceNetwork):
    slices = network.contract(5).slices_in
    first, second = scan(slices, 8, 16), -scan(slices, 8, 16)
    with torch.inference_mode():
        together = network(torch.cat((first, second)), 5, CHEST)
        assert torch.allclose(together[:1], network(first, 5, CHEST), atol=1e-2)
        assert torch.allclose(together[1:], network(second, 5, CHEST), atol=1e-2)


def test_untrained_networks_reproduce_thick_slices_exactly(network: SliceNetwork):
    contract = network.contract(5)
    thick = scan(contract.slices_in, 8, 8)
    with torch.inference_mode():
        thin = network(thick, 5, CHEST)
    first = contract.first_out // 5
    assert torch.equal(thin[:, ::5], thick[:, first : first + thin[:, ::5].shape[1]])


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
