"""Joining two trained networks: the joined one begins as their mean."""

from dataclasses import replace

import pytest
import torch

from sr_engine.errors import WeightsUnavailable
from sr_engine.networks.contract import Sampling
from sr_engine.networks.residual_cnn import ResidualCnn, ResidualCnnConfig
from sr_engine.networks.tvsrn_v2 import TvsrnV2, TvsrnV2Config
from sr_engine.training.join import join, mean

SMALL = TvsrnV2Config(encoder_layers=2, tab_layers=2, decoder_groups=1, decoder_layers=2)
CHEST = Sampling.of(step_mm=5, thickness_mm=5, pixel_mm=0.75)


@pytest.fixture
def attention() -> TvsrnV2:
    torch.manual_seed(2)
    network = TvsrnV2(SMALL).eval()
    torch.nn.init.normal_(network.head[-1].weight, std=0.5)
    return network


def cnn(config: ResidualCnnConfig) -> ResidualCnn:
    torch.manual_seed(3)
    network = ResidualCnn(config).eval()
    torch.nn.init.normal_(network.exit.weight, std=0.02)
    return network


def test_the_joined_network_predicts_the_mean_of_the_two(attention: TvsrnV2):
    branch = cnn(ResidualCnnConfig(blocks=2))
    joined = TvsrnV2(replace(SMALL, local_blocks=2)).eval()
    joined.load_state_dict(join(attention, branch))
    thick = torch.randn(1, 6, 16, 8) * 100 - 300
    with torch.inference_mode():
        one, other = attention(thick, 5, CHEST), branch(thick, 5, CHEST)
        assert (one - other).abs().max() > 1
        assert torch.allclose(joined(thick, 5, CHEST), (one + other) / 2, atol=1e-2)


def test_networks_on_different_scales_are_not_joined(attention: TvsrnV2):
    with pytest.raises(WeightsUnavailable, match="scale"):
        join(attention, cnn(ResidualCnnConfig(blocks=2, centre_hu=0)))


def test_two_of_a_kind_are_not_joined(attention: TvsrnV2):
    with pytest.raises(WeightsUnavailable, match="residual CNN"):
        join(attention, attention)


def test_a_mean_lies_halfway_and_leaves_tables_alone():
    first = {"weight": torch.tensor([1.0, 2.0]), "place": torch.tensor([1, 2])}
    last = {"weight": torch.tensor([3.0, 6.0]), "place": torch.tensor([1, 2])}
    halfway = mean(first, last)
    assert torch.equal(halfway["weight"], torch.tensor([2.0, 4.0]))
    assert torch.equal(halfway["place"], last["place"])


def test_no_mean_is_taken_of_two_networks(attention: TvsrnV2):
    with pytest.raises(WeightsUnavailable, match="one network"):
        mean(attention.state_dict(), cnn(ResidualCnnConfig(blocks=2)).state_dict())
