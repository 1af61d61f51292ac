"""Whatever layout a folder has, what is held out never teaches, and thick slices are laid where they were acquired."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sr_engine import nifti
from sr_engine.errors import InvalidVolume
from sr_engine.training.pairs import draw
from sr_engine.training.readers import lay, read
from sr_engine.volume import Volume
from tests.phantom import Phantom, chest
from tests.unit.sr_engine.training.samples import data
from tests.unit.sr_engine.training.test_pairs import CONTRACTS


def save(folder: Path, *names: str) -> None:
    for name in names:
        volume = Volume(np.zeros((2, 3, 4), np.float32), (1, 1, 1), np.eye(4), 1)
        nifti.save(folder / f"{name}.nii.gz", volume)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return chest(shape=(41, 32, 32), pixel_mm=9.0, noise_hu=0)


def shifted(volume: Volume, slices: float, columns: float = 0.0) -> Volume:
    """The same voxels elsewhere in the patient, by so many of their own steps."""
    affine = volume.affine.copy()
    affine[:, 3] += slices * affine[:, 0] + columns * affine[:, 2]
    return replace(volume, affine=affine)


def test_held_out_patients_never_teach(tmp_path: Path):
    save(tmp_path, "a_1", "a_2", "b_1", "c_1")
    teach, scored = read(data(tmp_path, held_out=("a_", "c_"), scored=("c_",)))
    assert [item.name for item in teach] == ["b_1"]
    assert [item.name for item in scored] == ["c_1"]
    assert [item.name for item in read(data(tmp_path, held_out=("a_",)))[1]] == ["a_1", "a_2"]


def test_a_held_out_name_that_fits_no_file_is_an_error(tmp_path: Path):
    """A misspelt name would let the held-out patient teach."""
    save(tmp_path, "a_1")
    with pytest.raises(InvalidVolume, match="no volume that begins with 'aa'"):
        read(data(tmp_path, held_out=("aa",)))
    with pytest.raises(InvalidVolume, match="no volume to train on"):
        read(data(tmp_path, held_out=("a",)))


def test_the_public_training_volumes_are_read(shared_data: Path):
    teach, scored = read(data(shared_data / "train", held_out=("totalseg", "nlst", "qin", "acrin", "lungfcp")))
    assert [item.name for item in teach] == ["phantom_fda_philips_0.8mm"]
    assert len(scored) == 7
    assert draw(teach, data(), CONTRACTS, 2, (1, 1)).thin.std() > 100


@pytest.mark.parametrize("cut", [0, 7])
def test_pairs_are_laid_by_position_and_not_by_index(phantom: Phantom, cut: int):
    """Without its first seven slices the thin volume begins between the second and the third thick one."""
    thin = replace(shifted(phantom.thin, cut), voxels=phantom.thin.voxels[cut:])
    subject = lay("scan", thin, phantom.thick)
    assert subject.real is not None
    assert (subject.real.ratio, subject.real.first) == (5, -cut % 5)
    assert len(subject.real.voxels) == (41 - cut - 1 - subject.real.first) // 5 + 1
    at_thick = subject.voxels[subject.real.first :: 5].astype(float)
    assert np.abs(at_thick - subject.real.voxels).mean() < 0.5 * np.abs(at_thick[1:] - subject.real.voxels[:-1]).mean()


def test_what_does_not_lie_on_one_grid_is_refused(phantom: Phantom):
    with pytest.raises(InvalidVolume, match="scan: thick and thin do not lie on one grid"):
        lay("scan", phantom.thin, shifted(phantom.thick, 0.1))  # half a thin slice up
    with pytest.raises(InvalidVolume, match="do not lie on one grid"):
        lay("scan", phantom.thin, shifted(phantom.thick, 0, columns=1))
    with pytest.raises(InvalidVolume, match="do not lie on one grid, rows and columns"):
        lay("scan", phantom.thin, replace(phantom.thick, voxels=phantom.thick.voxels[:, 1:]))
    with pytest.raises(InvalidVolume, match="fewer than two thick slices"):
        lay("scan", phantom.thin, shifted(phantom.thick, 8))
    between = phantom.thick.affine * [1.1, 1, 1, 1]
    with pytest.raises(InvalidVolume, match=r"5\.5 mm apart and thin ones 1 mm, which is no whole number"):
        lay("scan", phantom.thin, replace(phantom.thick, affine=between, spacing_mm=(5.5, 9, 9)))


def test_paired_folders_mix_pairs_and_thin_volumes_alone(tmp_path: Path, phantom: Phantom):
    for folder in ("thin", "thick"):
        (tmp_path / folder).mkdir()
    nifti.save(tmp_path / "thin" / "a.nii.gz", phantom.thin)
    nifti.save(tmp_path / "thick" / "a.nii.gz", phantom.thick)
    nifti.save(tmp_path / "thin" / "b.nii", phantom.thin)
    nifti.save(tmp_path / "thin" / "c.nii.gz", phantom.thin)
    teach, scored = read(data(tmp_path, layout="paired", held_out=("c",)))
    assert [(item.name, item.real is not None) for item in teach] == [("a", True), ("b", False)]
    assert [item.name for item in scored] == ["c"]
    assert teach[0].real is not None
    assert np.array_equal(teach[0].real.voxels, phantom.thick.voxels)


def save_rplhr(folder: Path, name: str, phantom: Phantom) -> None:
    for place, volume in (("1mm", phantom.thin), ("5mm", phantom.thick)):
        (folder / place).mkdir(parents=True, exist_ok=True)
        stored = (np.clip(volume.voxels, -1024, 2048) + 1024) / np.float32(3072)
        nifti.save(folder / place / f"{name}.nii.gz", replace(volume, voxels=stored))


def test_the_rplhr_release_is_read_in_hu_and_its_test_cases_are_not_touched(tmp_path: Path, phantom: Phantom):
    for part, name in (("train", "one"), ("train", "two"), ("val", "three")):
        save_rplhr(tmp_path / part, name, phantom)
    (tmp_path / "test" / "1mm").mkdir(parents=True)
    (tmp_path / "test" / "1mm" / "four.nii.gz").write_bytes(b"never opened")
    teach, scored = read(data(tmp_path, layout="rplhr", held_out=("two",)))
    assert [item.name for item in teach] == ["one"]
    assert [item.name for item in scored] == ["three"]
    real = teach[0].real
    assert real is not None
    assert (real.ratio, real.first, real.thickness_mm, teach[0].spacing_mm[0]) == (5, 0, 5.0, 1.0)
    assert np.array_equal(teach[0].voxels, phantom.thin.voxels)
    assert np.array_equal(real.voxels, phantom.thick.voxels)


def test_what_is_no_rplhr_pair_is_refused(tmp_path: Path, phantom: Phantom):
    save_rplhr(tmp_path / "train", "one", replace(phantom, thick=phantom.thin))
    with pytest.raises(InvalidVolume, match=r"thin = 5 \(thick - 1\) \+ 1"):
        read(data(tmp_path, layout="rplhr"))
    for place, volume in (("1mm", phantom.thin), ("5mm", phantom.thick)):
        nifti.save(tmp_path / "train" / place / "one.nii.gz", volume)
    with pytest.raises(InvalidVolume, match="values above 1"):
        read(data(tmp_path, layout="rplhr"))
