"""The depth that is chosen is the one whose worst row is nearest to the truth, counted in cubic's distance."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sr_engine import nifti
from sr_engine.evaluation import dark_lung
from sr_engine.evaluation.dark_lung import Deepened, cut_to_lung, measure, report, worst
from sr_engine.evaluation.figures import make_case
from sr_engine.inference.restore import predict
from sr_engine.networks.interpolation import LinearInterpolation
from sr_engine.volume import Volume
from tests.unit.sr_engine.evaluation.test_quality import lungs
from tests.unit.sr_engine.test_checkpoint import save_small


def scattered() -> Volume:
    """Lung whose slices scatter around -900 HU, in a body."""
    flat = lungs(np.full(40, -900.0))
    noise = np.random.default_rng(5).normal(0, 35, flat.voxels.shape).astype(np.float32)
    voxels = np.where(flat.voxels < 0, flat.voxels + noise, flat.voxels).astype(np.float32)
    upright = np.eye(4)[:, [2, 1, 0, 3]] * (*flat.spacing_mm, 1.0)  # slices rise along z, as NIfTI has it
    return Volume(voxels, flat.spacing_mm, upright, flat.slice_thickness_mm)


def test_planes_are_cut_to_the_lungs_and_the_lung_stays_the_same():
    case = make_case("v", scattered(), 4)
    cut = cut_to_lung(case)
    assert cut is not None
    assert cut.truth.shape[1:] < case.truth.shape[1:]
    assert cut.source.voxels.shape[1:] == cut.truth.shape[1:]
    assert np.array_equal(cut.truth[cut.lung], case.truth[case.lung])
    assert cut_to_lung(replace(case, lung=np.zeros_like(case.lung))) is None


def test_a_depth_moves_the_share_below_950_and_costs_little():
    case = cut_to_lung(make_case("v", scattered(), 4))
    assert case is not None
    predicted = predict(LinearInterpolation(), case.source, 4)
    before = predicted.copy()
    cubic, plain, deep = measure(case, predicted, (0.0, 40.0))
    assert np.array_equal(predicted, before)
    assert (cubic.depth_hu, plain.depth_hu, deep.depth_hu) == (None, 0.0, 40.0)
    assert plain.laa950 < deep.laa950 < deep.truth
    assert 0 < deep.overlap < 1
    assert abs(deep.psnr_db - plain.psnr_db) < 0.2


def row(volume: str, depth_hu: float | None, laa950: float) -> Deepened:
    return Deepened(volume, 5, depth_hu, laa950, 2.0, 0.5, 36.0, 38.0)


def test_the_worst_row_counts_in_distances_of_cubic():
    rows = [row("a", None, 1.0), row("a", 0.0, 1.5), row("b", None, 2.1), row("b", 0.0, 1.8)]
    assert worst(rows, 5, 0.0) == pytest.approx(2)
    assert report(rows).endswith("| 5 | 0 | 2.00 |")


def test_the_command_prints_the_tables_and_writes_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    save_small(tmp_path / "a.safetensors")
    nifti.save(tmp_path / "one.nii.gz", scattered())
    nifti.save(tmp_path / "none.nii.gz", Volume(np.zeros((20, 24, 24), np.float32), (2.0, 1.5, 1.5), np.eye(4), 2.0))
    command = ["dark_lung", str(tmp_path / "one.nii.gz"), str(tmp_path / "none.nii.gz"), "--ratios", "5", "--depths"]
    named = ["--weights", str(tmp_path / "a.safetensors"), "--output", str(tmp_path / "figures.json")]
    monkeypatch.setattr(sys, "argv", [*command, "0", "20", *named])
    dark_lung.main()
    assert "| one | 5 | 20 |" in capsys.readouterr().out
    assert [figure["depth_hu"] for figure in json.loads((tmp_path / "figures.json").read_text())] == [None, 0.0, 20.0]
