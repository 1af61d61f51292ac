"""Programs of others that judge what leaves the node: dciodvfy, dcentvfy (dicom3tools), dcm2niix, a viewer, xmllint."""

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import nibabel as nib
from PIL import Image

from tests.servers import Pacs, find_program

AUDIT_SCHEMA = Path(__file__).with_name("audit_message.rng")


def dciodvfy_errors(path: Path) -> list[str]:
    """The lines with which ``dciodvfy -new`` faults one file; warnings are left out."""
    return _errors([find_program("dciodvfy"), "-new", str(path)])


def dcentvfy_errors(paths: Iterable[Path]) -> list[str]:
    """The lines with which ``dcentvfy`` faults the files of one series: values that should agree and do not."""
    return _errors([find_program("dcentvfy"), *map(str, paths)])


def dcm2niix(folder: Path, out: Path) -> list[nib.Nifti1Image]:
    """The volumes that ``dcm2niix`` makes of a folder: axes (column, row, slice), affine in RAS mm."""
    out.mkdir(parents=True, exist_ok=True)
    command = [find_program("dcm2niix"), "-z", "n", "-b", "n", "-f", "%s_%p", "-o", str(out), str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"dcm2niix ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [nib.load(path) for path in sorted(out.glob("*.nii"))]


def dsrdump(path: Path) -> str:
    """How DCMTK reads a structured report or a key object selection; it refuses one whose content breaks the IOD."""
    command = [find_program("dsrdump"), str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def dcmp2pgm(image: Path, state: Path, out: Path) -> Image.Image:
    """How DCMTK shows an image under a presentation state; ``out`` becomes a PGM."""
    command = [find_program("dcmp2pgm"), "-p", str(state), str(image), str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return Image.open(out)


def schema_errors(messages: Iterable[bytes]) -> list[str]:
    """The lines with which ``xmllint`` faults audit messages by the schema of PS3.15 A.5.1."""
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for number, message in enumerate(messages):
            paths.append(Path(name) / f"{number}.xml")
            paths[-1].write_bytes(message)
        command = [find_program("xmllint"), "--nonet", "--noout", "--relaxng", str(AUDIT_SCHEMA), *map(str, paths)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    return [line for line in done.stderr.splitlines() if not line.endswith(" validates")]


def orthanc_viewer(pacs: Pacs, series: str, out: Path) -> Image.Image:
    """What Orthanc's web viewer shows of a series, given by Orthanc's own name for it; ``out`` becomes a PNG."""
    command = [
        find_program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--window-size=900,700", "--virtual-time-budget=8000", f"--user-data-dir={out.with_suffix('.profile')}",
        f"--screenshot={out}", f"{pacs.url}/web-viewer/app/viewer.html?series={series}",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return Image.open(out)


def _errors(command: list[str]) -> list[str]:
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    lines = f"{done.stdout}\n{done.stderr}".splitlines()
    if done.returncode < 0:
        raise AssertionError(f"{command[0]} was killed by signal {-done.returncode}")
    return [line for line in lines if line.startswith("Error")]
