"""Every in-plane network keeps the contract: four times finer, any size, bicubic until it has learned something."""

import pytest
import torch

from sr_engine.networks.in_plane.base import InPlaneNetwork, bicubic, reflect_to_multiple
from sr_engine.networks.in_plane.edsr import Edsr, EdsrConfig
from sr_engine.networks.in_plane.han import Han, HanConfig, LayerAttention
from sr_engine.networks.in_plane.rcan import Rcan, RcanConfig
from sr_engine.networks.in_plane.rdn import Rdn, RdnConfig
from sr_engine.networks.in_plane.rdst import Rdst, RdstConfig
from sr_engine.networks.in_plane.registry import IN_PLANE
from sr_engine.networks.in_plane.swinir import SwinIr, SwinIrConfig

SMALL = {
    "edsr": lambda: Edsr(EdsrConfig(channels=8, blocks=2)),
    "rdn": lambda: Rdn(RdnConfig(channels=8, blocks=2, layers=2, growth=4)),
    "rcan": lambda: Rcan(RcanConfig(channels=8, groups=2, blocks=1, reduction=2)),
    "han": lambda: Han(HanConfig(channels=8, groups=2, blocks=1, reduction=2)),
    "swinir": lambda: SwinIr(SwinIrConfig(channels=12, heads=2, groups=1, layers=2)),
    "rdst_e": lambda: Rdst(RdstConfig(groups=1)),
    "rdst": lambda: Rdst(RdstConfig(groups=2)),
}
NAMES = list(IN_PLANE)


def make(name: str, awake: bool = True) -> InPlaneNetwork:
    torch.manual_seed(7)
    network = SMALL[name]()
    if awake:
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
    return network.eval()


def slices(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3)) * 300 - 300


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def count_without_tables(network: torch.nn.Module) -> int:
    """As counters do that look at layers: a table of position biases is a parameter of none."""
    return sum(value.numel() for name, value in network.named_parameters() if not name.endswith("position_table"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 9), (8, 16), (13, 7)])
def test_any_slice_becomes_four_times_finer(name: str, height: int, width: int):
    with torch.inference_mode():
        fine = make(name)(slices(2, 1, height, width))
    assert fine.shape == (2, 1, 4 * height, 4 * width)
    assert fine.dtype == torch.float32
    assert torch.isfinite(fine).all()


@pytest.mark.parametrize("name", NAMES)
def test_untrained_it_equals_bicubic_interpolation(name: str):
    coarse = slices(1, 1, 9, 10)
    with torch.inference_mode():
        assert torch.equal(make(name, awake=False)(coarse), bicubic(coarse, 4))
        assert not torch.allclose(make(name)(coarse), bicubic(coarse, 4), atol=1)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_slice_gives_the_same_result_whatever_lies_beside_it(name: str):
    network, first, second = make(name), slices(1, 1, 8, 8), -slices(1, 1, 8, 8)
    with torch.inference_mode():
        alone = network(first)
        assert torch.equal(alone, network(first))
        assert torch.allclose(network(torch.cat((first, second)))[:1], alone, atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_reaches_every_parameter(name: str):
    network = make(name)
    network(slices(1, 1, 16, 16)).square().mean().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_without_the_base_the_network_makes_the_image_alone():
    torch.manual_seed(7)
    coarse = slices(1, 1, 8, 8)
    alone = Rdst(RdstConfig(groups=1, bicubic_base=False)).eval()
    with torch.inference_mode():
        fine = alone(coarse)
        assert not torch.allclose(fine, bicubic(coarse, 4), atol=1)
        based = Rdst(RdstConfig(groups=1)).eval()
        based.load_state_dict(alone.state_dict())
        assert torch.allclose(based(coarse) - bicubic(coarse, 4), fine + 500, atol=0.01)


def test_slices_are_mirrored_not_repeated():
    row = torch.tensor([1.0, 2, 3]).view(1, 1, 1, 3)
    assert reflect_to_multiple(row, 8)[0, 0, 0].tolist() == [1, 2, 3, 2, 1, 2, 3, 2]
    assert reflect_to_multiple(row, 8)[0, 0, :, 0].tolist() == [1] * 8
    assert torch.equal(reflect_to_multiple(row, 3)[..., :1, :], row)


def test_layer_attention_mixes_layers_that_are_alike():
    """Two layers that are alike and one that is not: the two share their weight, the third keeps its own."""
    attention = LayerAttention()
    torch.nn.init.ones_(attention.scale)
    layers = torch.tensor([10.0, 10.0, -10.0]).view(1, 3, 1, 1, 1).expand(1, 3, 2, 2, 2)
    with torch.no_grad():
        mixed = attention(layers)
    assert mixed.shape == (1, 6, 2, 2)
    assert torch.allclose(mixed, 2 * layers.reshape(1, 6, 2, 2))


@pytest.mark.parametrize(
    ("name", "parameters", "paper_millions"),
    [("edsr", 43_080_705, 43.08), ("rdn", 5_761_921, 5.76), ("rcan", 15_590_049, None), ("han", 64_194_143, 64.19)],
)
def test_convolutional_networks_have_the_sizes_of_the_rdst_papers_table(
    name: str, parameters: int, paper_millions: float | None
):
    """RCAN's 32.03 M there follows from no setting of RCAN's own text."""
    with torch.device("meta"):
        network = IN_PLANE[name]()
    assert count(network) == parameters
    if paper_millions:
        assert round(parameters / 1e6, 2) == paper_millions


@pytest.mark.parametrize(
    ("name", "parameters", "without_tables", "paper_millions"),
    [
        ("swinir", 11_521_996, 11_473_396, 11.47),
        ("rdst", 4_464_965 - 4, 4_400_165 - 4, 4.40),
        ("rdst_e", 2_379_245 - 4, 2_346_845 - 4, 2.35),
    ],
)
def test_transformers_have_the_papers_sizes_when_tables_are_not_counted(
    name: str, parameters: int, without_tables: int, paper_millions: float
):
    """RDST's reference has 4 more: two fixed 1 x 1 mean shifts that change nothing."""
    with torch.device("meta"):
        network = IN_PLANE[name]()
    assert count(network) == parameters
    assert count_without_tables(network) == without_tables
    assert round(without_tables / 1e6, 2) == paper_millions


def test_the_parts_of_rdst_have_the_references_sizes():
    with torch.device("meta"):
        network = Rdst()
    assert count(network.body.head) == 600
    assert count(network.body.last) == 32_460
    assert count(network.upsampler) == 260_221
