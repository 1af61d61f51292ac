"""`thinslice restore` on files, and what every command says to bad input: one sentence and the right exit code."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread

from tests.acceptance.command_line import Done, thinslice
from tests.judges import dcentvfy_errors, dciodvfy_errors
from tests.phantom import chest, write_dicom
from tests.servers import HOST
from tests.servers import free_port as any_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

USAGE, FAILURE = 2, 1
SHAPE, SPACING = (24, 20, 6), (2.0, 3.0, 5.0)
ORIGIN = (-30.0, 12.5, -400.0)
# Signs of the file's axes in NIfTI's right, anterior, superior.
AXES = {"RAS": (1, 1, 1), "LPS": (-1, -1, 1), "RAI": (1, 1, -1)}


@pytest.fixture(scope="module")
def voxels() -> npt.NDArray[np.int16]:
    """Whole HU; axes as in the file."""
    return np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)


def write_nifti(path: Path, voxels: npt.NDArray[np.int16], axes: str) -> npt.NDArray[np.float64]:
    affine = np.diag([*np.multiply(AXES[axes], SPACING), 1.0])
    affine[:3, 3] = ORIGIN
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return affine


def values_at(image: nib.Nifti1Image, places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Voxels at places in mm, which must be voxel centres; shape (4, n)."""
    indices = np.linalg.inv(image.affine) @ places
    np.testing.assert_allclose(indices, np.rint(indices), atol=1e-4)
    return image.get_fdata()[tuple(np.rint(indices[:3]).astype(int))]


@pytest.mark.parametrize("axes", AXES)
def test_a_nifti_volume_keeps_its_geometry(tmp_path: Path, voxels: npt.NDArray[np.int16], axes: str) -> None:
    """Every thick voxel is found at its place in the patient, whatever way the file's axes run."""
    affine = write_nifti(tmp_path / "in.nii.gz", voxels, axes)
    done = thinslice(tmp_path, "restore", "in.nii.gz", "out.nii.gz", "--network", "linear")
    assert done.code == 0, done.err
    thin = nib.load(tmp_path / "out.nii.gz")
    assert sorted(thin.shape) == sorted((24, 20, 26))
    np.testing.assert_allclose(thin.header.get_zooms(), (2.0, 3.0, 1.0))
    indices = np.indices(SHAPE).reshape(3, -1)
    places = affine @ np.vstack([indices, np.ones(indices.shape[1])])
    np.testing.assert_array_equal(values_at(thin, places), voxels.ravel())


def test_the_first_thin_slice_lies_on_the_first_thick_one(tmp_path: Path, voxels: npt.NDArray[np.int16]) -> None:
    write_nifti(tmp_path / "in.nii", voxels, "RAS")
    done = thinslice(tmp_path, "restore", "in.nii", "out.nii", "--network", "cubic", "--target-spacing", "2.5")
    assert done.code == 0, done.err
    assert "6 thick → 11 thin slices at 2.5 mm with Cubic interpolation" in done.out
    thin = nib.load(tmp_path / "out.nii")
    assert thin.affine[2, 3] == ORIGIN[2]
    assert thin.header.get_zooms()[2] == 2.5
    assert thin.shape[2] == 11


@pytest.mark.dicom
def test_a_folder_of_dicom_becomes_a_derived_series(tmp_path: Path) -> None:
    thick = chest(shape=(31, 64, 64), pixel_mm=5.4).thick
    sources = [dcmread(path) for path in write_dicom(thick, tmp_path / "in", seed=31)]
    done = thinslice(tmp_path, "restore", "in", "out", "--network", "linear")
    assert done.code == 0, done.err
    assert "7 thick → 31 thin slices at 1 mm with Linear interpolation" in done.out
    paths = sorted(path for path in (tmp_path / "out").iterdir() if path.suffix == ".dcm")
    derived = sorted(map(dcmread, paths), key=lambda image: float(image.ImagePositionPatient[2]))
    assert [image.ImagePositionPatient for image in derived[::5]] == [image.ImagePositionPatient for image in sources]
    assert {image.ImageType[0] for image in derived} == {"DERIVED"}
    assert [line for path in paths for line in dciodvfy_errors(path)] == []
    assert dcentvfy_errors(paths) == []


def test_a_folder_of_dicom_becomes_what_the_settings_name(tmp_path: Path) -> None:
    write_dicom(chest(shape=(21, 32, 32), pixel_mm=10).thick, tmp_path / "in")
    (tmp_path / "settings.toml").write_text('[derive]\nforms = ["enhanced", "report"]\n', encoding="utf-8")
    done = thinslice(tmp_path, "restore", "in", "out", "--network", "linear")
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["enhanced.dcm", "manifest.json", "report.dcm"]
    assert dcmread(tmp_path / "out" / "enhanced.dcm").NumberOfFrames == 21


@dataclass(frozen=True)
class Bad:
    """A command that must be refused: its arguments, exit code, and pieces of the one sentence on stderr."""

    arguments: tuple[str, ...]
    code: int
    pieces: tuple[str, ...]


