"""`thinslice train` reads a TOML file, trains, and leaves weights that load and pictures to look at."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dicom_node.errors import InputError, SettingsError
from sr_engine import checkpoint, nifti
from sr_engine.training.config import TrainingConfig
from sr_engine.training.train_segmenter import SegmenterConfig
from sr_engine.volume import Volume
from tests.phantom import chest, write_dicom
from worker.cli.main import app
from worker.cli.train import read_config

TRAINING = Path(__file__).parents[3] / "sr_engine/training"
RUN = """
network = "residual_cnn"
network_config = {{ channels = 8, blocks = 1 }}
[data]
folder = "{folder}"
held_out = []
ratios = [2]
ratio_weights = [1]
crop = 16
[optimiser]
steps = 2
batch = 1
"""


def test_a_run_leaves_weights_with_a_card(tmp_path: Path):
    voxels = np.random.default_rng(1).integers(-1000, 500, (24, 24, 24)).astype(np.float32)
    nifti.save(tmp_path / "one.nii.gz", Volume(voxels, (1, 1, 1), np.eye(4), 1))
    (tmp_path / "run.toml").write_text(RUN.format(folder=tmp_path))
    done = CliRunner().invoke(app, ["train", str(tmp_path / "run.toml"), "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    _, card = checkpoint.load(tmp_path / "out" / "weights.safetensors", expected="residual_cnn")
    assert card.training["volumes"] == ["one"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [("steps = 2", r"optimiser\.steps: Field required"), ("held_out = []", r"data\.held_out: Field required")],
)
def test_a_missing_key_is_named(tmp_path: Path, change: str, sentence: str):
    path = tmp_path / "run.toml"
    path.write_text(RUN.format(folder=tmp_path).replace(change, ""))
    with pytest.raises(SettingsError, match=sentence):
        read_config(path, TrainingConfig)


@pytest.mark.parametrize("path", sorted(TRAINING.glob("*.toml")), ids=lambda path: path.stem)
def test_the_files_that_come_with_the_program_are_valid(path: Path):
    kind = SegmenterConfig if path.stem == "segmenter" else TrainingConfig
    options = read_config(path, kind)
    assert "qin_lsc_0028" in options.data.held_out


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"gone\.toml cannot be read"):
        read_config(tmp_path / "gone.toml", TrainingConfig)


def test_held_out_volumes_are_drawn_as_they_are_scored(tmp_path: Path):
    phantom = chest(shape=(41, 64, 64), pixel_mm=5.0)
    for name in ("one", "two"):
        nifti.save(tmp_path / f"{name}.nii.gz", phantom.thin)
    (tmp_path / "run.toml").write_text("score_every = 1\n" + RUN.format(folder=tmp_path).replace("[]", '["two"]'))
    done = CliRunner().invoke(app, ["train", str(tmp_path / "run.toml"), "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "step 2: two" in done.output
    panels = sorted((tmp_path / "out" / "panels").iterdir())
    assert [path.name for path in panels] == ["step_000001.png", "step_000002.png"]
    assert np.asarray(Image.open(panels[1])).std() > 10


def test_the_bound_of_simulated_slices_is_told(tmp_path: Path):
    save = Volume(np.zeros((24, 24, 24), np.float32), (1, 1, 1), np.eye(4), 1)
    nifti.save(tmp_path / "one.nii.gz", save)
    (tmp_path / "run.toml").write_text(RUN.format(folder=tmp_path).replace("crop = 16", "crop = 16\ncap_mm = 3"))
    done = CliRunner().invoke(app, ["train", str(tmp_path / "run.toml"), "--output", str(tmp_path / "out")])
    assert "one: simulated along z up to ratio 3, bound by 3 mm" in done.output


def test_dicom_is_packed_without_names(tmp_path: Path):
    """Two series of one patient and one of another, the second in thin slices."""
    phantom = chest(shape=(41, 32, 32), pixel_mm=9.0)
    for seed, (patient, volume) in enumerate(
        (("A^ANNA", phantom.thick), ("A^ANNA", phantom.thin), ("B^BERT", phantom.thick))
    ):
        write_dicom(volume, tmp_path / "dicom" / str(seed), seed=seed, patient=patient)
    done = CliRunner().invoke(app, ["pack-training", str(tmp_path / "dicom"), str(tmp_path / "packed")])
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (tmp_path / "packed").iterdir())
    assert len(names) == 3
    assert all(re.fullmatch(r"patient_00[12]_[0-9a-f]{8}_[15]mm\.nii\.gz", name) for name in names)
    assert sorted(name[:11] for name in names) in (
        ["patient_001"] * 2 + ["patient_002"],
        ["patient_001"] + ["patient_002"] * 2,
    )
    thin = nifti.load(next(tmp_path.glob("packed/*_1mm.nii.gz")))
    assert np.array_equal(thin.voxels, phantom.thin.voxels)
    again = CliRunner().invoke(app, ["pack-training", str(tmp_path / "dicom"), str(tmp_path / "packed")])
    assert isinstance(again.exception, InputError)
