"""Sizes of the ablations and of the baselines beside the papers', and the upsampling that they share."""

from pathlib import Path

import pytest
import torch

from sr_engine.networks.contract import Sampling
from sr_engine.networks.encoder_only import EncoderOnly
from sr_engine.networks.in_plane.registry import IN_PLANE
from sr_engine.networks.interpolation import cubic
from sr_engine.networks.rdst_through_plane import RdstThroughPlane, RdstThroughPlaneConfig
from sr_engine.networks.registry import NETWORKS
from sr_engine.networks.saint_like import SaintLike, SaintLikeConfig
from sr_engine.networks.slots import shuffle_slices
from sr_engine.networks.tvsrn_v2 import TvsrnV2
from sr_engine.networks.vit import Vit

PAPERS = Path(__file__).parents[4] / "docs" / "papers.md"
CHEST = Sampling.of(step_mm=5, thickness_mm=5, pixel_mm=0.75)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("residual_cnn", 454_736),
        ("resvox_like", 337_381),
        ("saint_like", 306_690),
        ("rdst_e_through_plane", 2_281_861),
        ("rdst_through_plane", 4_367_581),
        ("vit", 17_744_640),
        ("encoder_only", 1_631_013),
        ("tvsrn_v2_without_tab", 1_704_849),
        ("tvsrn", 2_387_585),
        ("tvsrn_v2", 1_927_345),
    ],
)
def test_every_learned_network_has_the_size_told_of_it(name: str, parameters: int):
    with torch.device("meta"):
        assert count(NETWORKS[name].build({})) == parameters


@pytest.mark.parametrize("name", [*(name for name, line in NETWORKS.items() if line.learned), *IN_PLANE])
def test_the_table_of_papers_tells_the_size_of_every_network(name: str):
    """docs/papers.md has a row for it, with the number of parameters that it has."""
    with torch.device("meta"):
        network = NETWORKS[name].build({}) if name in NETWORKS else IN_PLANE[name]()
    rows = [line for line in PAPERS.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}`")]
    assert rows
    assert any(f"| {count(network):,} |" in row for row in rows)


def test_without_tab_the_published_geometry_has_1704337_parameters():
    """1,704,337 with a 1 x 1 embedding, and mask tokens and millimetres as the full network."""
    with torch.device("meta"):
        network = NETWORKS["tvsrn_v2_without_tab"].build({})
    assert count(network) == 1_704_337 + 96 + 416
    assert isinstance(network, TvsrnV2)
    assert not hasattr(network, "through_plane")


def test_the_body_of_the_encoder_has_1630784_parameters():
    """8 layers of 128 channels at 12 d^2 + 12 d + 5640, two norms; the paper's 1.58 M is Swin V1's, tables aside."""
    with torch.device("meta"):
        network = EncoderOnly()
    assert count(network.encoder) == 8 * (12 * 128**2 + 12 * 128 + 5640) + 4 * 128 == 1_630_784
    assert count(network.embed) == 64
    assert count(network.head) == 165


def test_the_transformer_of_the_vit_has_the_papers_size():
    """8 layers of 512 at MLP ratio 2 and positions for 256 patches; the paper's 17.15 M with all around them."""
    with torch.device("meta"):
        network = Vit()
    assert count(network.encoder.layers) == 16_822_272
    assert network.plane_code.numel() == 256 * 512
    assert count(network.embed) == 131_584


def test_channels_become_the_slots_around_their_slice():
    """Slice i holds 10 i + 0 .. 4 for its slots -2 .. 2; what lies beyond the ends is dropped."""
    features = torch.arange(3).view(1, 1, 3) * 10 + torch.arange(5).view(1, 5, 1)  # (B, 5, S)
    assert shuffle_slices(features, 4).flatten().tolist() == [2, 3, 4, 10, 11, 12, 13, 14, 20, 21, 22]


def test_channels_of_a_feature_stay_together():
    features = torch.stack((torch.arange(4), torch.arange(4) + 100)).view(1, 2, 2, 2).transpose(2, 3)
    slots = shuffle_slices(features.reshape(1, 4, 2), 1)  # two channels of two slots each
    assert slots.shape == (1, 2, 3)
    assert (slots[:, 1] - slots[:, 0] == 100).all()


def test_the_through_plane_rdst_does_not_mix_rows():
    torch.manual_seed(3)
    network = RdstThroughPlane(RdstThroughPlaneConfig(groups=1)).eval()
    torch.nn.init.normal_(network.exit.weight, std=0.05)
    thick = torch.randn(1, 10, 3, 8) * 100 - 300
    other = thick.clone()
    other[:, :, 2] += 50
    with torch.inference_mode():
        first, second = (network(planes, 5, CHEST) for planes in (thick, other))
    assert torch.allclose(first[:, :, :2], second[:, :, :2], atol=0.01)
    assert not torch.allclose(first[:, :, 2], second[:, :, 2], atol=5)


def test_rdst_sees_whole_windows_of_slices_or_is_refused():
    with pytest.raises(ValueError, match="multiple of 8"):
        RdstThroughPlaneConfig(slices=4)


def test_the_slice_synthesis_treats_both_views_alike():
    """The mean of the views turns with the plane; only the axial fusion, zero here, could tell rows from columns."""
    torch.manual_seed(3)
    network = SaintLike(SaintLikeConfig(channels=8, view_blocks=1, fusion_blocks=1)).eval()
    torch.nn.init.normal_(network.view_exit.weight, std=0.05)
    thick = torch.randn(1, 6, 8, 8) * 100 - 300
    with torch.inference_mode():
        residual = network(thick, 5, CHEST) - cubic(thick, 5)
        turned = network(thick.transpose(2, 3), 5, CHEST) - cubic(thick.transpose(2, 3), 5)
    assert residual.abs().max() > 1
    assert torch.allclose(residual.transpose(2, 3), turned, atol=0.01)
