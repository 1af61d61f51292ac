"""NIfTI files keep their place in the patient, whatever order they were stored in."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from sr_engine import nifti
from sr_engine.errors import InvalidVolume
from sr_engine.volume import Volume

SHAPE = (4, 3, 5)  # columns, rows, slices of the file
RAS = np.array([[-0.7, 0, 0, 100], [0, -0.8, 0, 90], [0, 0, 5.0, -300], [0, 0, 0, 1]])


def write(path: Path, data: np.ndarray, affine: np.ndarray = RAS) -> Path:
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    return path


def counted(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape) * 50 - 1000


def test_axes_are_slice_row_column_in_lps(tmp_path: Path):
    """A file that runs to the left, to the back and to the head is a transpose away from DICOM's axial order."""
    data = counted()
    volume = nifti.load(write(tmp_path / "a.nii", data))
    assert np.array_equal(volume.voxels, data.transpose(2, 1, 0))
    assert volume.voxels.dtype == np.float32
    assert volume.spacing_mm == pytest.approx((5.0, 0.8, 0.7))
    assert volume.slice_thickness_mm == pytest.approx(5.0)
    assert volume.position_mm(0) == pytest.approx((-100, -90, -300))
    assert volume.position_mm(1) == pytest.approx((-100, -90, -295))


@pytest.mark.parametrize("order", ["RAS", "LPS", "LAI", "PIR", "SLA"])
def test_every_stored_order_loads_alike(tmp_path: Path, order: str):
    image = nibabel.Nifti1Image(counted(), RAS)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(RAS), nibabel.orientations.axcodes2ornt(tuple(order))
    )
    nibabel.save(image.as_reoriented(turn), tmp_path / "turned.nii.gz")
    volume, straight = nifti.load(tmp_path / "turned.nii.gz"), nifti.load(write(tmp_path / "a.nii", counted()))
    assert np.array_equal(volume.voxels, straight.voxels)
    assert np.allclose(volume.affine, straight.affine)


def test_an_oblique_and_sheared_affine_survives(tmp_path: Path):
    affine = RAS.copy()
    affine[1, 2], affine[0, 1] = 0.9, 0.05  # a tilted gantry shears rows against slices
    nifti.save(tmp_path / "b.nii.gz", nifti.load(write(tmp_path / "a.nii", counted(), affine)))
    assert np.allclose(nibabel.load(tmp_path / "b.nii.gz").affine, affine, atol=1e-5)


def test_the_spacing_of_a_sheared_volume_is_measured_along_its_normal(tmp_path: Path):
    """5 mm of feed, the slices leaning by 20 degrees about the x axis."""
    lean = np.radians(20)
    affine = RAS.copy()
    affine[1:3, 1] = 0.8 * np.cos(lean), 0.8 * np.sin(lean)
    volume = nifti.load(write(tmp_path / "a.nii", counted(), affine))
    assert volume.spacing_mm == pytest.approx((5 * np.cos(lean), 0.8, 0.7), abs=1e-5)
    assert volume.shear_deg == pytest.approx(20, abs=1e-3)


def test_whole_hu_are_stored_as_int16(tmp_path: Path):
    volume = nifti.load(write(tmp_path / "a.nii", counted().astype(np.float32) + 0.4))
    nifti.save(tmp_path / "b.nii", volume)
    saved = nibabel.load(tmp_path / "b.nii")
    assert saved.get_data_dtype() == np.int16
    assert np.array_equal(np.asarray(saved.dataobj), counted())


@pytest.mark.parametrize("scale", [1e-3, 1e4], ids=["a narrow range", "beyond int16"])
def test_what_int16_would_spoil_stays_float32(tmp_path: Path, scale: float):
    data = counted().astype(np.float32) * np.float32(scale)
    nifti.save(tmp_path / "b.nii", nifti.load(write(tmp_path / "a.nii", data)))
    saved = nibabel.load(tmp_path / "b.nii")
    assert saved.get_data_dtype() == np.float32
    assert np.array_equal(np.asarray(saved.dataobj), data)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path):
    whole = write(tmp_path / "a.nii.gz", counted()).read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nii").write_text("this is not NIfTI")
    for name in ("cut.nii.gz", "text.nii"):
        with pytest.raises(InvalidVolume, match=f"{name} cannot be read as NIfTI"):
            nifti.load(tmp_path / name)
    with pytest.raises(InvalidVolume, match="there is no file"):
        nifti.load(tmp_path / "gone.nii")


@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (4, 3), (4, 3, 0)])
def test_anything_but_one_volume_is_refused(tmp_path: Path, shape: tuple[int, ...]):
    with pytest.raises(InvalidVolume, match="one volume with 3 axes"):
        nifti.load(write(tmp_path / "a.nii", np.zeros(shape, dtype=np.int16)))


def test_values_that_are_not_numbers_are_refused(tmp_path: Path):
    data = counted().astype(np.float32)
    data[1, 1, 1] = np.nan
    with pytest.raises(InvalidVolume, match="not numbers"):
        nifti.load(write(tmp_path / "a.nii", data))


def test_an_affine_without_volume_is_refused(tmp_path: Path):
    flat = RAS.copy()
    flat[:3, 2] = flat[:3, 1]
    with pytest.raises(InvalidVolume, match="affine"):
        nifti.load(write(tmp_path / "a.nii", counted(), flat))


def test_another_ending_is_refused(tmp_path: Path):
    volume = Volume(np.zeros((1, 1, 1), dtype=np.float32), (1.0, 1.0, 1.0), np.eye(4), 1.0)
    with pytest.raises(InvalidVolume, match=r"end in \.nii or \.nii\.gz"):
        nifti.save(tmp_path / "a.img", volume)
