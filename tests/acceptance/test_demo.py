"""`make demo` as a newcomer runs it, and every derived instance taken back from the PACS and judged."""

import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from tests import servers
from tests.judges import dcentvfy_errors, dciodvfy_errors, dcm2niix

pytestmark = [pytest.mark.slow, pytest.mark.dicom, pytest.mark.timeout(600)]

R168 = "chest_5mm_toshiba_R168"
RATIO, THIN_MM = 5, 1.0
AIR_HU = -1024.0  # what scanners store below it is a mark, and becomes air: docs/series.md
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
CODES_OF_EQUIPMENT = {"109101", "109102"}  # acquisition and processing equipment, PS3.16 CID 7005


@dataclass(frozen=True)
class Demo:
    """A finished demonstration: what it printed and left behind, and what the PACS then held, one file an instance."""

    code: int
    said: str
    folder: Path
    results: Path
    source: Path
    derived: Path

    def images(self) -> list[Dataset]:
        """The derived series, from foot to head."""
        return sorted(map(dcmread, self.derived.iterdir()), key=_height)

    def thick(self) -> list[Dataset]:
        """The source, from foot to head."""
        return sorted(map(dcmread, self.source.glob("*.dcm")), key=_height)


def _height(image: Dataset) -> float:
    return float(image.ImagePositionPatient[2])


