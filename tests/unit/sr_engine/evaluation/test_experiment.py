"""Experiments: variants differ only where they say so, what is done is not done again."""

import json
from pathlib import Path

import numpy as np
import pytest

from sr_engine import nifti
from sr_engine.evaluation.experiment import RESULT, Experiment, Result, merged, run, table
from sr_engine.training.progress import Progress
from sr_engine.volume import Volume
from tests.unit.sr_engine.training.samples import subject


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(3):
        voxels = subject(seed).voxels.astype(np.float32)
        nifti.save(tmp_path / f"patient_{seed}.nii.gz", Volume(voxels, (2.0, 1.0, 1.0), np.eye(4), 2.0))
    return tmp_path


def quiet(name: str, step: Progress) -> None:
    assert name
    assert step.step <= step.steps


def experiment(folder: Path, steps: int = 2) -> Experiment:
    base = {
        "network": "residual_cnn",
        "network_config": {"channels": 8, "blocks": 1},
        "data": {"folder": folder, "ratios": [2], "ratio_weights": [1], "crop": 16},
        "optimiser": {"steps": steps, "batch": 1, "warm_up": 1},
    }
    variants = {"all": {}, "no_noise": {"data": {"noise_share": 0}}, "fewer": {"data": {"held_out": ["patient_2"]}}}
    return Experiment(folds=(("patient_0",), ("patient_1",)), base=base, variants=variants)


def test_a_variant_changes_what_it_names_and_nothing_else():
    base = {"data": {"crop": 32, "noise_share": 0.2}, "seed": 1}
    assert merged(base, {"data": {"noise_share": 0}}) == {"data": {"crop": 32, "noise_share": 0}, "seed": 1}
    assert merged(base, {"seed": 2, "optimiser": {"steps": 3}}) == {**base, "seed": 2, "optimiser": {"steps": 3}}
    assert base == {"data": {"crop": 32, "noise_share": 0.2}, "seed": 1}


def test_what_a_variant_leaves_out_is_neither_taught_nor_scored(folder: Path):
    config = experiment(folder).config("fewer", ("patient_0",))
    assert config.data.held_out == ("patient_0", "patient_2")
    assert config.data.scored == ("patient_0",)


def test_every_variant_is_scored_on_what_each_fold_holds_out(folder: Path, tmp_path: Path):
    results = list(run(experiment(folder), tmp_path / "runs", quiet))
    assert [(result.variant, list(result.gains_db)) for result in results] == [
        (variant, [patient]) for patient in ("patient_0", "patient_1") for variant in ("all", "no_noise", "fewer")
    ]
    assert all(np.isfinite(list(result.gains_db.values())).all() and result.cpu_s > 0 for result in results)


def test_what_is_done_is_not_done_again(folder: Path, tmp_path: Path):
    list(run(experiment(folder), tmp_path / "runs", quiet))
    kept = tmp_path / "runs" / "no_noise-2" / RESULT
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "steps": 99}))
    again = list(run(experiment(folder), tmp_path / "runs", quiet))
    assert [result.steps for result in again] == [2, 2, 2, 2, 99, 2]


def test_the_table_has_a_line_per_variant_and_a_column_per_volume():
    results = [
        Result("a", {"x": 1.0}, 1000, 5, 10.0),
        Result("b", {"x": 0.5}, 9, 5, 1.0),
        Result("a", {"y": 2.0}, 1000, 5, 20.0),
    ]
    lines = table(results).splitlines()
    assert lines[0] == "| variant | parameters | steps | CPU s | x | y | mean gain dB |"
    assert lines[2:] == ["| a | 1,000 | 5 | 15 | +1.00 | +2.00 | +1.50 |", "| b | 9 | 5 | 1 | +0.50 |  | +0.50 |"]


def test_a_variant_that_no_run_can_be_told_is_refused_before_the_first_step(folder: Path):
    fields = experiment(folder).model_dump()
    with pytest.raises(ValueError, match="nois_share"):
        Experiment(**{**fields, "variants": {"typo": {"data": {"nois_share": 0}}}})
