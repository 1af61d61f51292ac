"""The second stage teaches the network that makes slices, and never the U-Net that judges them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sr_engine.errors import WeightsUnavailable
from sr_engine.training.config import PerceptualConfig
from sr_engine.training.perceptual import PerceptualLoss, second_stage
from sr_engine.training.progress import Progress
from sr_engine.training.segmenter import Segmenter, SegmenterCard, load, save
from sr_engine.training.train import train
from tests.phantom import chest
from tests.unit.sr_engine.training.samples import Cut, run, subject

SHIPPED = Path(__file__).parents[4] / "sr_engine/training/checkpoints/segmenter.safetensors"
KINDS = ("encoder", "decoder", "segmentation")


def small() -> Segmenter:
    torch.manual_seed(3)
    return Segmenter(SegmenterCard(channels=(4, 4, 4, 4, 4, 4)))


def judge(kind: str, segmenter: Segmenter | None = None, layers: tuple[int, ...] = (1,)) -> PerceptualLoss:
    config = PerceptualConfig.model_validate({"weights": "unused", "kind": kind, "layers": layers})
    return PerceptualLoss(segmenter or small(), config)


def slices(seed: int) -> torch.Tensor:
    return torch.randn(2, 3, 32, 40, generator=torch.Generator().manual_seed(seed)) * 300 - 300


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_slices_and_nothing_of_the_u_net_moves(kind: str):
    segmenter = small()
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    predicted = slices(1).requires_grad_()
    judge(kind, segmenter)(predicted, slices(2)).backward()
    assert predicted.grad is not None
    assert (predicted.grad.abs().amax((2, 3)) > 0).all()  # of every slice
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in segmenter.parameters())
    assert all(torch.equal(value, before[name]) for name, value in segmenter.state_dict().items())  # batch norm's too


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
@pytest.mark.parametrize("layers", [(0,), (1,), (3,), (0, 1, 2)])
def test_equal_slices_lose_nothing_and_others_do(kind: str, layers: tuple[int, ...]):
    loss = judge(kind, layers=layers)
    assert loss(slices(1), slices(1)).item() == 0
    assert loss(slices(1), slices(2)).item() > 0


def test_it_is_a_true_l1_and_a_mean_over_layers():
    """The released code squares, and divides inside the loop over layers."""
    segmenter = small()
    one, two, both = (judge("encoder", segmenter, layers)(slices(1), slices(2)) for layers in ((0,), (1,), (0, 1)))
    assert both.item() == pytest.approx((one.item() + two.item()) / 2, rel=1e-5)
    with torch.no_grad():
        features = [segmenter.encoder(slices(seed).flatten(0, 1), 1)[1] for seed in (1, 2)]
    assert features[0].shape[2:] == (16, 20)  # E(1) is at half scale
    assert two.item() == pytest.approx((features[0] - features[1]).abs().mean().item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_slices_nearer_to_the_truth_lose_less(kind: str):
    """With the U-Net that is shipped, on a phantom: from straight lines between thick slices towards the thin truth."""
    phantom = chest(shape=(11, 96, 96), pixel_mm=3.6, noise_hu=0)
    truth = torch.from_numpy(phantom.thin.voxels)[None]
    blurred = torch.from_numpy(np.repeat(phantom.thick.voxels, (3, 5, 3), axis=0))[None]
    loss = judge(kind, load(SHIPPED)[0])
    with torch.no_grad():
        losses = [loss(truth + share * (blurred - truth), truth).item() for share in (1, 0.5, 0.2, 0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1]


def test_the_u_net_that_is_shipped_knows_volumes_it_never_saw():
    _, card = load(SHIPPED)
    assert {"air", "lung", "soft tissue", "bone"} == set(card.classes)
    patients = [dice for name, dice in card.dice.items() if not name.startswith("phantom")]
    assert len(patients) == 2
    assert min(dice[tissue] for dice in patients for tissue in card.classes) > 0.85
    assert not set(card.dice) & set(card.training["volumes"])
    assert SHIPPED.stat().st_size < 5e6


def test_the_sum_is_balanced_as_in_the_paper():
    """Alpha L1 over intensities of 0..1 and lambda L_U, times 3072 / 100 so that it is in units of 100 HU."""
    config = PerceptualConfig.model_validate({"weights": "unused", "alpha": 2, "lambda": 5})
    total = second_stage(torch.tensor(153.6 / 100), torch.tensor(0.3), config, 100)
    assert total.item() == pytest.approx(30.72 * (2 * 153.6 / 3072 + 5 * 0.3))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save(tmp_path / "u.safetensors", small(), SegmenterCard(channels=(4, 4, 4, 4, 4, 4)))
    return tmp_path / "u.safetensors"


def test_a_second_stage_that_was_cut_gives_the_same_weights(tmp_path: Path, weights: Path):
    config = run(5, perceptual={"weights": weights})
    whole = train(config, [subject()], [], tmp_path / "whole")

    def cut(progress: Progress) -> None:
        if progress.step == 4:
            raise Cut

    with pytest.raises(Cut):
        train(config, [subject()], [], tmp_path / "cut", cut)
    resumed = train(config, [subject()], [], tmp_path / "cut")
    plain = train(run(5), [subject()], [], tmp_path / "plain")
    pairs = list(zip(whole.parameters(), resumed.parameters(), plain.parameters(), strict=True))
    assert all(torch.equal(one, other) for one, other, _ in pairs)
    assert not all(torch.equal(one, first_stage) for one, _, first_stage in pairs)


def test_a_damaged_or_missing_u_net_is_named(tmp_path: Path, weights: Path):
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(WeightsUnavailable, match="is damaged"):
        load(weights)
    with pytest.raises(WeightsUnavailable, match=r"gone\.safetensors is no segmenter"):
        load(tmp_path / "gone.safetensors")