def _run(root: Path, *options: str) -> tuple[int, str]:
    command = [
        sys.executable,
        "-m",
        "deploy.demo",
        "--network",
        "cubic",
        "--folder",
        str(root / "demo"),
        "--results",
        str(root / "results"),
    ]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True, timeout=500)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def with_qrscp(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo as it comes: a phantom, and pynetdicom's own PACS, which keeps its files in a folder."""
    root = tmp_path_factory.mktemp("qrscp")
    code, said = _run(root)
    folder = root / "demo"
    return Demo(code, said, folder, root / "results", folder / "input", folder / "pacs" / "instances")


@pytest.fixture(scope="module")
def with_orthanc(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Demo:
    """Real 5 mm chest CT and Debian's Orthanc, which is started again on what it kept, and asked for each instance."""
    root = tmp_path_factory.mktemp("orthanc")
    source = shared_data / "dicom" / R168
    code, said = _run(root, "--pacs", "orthanc", "--input", str(source))
    folder, derived = root / "demo", root / "derived"
    derived.mkdir()
    with servers.orthanc(folder / "pacs") as pacs:
        for name in json.loads(_get(f"{pacs.url}/instances")):
            (derived / f"{name}.dcm").write_bytes(_get(f"{pacs.url}/instances/{name}/file"))
    return Demo(code, said, folder, root / "results", source, derived)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return bytes(answer.read())


@pytest.fixture(params=["with_qrscp", "with_orthanc"])
def demo(request: pytest.FixtureRequest) -> Demo:
    """Each demonstration in turn."""
    done: Demo = request.getfixturevalue(request.param)
    return done


def test_it_ends_well_and_tells_where_everything_is(demo: Demo) -> None:
    assert demo.code == 0, demo.said
    assert "confirmed by" in demo.said
    assert "coronal.png" in demo.said.replace("\n", "")
    assert "Traceback" not in demo.said


def test_it_leaves_a_picture_and_its_figures(demo: Demo) -> None:
    with Image.open(demo.folder / "coronal.png") as picture:
        assert min(picture.size) > 100
    (path,) = demo.results.glob("demo-*.json")
    figures = json.loads(path.read_text())
    thick, thin = len(demo.thick()), len(demo.images())
    assert (figures["thick_slices"], figures["thin_slices"]) == (thick, thin)
    assert thin == (thick - 1) * RATIO + 1
    assert abs(figures["check"]["mean_offset_hu"]) < 1


def test_a_phantom_s_figures_stand_beside_those_of_interpolation(with_qrscp: Demo) -> None:
    (path,) = with_qrscp.results.glob("demo-*.json")
    errors = json.loads(path.read_text())["against_truth"]
    assert set(errors) == {"linear", "cubic", "derived"}
    assert errors["derived"]["psnr_db"] >= errors["linear"]["psnr_db"]


def test_real_chest_makes_361_slices(with_orthanc: Demo) -> None:
    assert (len(with_orthanc.thick()), len(with_orthanc.images())) == (73, 361)


def test_dciodvfy_finds_no_error_in_any_instance(demo: Demo) -> None:
    """Promise P6, as the PACS gives the instances back."""
    with ThreadPoolExecutor(2) as two:
        found = list(two.map(dciodvfy_errors, sorted(demo.derived.iterdir())))
    assert len(found) > 100
    assert [line for lines in found for line in lines] == []


def test_dcentvfy_finds_no_disagreement_in_the_series(demo: Demo) -> None:
    assert dcentvfy_errors(sorted(demo.derived.iterdir())) == []


def test_thin_slices_at_thick_positions_sit_exactly_there(demo: Demo) -> None:
    thin = [_position(image) for image in demo.images()]
    assert thin[::RATIO] == [_position(image) for image in demo.thick()]
    assert len(set(thin)) == len(thin)


def _position(image: Dataset) -> tuple[float, ...]:
    """ImagePositionPatient as numbers, no digit lost: -350 and -350.0 are one Decimal String value."""
    return tuple(float(value) for value in image.ImagePositionPatient)


def test_mean_hu_of_every_thick_slice_is_kept_within_one(demo: Demo) -> None:
    thick = [np.maximum(_hounsfield(image), AIR_HU).mean() for image in demo.thick()]
    thin = [_hounsfield(image).mean() for image in demo.images()[::RATIO]]
    np.testing.assert_allclose(thin, thick, atol=1.0)


def _hounsfield(image: Dataset) -> npt.NDArray[np.float64]:
    return image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)


def test_dcm2niix_makes_one_volume_with_every_voxel_in_its_place(demo: Demo, tmp_path: Path) -> None:
    images = demo.images()
    (volume,) = dcm2niix(demo.derived, tmp_path)
    rows, columns = images[0].Rows, images[0].Columns
    assert volume.shape == (columns, rows, len(images))
    spacing = [float(images[0].PixelSpacing[1]), float(images[0].PixelSpacing[0]), THIN_MM]
    np.testing.assert_allclose(volume.header.get_zooms(), spacing, atol=1e-4)
    random = np.random.default_rng(0)
    voxels = volume.get_fdata()
    to_index = np.linalg.inv(volume.affine)
    for image in images:
        row, column = int(random.integers(rows)), int(random.integers(columns))
        index = to_index @ [*(LPS_TO_RAS @ _place(image, row, column)), 1]
        np.testing.assert_allclose(index, np.rint(index), atol=0.02)
        assert voxels[tuple(np.rint(index[:3]).astype(int))] == _hounsfield(image)[row, column]


def _place(image: Dataset, row: int, column: int) -> npt.NDArray[np.float64]:
    """Where a pixel lies in the patient, mm, LPS (PS3.3 C.7.6.2.1.1)."""
    along_row, along_column = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
    per_row, per_column = map(float, image.PixelSpacing)
    return np.array(image.ImagePositionPatient, float) + along_row * per_column * column + along_column * per_row * row


def test_every_instance_is_marked_as_derived(demo: Demo) -> None:
    """Promise P9, and one new series in the source's study."""
    source = demo.thick()[0]
    images = demo.images()
    assert {image.StudyInstanceUID for image in images} == {source.StudyInstanceUID}
    assert {image.PatientID for image in images} == {source.PatientID}
    assert len({image.SeriesInstanceUID for image in images} | {source.SeriesInstanceUID}) == 2
    assert len({image.SOPInstanceUID for image in images}) == len(images)
    assert [fault for image in images for fault in _unmarked(image, source)] == []


def _unmarked(image: Dataset, source: Dataset) -> list[str]:
    """Which marks of a derived slice are missing."""
    equipment = image.get("ContributingEquipmentSequence", [])
    purposes = {item.PurposeOfReferenceCodeSequence[0].CodeValue for item in equipment}
    marks = {
        "ImageType": image.ImageType[0] == "DERIVED",
        "SeriesDescription": image.SeriesDescription not in ("", source.get("SeriesDescription", "")),
        "DerivationDescription": bool(image.get("DerivationDescription")),
        "DerivationCodeSequence": bool(image.get("DerivationCodeSequence")),
        "SourceImageSequence": bool(image.get("SourceImageSequence")),
        "ContributingEquipmentSequence": purposes >= CODES_OF_EQUIPMENT,
    }
    return [f"{image.InstanceNumber}: {name}" for name, there in marks.items() if not there]
