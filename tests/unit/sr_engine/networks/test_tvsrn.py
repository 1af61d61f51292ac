"""TVSRN: two presets, their sizes beside the paper's, and the papers' own scale."""

from dataclasses import replace

import pytest
import torch

from sr_engine.networks.contract import Sampling
from sr_engine.networks.interpolation import cubic
from sr_engine.networks.registry import NETWORKS
from sr_engine.networks.swin_v1 import SwinV1Layer
from sr_engine.networks.tvsrn import PatchEmbedding, Tvsrn, TvsrnConfig
from sr_engine.networks.tvsrn_v2 import TvsrnV2, TvsrnV2Config

CHEST = Sampling.of(step_mm=5, thickness_mm=5, pixel_mm=0.75)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def make(preset: str, **changes: object) -> Tvsrn:
    with torch.device("meta"):
        return Tvsrn(TvsrnConfig.of(preset, **changes))


def test_the_released_geometry_has_2387489_parameters_beside_mask_tokens():
    """Part by part as the released code, whose 12 tokens never became parameters; the paper says 1.73 M."""
    network = make("released")
    assert count(network.embed) == 526_336
    assert count(network.encoder) == 58_144
    assert count(network.through_plane) == 201_760
    assert count(network.in_plane) == 1_601_088
    assert count(network.head) == 161
    assert network.mask_tokens.numel() == 96
    assert count(network) == 2_387_489 + 96


def test_the_papers_text_has_1060881_parameters_beside_mask_tokens():
    network = make("paper")
    assert count(network.embed) == 16
    assert count(network.in_plane) == 800_800
    assert count(network) == 1_060_881 + 96


def test_other_readings_have_the_sizes_told_of_them():
    assert count(make("released", patch=1)) == 1_861_169 + 96
    assert count(make("released", decoder_groups=1)) == 1_587_201 + 96
    assert count(make("released", tab_layers=0)) == 2_185_729 + 96


def test_all_its_layers_are_swin_v1():
    layers = [module for module in make("paper").modules() if isinstance(module, SwinV1Layer)]
    assert len(layers) == 4 + 4 + 4


def test_the_patch_embedding_keeps_pixels_and_slices_in_place():
    """With a matrix that copies, channel c of slice s at a pixel is that pixel of slice s."""
    torch.manual_seed(1)
    embed = PatchEmbedding(slices=2, channels=3, patch=4)
    values = torch.randn(1, 8, 12, 2, 1)
    with torch.no_grad():
        embed.project.bias.zero_()
        embed.project.weight.zero_()
        for slice_, channel, pixel in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(16)).tolist():
            embed.project.weight[(slice_ * 3 + channel) * 16 + pixel, slice_ * 16 + pixel] = channel + 1
        embedded = embed(values)
    assert torch.allclose(embedded, values * torch.tensor([1.0, 2, 3]))


@pytest.mark.parametrize(("network_class", "config"), [(Tvsrn, TvsrnConfig.of("paper")), (TvsrnV2, TvsrnV2Config())])
def test_as_published_it_makes_slices_of_the_range_without_a_base(network_class: type[TvsrnV2], config: TvsrnV2Config):
    torch.manual_seed(2)
    config = replace(config, encoder_layers=2, tab_layers=2, decoder_layers=2).as_published()
    network = network_class(config).eval()
    assert (config.centre_hu, config.contrast_hu, config.millimetres) == (-1024, 3072, False)
    thick = torch.randn(1, 6, 8, 8) * 100 - 300
    with torch.inference_mode():
        thin = network(thick, 5, CHEST)
        assert not torch.allclose(thin, cubic(thick, 5), atol=1)
        network.head[-1].bias.fill_(0.5)
        network.head[-1].weight.zero_()
        assert torch.allclose(network(thick, 5, CHEST), torch.tensor(512.0))


def test_the_registry_knows_the_presets():
    assert NETWORKS["tvsrn"].build({"preset": "paper"}).config == TvsrnConfig.of("paper")
    assert NETWORKS["tvsrn"].build({}).config == TvsrnConfig.of("released") == TvsrnConfig()
    with pytest.raises(ValueError, match="no preset 'publish': choose paper or released"):
        NETWORKS["tvsrn"].build({"preset": "publish"})


def test_patches_that_do_not_fill_the_window_are_refused():
    with pytest.raises(ValueError, match="choose a divisor"):
        TvsrnConfig(patch=3)
