"""Coronal and sagittal pictures through the middle of a stack, thick and thin, made when someone looks.

They hold grey values and nothing else: no text, no metadata. They may be deleted at any time.
"""

import hashlib
import io
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import dcmread
from pydicom.uid import CTImageStorage, LegacyConvertedEnhancedCTImageStorage

from dicom_node import durable
from dicom_node.derive.manifest import load_series
from dicom_node.errors import InputError, StorageError
from dicom_node.ledger import browse
from dicom_node.ledger.queries import JobView
from dicom_node.records import ThickSeries
from dicom_node.series.geometry import order_stack
from dicom_node.series.headers import read_header
from dicom_node.series.voxels import read_slice
from sr_engine.volume import FloatArray
from worker.wiring import Node

PLANES = ("coronal", "sagittal")
KINDS = ("thick", "thin")

LONGEST = 640  # pixels
# The lung window (centre -600, width 1500) hides what slices are restored for elsewhere; this shows both.
DARKEST_HU, BRIGHTEST_HU = -1100.0, 300.0


class Previews:
    """Pictures in a folder, made once for each result. One is made at a time: it takes a core for a second or two."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._turn = folder, threading.Lock()

    def picture(self, node: Node, job: JobView, plane: str, kind: str) -> bytes:
        """PNG of a plane. InputError or StorageError where there is none to be had."""
        if plane not in PLANES or kind not in KINDS:
            raise InputError("there is no such picture")
        if not job.result or not Path(job.result).is_dir():
            raise StorageError("the result is no longer on this node")
        path = self._folder / hashlib.sha256(job.result.encode()).hexdigest()[:32] / f"{plane}-{kind}.png"
        with self._turn:
            if not path.exists():
                self._make(node, job, Path(job.result), kind, path.parent)
            return path.read_bytes()

    def _make(self, node: Node, job: JobView, result: Path, kind: str, folder: Path) -> None:
        """Both planes of one kind: the files are read only once."""
        stack = _stack(node, job)
        cuts = _thick_cuts(node, stack) if kind == "thick" else _thin_cuts(result)
        height_mm = stack.step_mm * (len(stack.slices) - 1)
        spacing = stack.slices[0].pixel_spacing
        if spacing is None:
            raise InputError("PixelSpacing is missing")
        try:
            durable.make_folder(folder)
            for plane, cut, pixel_mm in zip(PLANES, cuts, reversed(spacing), strict=True):
                part = folder / f"{plane}-{kind}.part"
                durable.write_synced(part, png(cut, height_mm, pixel_mm))
                part.rename(folder / f"{plane}-{kind}.png")
        except OSError as error:
            raise StorageError(f"the picture could not be written: {error.strerror or error}") from error


def png(cut: FloatArray, height_mm: float, pixel_mm: float) -> bytes:
    """A cut as an image in true proportions, head upwards.

    Parameters
    ----------
    cut : ndarray, float32, shape (slices, pixels)
        HU; the first slice nearest the feet.
    height_mm : float
        Distance of the first slice's centre from the last one's.
    pixel_mm : float
        Distance of neighbouring pixels along a slice.
    """
    width_mm = cut.shape[1] * pixel_mm
    scale = LONGEST / max(width_mm, height_mm)
    width, height = max(round(width_mm * scale), 1), max(round(height_mm * scale), 1)
    # Each row shows the nearest slice as it is: thick slices look as thick as they are.
    nearest = np.rint(np.linspace(len(cut) - 1, 0, height)).astype(int)
    grey = np.clip((cut - DARKEST_HU) / (BRIGHTEST_HU - DARKEST_HU) * 255, 0, 255).astype(np.uint8)
    image = Image.fromarray(grey[nearest]).resize((width, height), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _stack(node: Node, job: JobView) -> ThickSeries:
    sources = browse.sources_of(node.database, job.id)
    if not all(Path(path).exists() for path, _ in sources):
        raise StorageError("the received images are no longer on this node")
    headers = [read_header(Path(path), sha256) for path, sha256 in sources]
    return order_stack(job.label, headers, node.settings.series)


def _thick_cuts(node: Node, stack: ThickSeries) -> tuple[FloatArray, FloatArray]:
    return _cuts(read_slice(header, node.settings.series) for header in stack.slices)


def _thin_cuts(result: Path) -> tuple[FloatArray, FloatArray]:
    """Of the slices; of the enhanced image's frames where there are no slices."""
    instances = load_series(result).instances
    slices = [item.path for item in instances if item.sop_class_uid == CTImageStorage]
    frames = [item.path for item in instances if item.sop_class_uid == LegacyConvertedEnhancedCTImageStorage]
    return _cuts(image for path in slices or frames for image in _hounsfield(path))


def _hounsfield(path: Path) -> Iterator[FloatArray]:
    """The slices of one of our own images: stored values are HU (``dicom_node.derive.pixels``)."""
    try:
        stored: npt.NDArray[np.int16] = dcmread(path).pixel_array
    except Exception as error:
        raise StorageError(f"{path.name} of the result cannot be read ({type(error).__name__})") from error
    for image in stored if stored.ndim == 3 else stored[np.newaxis]:
        yield image.astype(np.float32)


def _cuts(slices: Iterable[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Coronal and sagittal cut through the middle, (slices, pixels); a slice is let go before the next is read."""
    rows = [(image[image.shape[0] // 2].copy(), image[:, image.shape[1] // 2].copy()) for image in slices]
    if not rows:
        raise StorageError("the result has no slices")
    return np.stack([coronal for coronal, _ in rows]), np.stack([sagittal for _, sagittal in rows])
