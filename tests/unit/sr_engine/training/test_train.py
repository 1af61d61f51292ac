"""The loop learns, stops and goes on: a run that was cut gives the weights of one that was not."""

import csv
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from sr_engine import checkpoint
from sr_engine.errors import EngineError, WeightsUnavailable
from sr_engine.networks.contract import SliceNetwork
from sr_engine.training.export import export
from sr_engine.training.fingerprint import fingerprint
from sr_engine.training.progress import LOG, Progress
from sr_engine.training.train import CHECKPOINT, learning_rate, loss, train
from tests.unit.sr_engine.training.samples import Cut, data, paired, run, subject

SMALL = {
    "residual_cnn": {"channels": 8, "blocks": 1},
    "tvsrn_v2": {"encoder_layers": 1, "tab_layers": 1, "decoder_groups": 1, "decoder_layers": 1},
}


def weights(network: SliceNetwork) -> list[torch.Tensor]:
    return list(network.state_dict().values())


def equal(one: SliceNetwork, other: SliceNetwork) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize("network", ["residual_cnn", "tvsrn_v2"])
def test_a_run_that_was_cut_gives_the_same_weights_as_one_that_was_not(tmp_path: Path, network: str):
    """Killed after step 5 with its last checkpoint at step 3, so steps 4 and 5 are done again."""
    config = run(8, network=network, network_config=SMALL[network])
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


@pytest.mark.parametrize("loaders", [1, 3])
def test_drawing_ahead_changes_no_weight(tmp_path: Path, loaders: int):
    subjects = [subject(0), subject(1)]
    plain = train(run(6), subjects, [], tmp_path / "plain")
    assert equal(plain, train(run(6, loaders=loaders), subjects, [], tmp_path / "ahead"))


def test_what_a_network_drops_is_dropped_again_after_a_cut(tmp_path: Path):
    """Dropout draws from torch's own generator, which no checkpoint holds."""
    config = run(5, network="tvsrn_v2", network_config=SMALL["tvsrn_v2"])
    seen: list[list[float]] = []
    for folder, steps in (("whole", 5), ("cut", 3), ("cut", 5)):
        drawn: list[float] = []
        train(
            config.model_copy(update={"optimiser": config.optimiser.model_copy(update={"steps": steps})}),
            [subject()], [], tmp_path / folder, lambda _, drawn=drawn: drawn.append(torch.rand(1).item()),
        )  # fmt: skip
        seen.append(drawn)
    assert len(set(seen[0])) == 5
    assert seen[0] == seen[1] + seen[2]


def test_a_run_begins_where_other_weights_end(tmp_path: Path):
    """At a rate of nearly nothing it stays there; a parameter the weights lack keeps its first value."""
    first = train(run(4), [subject()], [], tmp_path / "first")
    export(tmp_path / "first" / CHECKPOINT, tmp_path / "w.safetensors", run(4), "1", {})
    still = {"steps": 1, "batch": 2, "rate": 1e-12}
    gone_on = train(run(1, start=tmp_path / "w.safetensors", optimiser=still), [subject()], [], tmp_path / "second")
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(weights(first), weights(gone_on), strict=True))
    tensors = safetensors.torch.load_file(tmp_path / "w.safetensors")
    del tensors["exit.bias"]
    safetensors.torch.save_file(tensors, tmp_path / "part.safetensors")
    part = train(run(1, start=tmp_path / "part.safetensors", optimiser=still), [subject()], [], tmp_path / "third")
    assert torch.allclose(part.state_dict()["exit.bias"], torch.zeros(()), atol=1e-6)
    assert torch.allclose(part.state_dict()["entry.weight"], first.state_dict()["entry.weight"], atol=1e-6)


def test_weights_to_begin_from_that_do_not_fit_are_named(tmp_path: Path):
    safetensors.torch.save_file({"entrance.weight": torch.zeros(1)}, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsUnavailable, match=r"parameters that residual_cnn lacks, as entrance\.weight"):
        train(run(1, start=tmp_path / "odd.safetensors"), [subject()], [], tmp_path / "run")
    with pytest.raises(WeightsUnavailable, match="cannot be where residual_cnn begins"):
        train(run(1, start=tmp_path / "gone.safetensors"), [subject()], [], tmp_path / "run")


def test_a_gpu_that_is_not_there_is_named(tmp_path: Path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(EngineError, match="torch finds no CUDA GPU: set device to cpu"):
        train(run(1, device="cuda"), [subject()], [], tmp_path)


def test_newer_options_that_are_not_used_do_not_part_a_run_from_its_checkpoint():
    """What an earlier version wrote for this very run."""
    assert fingerprint(run(8)).startswith("db03715466ed78d4")
    assert fingerprint(run(9, loaders=2, threads=1)) == fingerprint(run(8))
    assert fingerprint(run(8, data=data(real_share=0.1))) != fingerprint(run(8))
    assert fingerprint(run(8, perceptual={"weights": "w"})) != fingerprint(run(8))


def test_real_thick_slices_are_what_is_looked_at(tmp_path: Path):
    """Theirs lie 100 HU too low everywhere, so does what is restored from them before anything is learned."""
    seen: list[Progress] = []
    config = run(1, score_every=1, optimiser={"steps": 1, "rate": 1e-12})
    train(config, [subject()], [paired(5), subject(6)], tmp_path, seen.append)
    real, simulated = seen[0].looks
    assert (len(real.thick.voxels), len(real.truth.voxels)) == (11, 31)
    assert np.allclose(real.restored.voxels[::3], real.truth.voxels[::3] - 100, atol=0.1)
    assert len(simulated.truth.voxels) == (len(simulated.thick.voxels) - 1) * 5 + 1
    assert np.allclose(real.thick.position_mm(2), real.truth.position_mm(6))


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
