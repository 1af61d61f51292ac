"""The table of figures: each method against the truth, and against the better interpolation."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sr_engine import nifti
from sr_engine.evaluation import quality
from sr_engine.evaluation.figures import score_volume
from sr_engine.evaluation.tables import density, summary, table
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


def lungs(values: np.ndarray) -> Volume:
    """A body with two boxes of lung, of these HU slice by slice."""
    voxels = np.full((40, 90, 90), 40, np.float32)
    voxels[:, 20:70, 10:40] = voxels[:, 20:70, 50:80] = values[:, None, None]
    return Volume(voxels, (2.0, 1.5, 1.5), np.eye(4), 2.0)


def test_lung_is_measured_where_there_is_one():
    """Lung at -960 HU: all of it counts as emphysema, in the truth and restored."""
    cubic = next(score_volume("v", lungs(np.full(40, -960.0)), 4, {"cubic": CubicInterpolation()}))
    assert cubic.laa950 == cubic.laa950_thick == cubic.laa950_truth == 100
    assert cubic.lung_offset_hu == pytest.approx(0, abs=1e-3)
    assert cubic.lung_shift_hu == pytest.approx(0, abs=1e-3)
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


def test_the_summary_is_the_mean_over_volumes():
    methods = {"linear": LinearInterpolation(), "cubic": CubicInterpolation()}
    scores = [score for name in ("a", "b") for score in score_volume(name, volume(), 3, methods)]
    (line,) = [line.split(" | ") for line in summary(scores).splitlines() if "| cubic |" in line]
    assert line[2] == "2"
    assert float(line[3]) == pytest.approx(scores[2].psnr_db, abs=0.01)


def test_the_density_table_has_thick_cubic_network_consistency_and_truth():
    """Lung of -960 HU that cubic interpolation leaves alone; the network here is linear interpolation."""
    thin = lungs(np.full(40, -960.0))
    methods = {"cubic": CubicInterpolation(), "linear": LinearInterpolation()}
    scores = list(score_volume("v", thin, 4, methods))
    assert density(scores, "linear").splitlines()[2] == "| v | 4" + " | +0.00 / 100.00" * 5 + " |"
    assert len(density(list(score_volume("v", volume(), 4, methods)), "linear").splitlines()) == 2


def test_thick_slices_hide_small_holes():
    """Every fourth thin slice of lung is a hole: the averages show none of them, and their mean is kept."""
    cubic = next(
        score_volume("v", lungs(np.where(np.arange(40) % 4, -850.0, -970.0)), 4, {"cubic": CubicInterpolation()})
    )
    assert cubic.laa950_truth == pytest.approx(25, abs=4)
    assert cubic.laa950_thick == 0
    assert cubic.lung_shift_thick_hu == pytest.approx(0, abs=5)


def test_the_command_prints_tables_writes_figures_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    nifti.save(tmp_path / "one.nii.gz", volume())
    figures = tmp_path / "figures" / "quality.json"
    command = ["quality", str(tmp_path / "one.nii.gz"), "--plane", "20", "--output", str(figures), "--weights"]
    for ratios in (["2"], ["2", "3"]):
        monkeypatch.setattr(sys, "argv", [*command, "--ratios", *ratios])
        quality.main()
    first, second = json.loads(figures.read_text()), capsys.readouterr()
    assert "| one | 2 | cubic |" in second.out
    assert "12/12" not in second.err  # the second run left ratio 2 alone: six scores a run
    assert "-1024, 2048" in first["protocol"]["text"]
    assert [score["ratio"] for score in first["scores"]] == [2] * 6 + [3] * 6
    monkeypatch.setattr(sys, "argv", [*command, "--ratios", "2", "--plane", "16"])
    quality.main()
    assert len(json.loads(figures.read_text())["scores"]) == 6  # another protocol begins anew
