"""The table of figures: each method against the truth, and against the better interpolation."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sr_engine import nifti
from sr_engine.evaluation import quality
from sr_engine.evaluation.figures import score_volume
from sr_engine.evaluation.quality import table
from sr_engine.networks.interpolation import CubicInterpolation, LinearInterpolation
from sr_engine.volume import Volume
from tests.unit.sr_engine.training.samples import subject


def volume() -> Volume:
    return Volume(subject().voxels.astype(np.float32), (1.0, 0.8, 0.8), np.eye(4), 1.0)


def test_consistency_takes_the_error_of_averaging_back_away_and_costs_nothing():
    scores = {
        score.method: score
        for score in score_volume("v", volume(), 3, {"linear": LinearInterpolation(), "cubic": CubicInterpolation()})
    }
    assert list(scores) == ["linear", "linear + consistency", "cubic", "cubic + consistency"]
    assert scores["cubic"].rms_back_hu > 1
    assert scores["cubic + consistency"].rms_back_hu < 0.01
    assert scores["cubic + consistency"].psnr_db > scores["cubic"].psnr_db


def test_the_whole_lies_between_its_parts():
    for score in score_volume("v", volume(), 4, {"cubic": CubicInterpolation()}):
        assert score.between_db < score.psnr_db < score.at_thick_db


def test_lung_is_measured_where_there_is_one():
    """A body with two boxes of lung at -960 HU in it: all of it counts as emphysema, in the truth and restored."""
    voxels = np.full((40, 90, 90), 40, np.float32)
    voxels[:, 20:70, 10:40] = voxels[:, 20:70, 50:80] = -960
    thin = Volume(voxels, (2.0, 1.5, 1.5), np.eye(4), 2.0)
    cubic = next(score_volume("v", thin, 4, {"cubic": CubicInterpolation()}))
    assert cubic.laa950 == cubic.laa950_thick == cubic.laa950_truth == 100
    assert cubic.lung_offset_hu == pytest.approx(0, abs=1e-3)
    assert next(score_volume("v", volume(), 4, {"cubic": CubicInterpolation()})).laa950 is None


def test_a_method_that_is_better_in_every_slice_gets_a_small_p():
    methods = {"linear": LinearInterpolation(), "cubic": CubicInterpolation()}
    scores = {score.method: score for score in score_volume("v", volume(), 3, methods)}
    assert scores["cubic"].p_better is None
    assert scores["cubic + consistency"].p_better < 0.001


def test_gains_are_over_the_better_interpolation():
    scores = list(score_volume("v", volume(), 2, {"linear": LinearInterpolation(), "cubic": CubicInterpolation()}))
    lines = [line.split(" | ") for line in table(scores).splitlines()[2:]]
    gains = {line[2]: float(line[4]) for line in lines}
    assert max(gains["linear"], gains["cubic"]) == 0
    assert min(gains["linear"], gains["cubic"]) < 0


def test_the_command_prints_a_table_and_writes_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    nifti.save(tmp_path / "one.nii.gz", volume())
    figures = tmp_path / "figures" / "quality.json"
    command = ["quality", str(tmp_path / "one.nii.gz"), "--ratios", "2", "--plane", "20", "--output", str(figures)]
    monkeypatch.setattr(sys, "argv", command)
    quality.main()
    assert "| one | 2 | cubic |" in capsys.readouterr().out
    content = json.loads(figures.read_text())
    assert content["protocol"]["plane"] == 20
    assert len(content["scores"]) == 4