LINEAR = ("--network", "linear")
BAD = {
    "unknown key": Bad(("check-config", "-c", "key.toml"), USAGE, ("receive.prot", "did you mean receive.port?")),
    "unknown table": Bad(("status", "-c", "table.toml"), USAGE, ("recieve", "did you mean receive?")),
    "no TOML": Bad(("up", "-c", "broken.toml"), USAGE, ("broken.toml cannot be read",)),
    "no settings file": Bad(("jobs", "-c", "nowhere.toml"), USAGE, ("nowhere.toml does not exist", "--config")),
    "port in use": Bad(("up", "-c", "port.toml"), USAGE, ("port", "in use", "[receive].port")),
    "port in use, checked": Bad(("check-config", "-c", "port.toml"), FAILURE, ("port", "in use", "[receive].port")),
    "PACS away": Bad(("echo", "away", "-c", "pacs.toml"), FAILURE, ("PACS away", "cannot be reached")),
    "unknown PACS": Bad(("echo", "awry", "-c", "pacs.toml"), USAGE, ("'awry'", "it names: away")),
    "unknown series": Bad(("show", "1.2.3", "-c", "pacs.toml"), FAILURE, ("no series begin with '1.2.3'",)),
    "node without weights": Bad(("up", "-c", "weights.toml"), FAILURE, ("nowhere.safetensors",)),
    "no weights": Bad(("restore", "a.nii", "b.nii", "--weights", "none.safetensors"), FAILURE, ("none.safetensors",)),
    "unknown network": Bad(("restore", "a.nii", "b.nii", "--network", "cubik"), FAILURE, ("did you mean 'cubic'?",)),
    "spacing of zero": Bad(("restore", "a.nii", "b.nii", "--target-spacing", "0"), USAGE, ("--target-spacing",)),
    "empty folder": Bad(("restore", "empty", "out1"), FAILURE, ("empty holds no DICOM image",)),
    "no DICOM": Bad(("restore", "texts", "out2"), FAILURE, ("texts holds no DICOM image",)),
    "nothing to restore": Bad(("restore", "short", "out3"), FAILURE, ("holds no stack that can be restored",)),
    "missing input": Bad(("restore", "nothing.nii", "b.nii"), FAILURE, ("nothing.nii does not exist",)),
    "unreadable NIfTI": Bad(("restore", "text.nii", "b.nii"), FAILURE, ("text.nii cannot be read as NIfTI",)),
    "neither": Bad(("restore", "text.txt", "b.nii"), FAILURE, ("neither a NIfTI file", "nor a folder of DICOM")),
    "OUT not empty": Bad(("restore", "dicom", "texts", *LINEAR), FAILURE, ("texts is not empty", "new folder")),
    "OUT a file": Bad(("restore", "dicom", "text.txt", *LINEAR), FAILURE, ("text.txt cannot be made", "name another")),
    "OUT no NIfTI": Bad(("restore", "a.nii", "b.dcm", *LINEAR), FAILURE, ("b.dcm must end in .nii",)),
    "OUT nowhere": Bad(("restore", "a.nii", "no/where/b.nii", *LINEAR), FAILURE, ("no/where is no folder",)),
}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory, voxels: npt.NDArray[np.int16]) -> Iterator[dict[str, Done]]:
    """Every bad command, two at a time."""
    folder = tmp_path_factory.mktemp("bad")
    write_bad_input(folder, voxels)
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        own = '[ledger]\nurl = "sqlite:///ledger.sqlite"\n'
        (folder / "port.toml").write_text(f"[receive]\nport = {taken.getsockname()[1]}\n{own}")
        with ThreadPoolExecutor(2) as two:
            yield dict(zip(BAD, two.map(lambda bad: thinslice(folder, *bad.arguments), BAD.values()), strict=True))


def write_bad_input(folder: Path, voxels: npt.NDArray[np.int16]) -> None:
    write_nifti(folder / "a.nii", voxels, "RAS")
    (folder / "empty").mkdir()
    (folder / "texts").mkdir()
    for name in ("texts/readme.txt", "text.nii", "text.txt"):
        (folder / name).write_text("not an image\n")
    thick = chest(shape=(21, 32, 32), pixel_mm=10.8).thick
    write_dicom(thick, folder / "dicom", seed=5)
    write_dicom(thick, folder / "short", seed=6, missing=(2, 3, 4))
    settings = {
        "key": "[receive]\nprot = 104",
        "table": "[recieve]\nport = 104",
        "broken": "[receive\nport = 104",
        "weights": f'[receive]\nport = {any_port()}\n[engine]\nweights = "nowhere.safetensors"',
        "pacs": f'[[send.pacs]]\nname = "away"\nae_title = "AWAY"\nhost = "{HOST}"\nport = {any_port()}',
    }
    for name, text in settings.items():
        (folder / f"{name}.toml").write_text(text)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_sentence_and_its_exit_code(refusals: dict[str, Done], name: str) -> None:
    done, bad = refusals[name], BAD[name]
    assert done.code == bad.code, done
    assert "Traceback" not in done.out + done.err
    assert [piece for piece in bad.pieces if piece not in done.err] == [], done.err


@pytest.mark.parametrize("name", [name for name, bad in BAD.items() if name != "spacing of zero"])
def test_the_sentence_is_a_line_of_its_own(refusals: dict[str, Done], name: str) -> None:
    """The usage errors of typer come in a box; all of ours are one line."""
    (line,) = refusals[name].err.strip().splitlines()
    assert line.startswith("Error: ")
