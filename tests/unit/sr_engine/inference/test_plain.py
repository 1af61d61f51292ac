"""The fast network is the plain one: the same weights give the same slices."""

import pytest
import torch

from sr_engine.networks.contract import Sampling
from sr_engine.networks.tvsrn_v2 import TvsrnV2
from tests.bench.plain import plain


@pytest.fixture(scope="module")
def awake() -> TvsrnV2:
    """The published size with a last layer that is not zero."""
    torch.manual_seed(1)
    network = TvsrnV2().eval()
    torch.nn.init.normal_(network.head[-1].weight, std=0.1)
    return network


@pytest.mark.parametrize(("height", "width"), [(24, 40), (17, 9)])
@torch.inference_mode()
def test_blocks_masks_and_fused_attention_change_nothing(awake: TvsrnV2, height: int, width: int):
    """To 1e-5 of the network's unit, 384 HU."""
    thick = torch.randn(1, 6, height, width, generator=torch.Generator().manual_seed(3)) * 300 - 500
    sampling = Sampling.of(5.0, 5.0, 0.7)
    fast, slow = (network._residual(thick[:, 1:-1], 5, sampling) / 384 for network in (awake, plain(awake)))
    assert slow.std() > 0.02
    assert (fast - slow).abs().max() < 1e-5


def test_with_gradients_too(awake: TvsrnV2):
    """Training attends by another way, which must agree."""
    thick = torch.randn(1, 6, 16, 16, generator=torch.Generator().manual_seed(3)) * 300 - 500
    sampling = Sampling.of(5.0, 5.0, 0.7)
    with torch.no_grad():
        expected = plain(awake)._residual(thick[:, 1:-1], 5, sampling) / 384
    assert (awake._residual(thick[:, 1:-1], 5, sampling) / 384 - expected).abs().max() < 1e-5
