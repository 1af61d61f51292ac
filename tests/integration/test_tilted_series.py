"""A tilted gantry, from DICOM to DICOM: thin slices lie where they should, and what they show lies where it is."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom import Dataset, dcmread

from dicom_node.derive.conformance import check
from dicom_node.derive.writer import write_series
from dicom_node.records import ThickSeries
from dicom_node.series.headers import read_folder
from dicom_node.series.judge import judge
from dicom_node.series.voxels import load_volume
from dicom_node.settings import DeriveSettings, SeriesSettings
from sr_engine.inference.restore import restore
from sr_engine.settings import EngineSettings
from tests.judges import dcentvfy_errors, dciodvfy_errors, dcm2niix
from tests.phantom import write_dicom
from tests.phantom.tilted import BODY, RODS, Rod, tilted

pytestmark = pytest.mark.dicom
NOW = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
DEGREES = 20.0
TOLERANCE_MM = 0.1
ENHANCED = "enhanced.dcm"


def derive(source: Path, out: Path) -> tuple[ThickSeries, list[Path]]:
    """The one stack of a folder, and its derived slices in the order of the stack, by cubic interpolation."""
    (thick,) = judge(read_folder(source)[0], SeriesSettings())
    assert isinstance(thick, ThickSeries)
    thin = restore(load_volume(thick, SeriesSettings()), EngineSettings(network="cubic", device="cpu", threads=1))
    forms = DeriveSettings(forms=("slices", "enhanced"))
    derived = write_series(thick, thin, str(source.name), forms, out, NOW)
    paths = [instance.path for instance in derived.instances if instance.path.name != ENHANCED]
    falling = (thick.slices[0].instance_number or 0) > (thick.slices[-1].instance_number or 0)
    return thick, paths[::-1] if falling else paths


@pytest.fixture(scope="module", params=[DEGREES, -DEGREES], ids=["to the head", "to the feet"])
def series(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ThickSeries, list[Path]]:
    folder = tmp_path_factory.mktemp("tilted")
    write_dicom(tilted(request.param), folder / "source", seed=2)
    return derive(folder / "source", folder / "out")


def off_mm(image: Dataset, rod: Rod) -> float:
    """How far from its crossing with a slice the slice shows a rod."""
    corner = np.array(image.ImagePositionPatient, float)
    row, column = np.reshape(np.array(image.ImageOrientationPatient, float), (2, 3))
    truth = rod.crossing(corner, np.cross(row, column))
    down, right = (float(value) for value in image.PixelSpacing)
    middle = np.rint([(truth - corner) @ column / down, (truth - corner) @ row / right]).astype(int)
    around = tuple(slice(place - 10, place + 11) for place in middle)
    weight = image.pixel_array[around] - BODY  # also where cubic interpolation undershoots: its first moment is exact
    indices = np.indices(weight.shape).reshape(2, -1) + (middle - 10)[:, None]
    shown = indices @ weight.ravel() / weight.sum()
    return float(np.linalg.norm(corner + shown[0] * down * column + shown[1] * right * row - truth))


def test_what_is_shown_lies_where_it_is(series: tuple[ThickSeries, list[Path]]) -> None:
    """In thick positions and between them: a grid taken for upright would be off by up to 1.4 mm.

    Between the outer two slices at either end interpolation repeats the last one, which moves what is oblique a little.
    """
    thick, paths = series
    off = np.array([[off_mm(dcmread(path), rod) for rod in RODS] for path in paths])
    ratio = (len(paths) - 1) // (len(thick.slices) - 1)
    assert off[ratio:-ratio].max() < TOLERANCE_MM
    assert off.max() < 2 * TOLERANCE_MM


def test_positions_lie_on_the_line_of_the_source(series: tuple[ThickSeries, list[Path]]) -> None:
    thick, paths = series
    images = [dcmread(path, stop_before_pixels=True) for path in paths]
    ratio = (len(images) - 1) // (len(thick.slices) - 1)
    positions = np.array([image.ImagePositionPatient for image in images], float)
    np.testing.assert_array_equal(positions[::ratio], [header.position for header in thick.slices])
    np.testing.assert_allclose(np.diff(positions, axis=0), [[0, 0, 5 / ratio]] * (len(images) - 1), atol=2e-6)
    for image in images:
        assert tuple(map(float, image.ImageOrientationPatient)) == thick.slices[0].orientation
        assert float(image.GantryDetectorTilt) == pytest.approx(DEGREES)
        assert float(image.SpacingBetweenSlices) == pytest.approx(5 * np.cos(np.radians(DEGREES)) / ratio)
        assert float(image.SliceThickness) == float(image.SpacingBetweenSlices)
        assert "leaning 20.0 degrees as in the source" in image.DerivationDescription


def test_thick_slices_are_shown_as_they_are(series: tuple[ThickSeries, list[Path]]) -> None:
    thick, paths = series
    ratio = (len(paths) - 1) // (len(thick.slices) - 1)
    for path, header in zip(paths[::ratio], thick.slices, strict=True):
        np.testing.assert_array_equal(dcmread(path).pixel_array, dcmread(header.path).pixel_array.astype(int) - 1024)


def test_a_tilted_series_conforms(series: tuple[ThickSeries, list[Path]]) -> None:
    check(dcmread(path) for path in series[1])
    assert [line for path in series[1] for line in dciodvfy_errors(path)] == []
    assert dcentvfy_errors(series[1]) == []


def test_the_enhanced_image_has_the_positions_of_the_slices(series: tuple[ThickSeries, list[Path]]) -> None:
    _, paths = series
    enhanced = dcmread(paths[0].with_name(ENHANCED))
    assert dciodvfy_errors(paths[0].with_name(ENHANCED)) == []
    frames = enhanced.PerFrameFunctionalGroupsSequence
    shown = sorted(tuple(map(float, frame.PlanePositionSequence[0].ImagePositionPatient)) for frame in frames)
    assert shown == sorted(tuple(map(float, dcmread(path).ImagePositionPatient)) for path in paths)


def test_others_read_all_of_it(series: tuple[ThickSeries, list[Path]], tmp_path: Path) -> None:
    """dcm2niix keeps the sheared volume and adds one that it straightened; SimpleITK reads the slices."""
    thick, paths = series
    first = np.array(thick.slices[0].position)
    for path in paths:
        (tmp_path / path.name).symlink_to(path)
    stacked, straightened = dcm2niix(tmp_path, tmp_path / "nii")
    assert straightened.shape[2] == stacked.shape[2]
    assert stacked.shape[:2] == (thick.slices[0].columns, thick.slices[0].rows)
    read = SimpleITK.ReadImage(list(map(str, paths)))
    assert read.GetSize() == (thick.slices[0].columns, thick.slices[0].rows, len(paths))
    np.testing.assert_allclose(read.GetOrigin(), first, atol=1e-4)


@pytest.mark.parametrize("name", ["minus18.5", "plus16.5"])
def test_a_real_tilted_scan_becomes_a_series_that_conforms(shared_data: Path, tmp_path: Path, name: str) -> None:
    thick, paths = derive(shared_data / "dicom" / f"head_phantom_2.5mm_philips_tilt_{name}_part", tmp_path)
    positions = np.array([dcmread(path, stop_before_pixels=True).ImagePositionPatient for path in paths], float)
    np.testing.assert_array_equal(positions[::2], [header.position for header in thick.slices])
    assert [line for path in paths[:3] for line in dciodvfy_errors(path)] == []
    assert dcentvfy_errors(paths) == []
