"""The synthetic chest is a chest, its thick slices are means of its thin truth, and its DICOM is clean."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian, JPEGLSLossless, RLELossless

from tests.judges import dcentvfy_errors, dciodvfy_errors, dcm2niix
from tests.phantom import Phantom, chest, write_dicom


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return chest(shape=(31, 96, 96), pixel_mm=3.6)


def test_thick_slices_are_centred_on_thin_ones(phantom: Phantom):
    assert phantom.thick.voxels.shape == (7, 96, 96)
    for index in range(7):
        assert phantom.thick.position_mm(index) == pytest.approx(phantom.thin.position_mm(index * 5))


def test_a_thick_slice_is_the_mean_of_the_thin_slices_around_it(phantom: Phantom):
    """Up to the rounding to whole HU of both."""
    mean = phantom.thin.voxels[8:13].mean(axis=0)
    assert np.abs(phantom.thick.voxels[2] - mean).max() <= 1.0


def test_an_even_ratio_takes_half_of_the_outermost_slices():
    phantom = chest(shape=(13, 48, 48), pixel_mm=7.5, ratio=4)
    weights = np.array([0.125, 0.25, 0.25, 0.25, 0.125])[:, None, None]
    assert np.abs(phantom.thick.voxels[1] - (phantom.thin.voxels[2:7] * weights).sum(axis=0)).max() <= 1.0


def test_the_outermost_thick_slices_reach_past_the_thin_volume(phantom: Phantom):
    """So the first thick slice is no mean of what the thin volume holds."""
    assert np.abs(phantom.thick.voxels[0] - phantom.thin.voxels[:3].mean(axis=0)).max() > 20


def test_averaging_lowers_the_noise():
    noisy, clean = chest(shape=(11, 64, 64), pixel_mm=5.4), chest(shape=(11, 64, 64), pixel_mm=5.4, noise_hu=0)
    thin = (noisy.thin.voxels - clean.thin.voxels)[:, 20:44, 20:44].std()
    thick = (noisy.thick.voxels - clean.thick.voxels)[:, 20:44, 20:44].std()
    assert thin == pytest.approx(14, rel=0.15)
    assert thick == pytest.approx(14 / np.sqrt(5), rel=0.25)


def test_it_has_lung_soft_tissue_bone_and_air_around():
    """Shares of the voxels, as in a chest CT that shows the whole body wall."""
    voxels = chest(shape=(31, 96, 96), pixel_mm=3.6, noise_hu=0).thin.voxels
    assert 0.05 < ((voxels > -900) & (voxels < -750)).mean() < 0.4
    assert 0.08 < ((voxels > 20) & (voxels < 200)).mean() < 0.5
    assert 0.005 < (voxels > 300).mean() < 0.08
    assert (voxels[:, 0] < -950).all()


def test_equal_seeds_give_equal_chests(phantom: Phantom):
    again, other = (chest(shape=(31, 96, 96), pixel_mm=3.6, seed=seed) for seed in (0, 1))
    assert np.array_equal(phantom.thin.voxels, again.thin.voxels)
    assert not np.array_equal(phantom.thin.voxels, other.thin.voxels)


def test_a_thin_volume_must_end_on_a_thick_slice():
    with pytest.raises(ValueError, match="30 thin slices do not end on a thick one"):
        chest(shape=(30, 48, 48))


@pytest.mark.dicom
def test_the_series_is_an_original_ct_that_the_judges_accept(phantom: Phantom, tmp_path: Path):
    paths = write_dicom(phantom.thick, tmp_path / "in")
    assert [error for path in paths for error in dciodvfy_errors(path)] == []
    assert dcentvfy_errors(paths) == []
    (image,) = dcm2niix(tmp_path / "in", tmp_path / "out")
    assert image.shape == (96, 96, 7)
    assert image.header.get_zooms() == pytest.approx((3.6, 3.6, 5.0))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, JPEGLSLossless])
def test_pixels_survive_every_lossless_transfer_syntax(phantom: Phantom, tmp_path: Path, syntax: str):
    paths = write_dicom(phantom.thick, tmp_path, transfer_syntax=syntax)
    image = pydicom.dcmread(paths[3])
    assert image.file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(image.pixel_array.astype(np.float32) - 1024, phantom.thick.voxels[3])


def test_slices_can_be_numbered_from_the_head_and_one_left_out(phantom: Phantom, tmp_path: Path):
    images = [pydicom.dcmread(path) for path in write_dicom(phantom.thick, tmp_path, descending=True, missing={4})]
    assert [image.InstanceNumber for image in images] == [1, 2, 4, 5, 6, 7]
    heights = [float(image.ImagePositionPatient[2]) for image in images]
    assert heights == sorted(heights, reverse=True)


def test_the_same_seed_writes_the_same_series(phantom: Phantom, tmp_path: Path):
    one, two, other = (
        write_dicom(phantom.thick, tmp_path / name, seed=seed)[0].read_bytes()
        for name, seed in (("1", 0), ("2", 0), ("3", 1))
    )
    assert one == two
    assert one != other
