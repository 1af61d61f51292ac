"""Programs that people read CT with see the derived series as it was meant: the same voxels in the same place.

The truth is the synthetic patient's: the expected affine comes from the phantom, the expected values from the volume
that was written.
"""

import json
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813 its own manual says so
from PIL import Image

from dicom_node.derive.writer import write_series
from dicom_node.records import DerivedSeries
from dicom_node.settings import DeriveSettings
from sr_engine.volume import Volume
from tests.judges import dcm2niix, orthanc_viewer
from tests.phantom import chest, write_dicom
from tests.servers import orthanc
from tests.unit.dicom_node.derive.samples import CUBIC, thick_series, thin_volume

pytestmark = pytest.mark.dicom
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Written:
    """A derived series, the HU that were put into it (z, y, x), and the volume that says where it lies."""

    series: DerivedSeries
    hu: npt.NDArray[np.float32]
    truth: Volume


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A synthetic chest, restored to 1 mm; rows and columns differ so that a swap would show."""
    folder = tmp_path_factory.mktemp("readers")
    phantom = chest(shape=(31, 96, 128), pixel_mm=2.7)
    write_dicom(phantom.thick, folder / "source")
    thick = thick_series(folder / "source")
    thin = thin_volume(thick, model=CUBIC)
    series = write_series(thick, thin, "readers", DeriveSettings(), folder / "out", datetime.now(UTC))
    return Written(series, np.round(thin.volume.voxels), phantom.thin)


def test_simpleitk(written: Written) -> None:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(written.series.folder), written.series.series_instance_uid))
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), written.hu)
    np.testing.assert_allclose(_affine_of(image), _columns_first(written.truth.affine), atol=1e-4)


def test_highdicom(written: Written) -> None:
    slices = [pydicom.dcmread(item.path) for item in written.series.instances]
    volume = hd.get_volume_from_series(slices, rtol=1e-6, perpendicular_tol=1e-6)
    upright = volume.to_patient_orientation("HPL")
    np.testing.assert_array_equal(upright.array, written.hu)
    np.testing.assert_allclose(upright.affine, written.truth.affine, atol=1e-4)


def test_dcm2niix(written: Written, tmp_path: Path) -> None:
    """NIfTI counts rows from the patient's back (its y axis is turned), in RAS."""
    (image,) = dcm2niix(written.series.folder, tmp_path)
    turned = np.asarray(image.dataobj).transpose(2, 1, 0)[:, ::-1]
    np.testing.assert_array_equal(turned, written.hu)
    corner = image.affine @ [0, written.hu.shape[1] - 1, 0, 1]
    np.testing.assert_allclose(corner, RAS_FROM_LPS @ written.truth.affine[:, 3], atol=1e-3)
    np.testing.assert_allclose(image.header.get_zooms()[::-1], written.truth.spacing_mm, atol=1e-4)


def test_orthancs_viewer_shows_it(written: Written, tmp_path: Path) -> None:
    """A browser without a screen opens the web viewer; what it shows is the first slice."""
    with orthanc(tmp_path / "orthanc", plugins=("WebViewer",)) as pacs:
        for item in written.series.instances:
            _post(f"{pacs.url}/instances", item.path.read_bytes())
        (found,) = json.loads(_get(f"{pacs.url}/series"))
        screen = orthanc_viewer(pacs, found, tmp_path / "viewer.png")
    shown = pydicom.dcmread(written.series.instances[0].path).pixel_array
    likeness = _likeness(screen, shown)
    assert likeness > 0.9
    assert likeness > max(_likeness(screen, shown[::-1]), _likeness(screen, shown[:, ::-1])) + 0.03


def _columns_first(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """An affine of index order (z, y, x) for (x, y, z)."""
    return affine[:, [2, 1, 0, 3]]


def _affine_of(image: sitk.Image) -> npt.NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return affine


def _likeness(screen: Image.Image, shown: npt.NDArray[np.int16]) -> float:
    """Highest correlation of a slice with the screen, over the sizes at which a viewer may fit it."""
    grey = np.asarray(screen.convert("L").reduce(4), dtype=float)
    best = 0.0
    for width in range(grey.shape[1] // 2, grey.shape[1]):
        height = width * shown.shape[0] // shown.shape[1]
        picture = np.asarray(Image.fromarray(shown.astype(np.float32)).resize((width, height)))
        for top in range(grey.shape[0] - height + 1):
            left = (grey.shape[1] - width) // 2
            part = grey[top : top + height, left : left + width]
            best = max(best, float(np.corrcoef(part.ravel(), picture.ravel())[0, 1]))
    return best


def _post(url: str, body: bytes) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, data=body)) as answer:
        assert answer.status == 200


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())
