"""The loop learns, stops and goes on: a run that was cut gives the weights of one that was not."""

import csv
from pathlib import Path

import pytest
import torch

from sr_engine import checkpoint
from sr_engine.errors import WeightsUnavailable
from sr_engine.networks.contract import SliceNetwork
from sr_engine.training.export import export
from sr_engine.training.train import CHECKPOINT, LOG, Progress, learning_rate, loss, train
from tests.unit.sr_engine.training.samples import run, subject


class Cut(Exception):
    """Stands for a kill."""


def weights(network: SliceNetwork) -> list[torch.Tensor]:
    return list(network.state_dict().values())


def equal(one: SliceNetwork, other: SliceNetwork) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize("network", ["residual_cnn", "tvsrn_v2"])
def test_a_run_that_was_cut_gives_the_same_weights_as_one_that_was_not(tmp_path: Path, network: str):
    """Killed after step 5 with its last checkpoint at step 3, so steps 4 and 5 are done again."""
    small = {"residual_cnn": {"channels": 8, "blocks": 1}, "tvsrn_v2": {"encoder_layers": 1, "tab_layers": 1,
             "decoder_groups": 1, "decoder_layers": 1}}  # fmt: skip
    config = run(8, network=network, network_config=small[network])
    subjects = [subject(0), subject(1)]
    whole = train(config, subjects, [], tmp_path / "whole")

    def cut(progress: Progress) -> None:
        if progress.step == 5:
            raise Cut

    with pytest.raises(Cut):
        train(config, subjects, [], tmp_path / "cut", cut)
    steps = []
    resumed = train(config, subjects, [], tmp_path / "cut", lambda progress: steps.append(progress.step))
    assert steps == [4, 5, 6, 7, 8]
    assert equal(whole, resumed)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_it_learns_one_volume(tmp_path: Path, bfloat16: bool):
    errors = []
    config = run(60, optimiser={"steps": 60, "batch": 4, "rate": 5e-3, "warm_up": 5, "bfloat16": bfloat16})
    train(config, [subject()], [], tmp_path, lambda progress: errors.append(progress.error_hu))
    assert sum(errors[-15:]) < 0.8 * sum(errors[:15])


def test_held_out_volumes_are_scored_and_logged(tmp_path: Path):
    seen = []
    held_out = subject(5, (40, 24, 24))
    config = run(4, score_every=2)
    train(config, [subject()], [held_out], tmp_path, lambda progress: seen.append(progress.gains_db))
    assert [set(gains) for gains in seen] == [set(), {"noise_5"}, set(), {"noise_5"}]
    lines = list(csv.DictReader((tmp_path / LOG).open()))
    assert [line["step"] for line in lines] == ["1", "2", "3", "4"]
    assert lines[1]["gains_db"].startswith("noise_5=")


def test_another_run_does_not_take_over_a_checkpoint(tmp_path: Path):
    train(run(3), [subject()], [], tmp_path)
    with pytest.raises(WeightsUnavailable, match="run with other settings"):
        train(run(3, seed=2), [subject()], [], tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(WeightsUnavailable, match="is no checkpoint"):
        train(run(3), [subject()], [], tmp_path)


def test_a_run_may_be_made_longer(tmp_path: Path):
    train(run(3), [subject()], [], tmp_path)
    steps = []
    train(run(5), [subject()], [], tmp_path, lambda progress: steps.append(progress.step))
    assert steps == [4, 5]


def test_what_is_exported_is_the_average_and_loads_as_weights(tmp_path: Path):
    trained = train(run(4), [subject()], [], tmp_path)
    card = export(tmp_path / CHECKPOINT, tmp_path / "w.safetensors", run(4), "1", {"volumes": ["noise_0"]})
    loaded, read = checkpoint.load(tmp_path / "w.safetensors", expected="residual_cnn")
    assert equal(trained, loaded)
    assert read == card
    assert read.ratios == (2, 3)


def test_the_rate_rises_and_falls():
    config = run(100).optimiser
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(config.rate / 2)
    assert max(rates) == rates[1] == rates[2] == config.rate
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] < 0.001 * config.rate


def test_the_loss_is_l1_or_huber():
    truth = torch.zeros(4)
    assert loss(torch.tensor([10.0, -30.0, 0.0, 0.0]), truth, 0).item() == pytest.approx(0.1)
    assert loss(torch.full((4,), 20.0), truth, 40).item() == pytest.approx(0.5 * 20**2 / 40 / 100)
    assert loss(torch.full((4,), 140.0), truth, 40).item() == pytest.approx(1.2)
