"""`thinslice train` reads a TOML file, trains, and leaves weights that load."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dicom_node.errors import SettingsError
from sr_engine import checkpoint, nifti
from sr_engine.volume import Volume
from worker.cli.main import app
from worker.cli.train import read_config

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
        read_config(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"gone\.toml cannot be read"):
        read_config(tmp_path / "gone.toml")
