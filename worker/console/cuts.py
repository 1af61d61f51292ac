"""Cuts through the middle of a stack, thick and thin, in Hounsfield units: what pictures are painted from."""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.uid import CTImageStorage, LegacyConvertedEnhancedCTImageStorage

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

PLANES: Mapping[str, str] = {
    "coronal": "through the middle", "sagittal": "through the middle",
    "axial": "halfway between two thick slices, of which thick shows one",
}  # fmt: skip


@dataclass(frozen=True)
class Cuts:
    """One stack's cuts.

    Attributes
    ----------
    planes : mapping of str to ndarray, float32
        By the name of the plane, HU. Coronal and sagittal (slices, pixels), the first slice nearest the feet; axial
        (slices, rows, columns): of thick ones two neighbours, of thin ones the slice nearest to halfway between them.
    axial_mm : float
        Distance of the first axial slice from the first slice of all.
    step_mm : float
        Distance of neighbouring slice centres; the first slices of thick and thin lie at one position.
    height_mm : float
        Distance of the first thick slice's centre from the last one's.
    pixel_mm : tuple of 2 float
        Distance of neighbouring rows and columns of a slice.
    """

    planes: dict[str, FloatArray]
    axial_mm: float
    step_mm: float
    height_mm: float
    pixel_mm: tuple[float, float]

    def packed(self) -> bytes:
        """As a file; HU fit 16 bits."""
        file = io.BytesIO()
        whole = {name: np.rint(cut).astype(np.int16) for name, cut in self.planes.items()}
        np.savez_compressed(file, sizes=[self.axial_mm, self.step_mm, self.height_mm, *self.pixel_mm], **whole)  # type: ignore[arg-type]
        return file.getvalue()


def unpacked(content: bytes) -> Cuts:
    """Cuts from such a file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        axial, step, height, *pixel = (float(value) for value in found["sizes"])
        return Cuts(
            {name: found[name].astype(np.float32) for name in PLANES}, axial, step, height, (pixel[0], pixel[1])
        )


def thick_cuts(node: Node, job: JobView) -> Cuts:
    """Of the slices that a job was made of. InputError or StorageError where they cannot be had."""
    stack, settings = _stack(node, job), node.settings.series
    middle = _middle(stack)
    return _cuts((read_slice(header, settings) for header in stack.slices), (middle, middle + 1), stack, stack.step_mm)


def thin_cuts(node: Node, job: JobView) -> Cuts:
    """Of the result: of its slices, or of the enhanced image's frames where there are no slices."""
    stack = _stack(node, job)
    instances = load_series(Path(job.result or "")).instances
    slices = [item.path for item in instances if item.sop_class_uid == CTImageStorage]
    frames = [item.path for item in instances if item.sop_class_uid == LegacyConvertedEnhancedCTImageStorage]
    length = stack.step_mm * (len(stack.slices) - 1)
    step = float((job.figures or {}).get("spacing_mm") or length / max((job.thin_slices or 2) - 1, 1))
    halfway = round((_middle(stack) + 0.5) * stack.step_mm / step)
    return _cuts((image for path in slices or frames for image in _hounsfield(path)), (halfway,), stack, step)


def difference(thick: Cuts, thin: Cuts, plane: str) -> FloatArray:
    """Thin minus straight lines between the thick slices, HU, at the positions of the thin ones."""
    cut, known = thin.planes[plane], thick.planes[plane]
    begin_mm = thin.axial_mm - thick.axial_mm if plane == "axial" else 0.0
    places = np.clip((begin_mm + np.arange(len(cut)) * thin.step_mm) / thick.step_mm, 0, len(known) - 1)
    below = np.minimum(places.astype(int), max(len(known) - 2, 0))
    share = (places - below).reshape(-1, *[1] * (cut.ndim - 1)).astype(np.float32)
    between: FloatArray = (1 - share) * known[below] + share * known[np.minimum(below + 1, len(known) - 1)]
    return cut - between


def _middle(stack: ThickSeries) -> int:
    """The lower one of the two thick slices in the middle."""
    return (len(stack.slices) - 1) // 2


def _stack(node: Node, job: JobView) -> ThickSeries:
    sources = browse.sources_of(node.database, job.id)
    if not all(Path(path).exists() for path, _ in sources):
        raise StorageError("the received images are no longer on this node")
    headers = [read_header(Path(path), sha256) for path, sha256 in sources]
    return order_stack(job.label, headers, node.settings.series)


def _hounsfield(path: Path) -> Iterator[FloatArray]:
    """The slices of one of our own images: stored values are HU (``dicom_node.derive.pixels``)."""
    try:
        stored: npt.NDArray[np.int16] = dcmread(path).pixel_array
    except Exception as error:
        raise StorageError(f"{path.name} of the result cannot be read ({type(error).__name__})") from error
    for image in stored if stored.ndim == 3 else stored[np.newaxis]:
        yield image.astype(np.float32)


def _cuts(slices: Iterable[FloatArray], axial: tuple[int, ...], stack: ThickSeries, step_mm: float) -> Cuts:
    """Cuts through the middle, and the slices of these numbers; each is let go before the next is read."""
    rows, columns, whole = [], [], []
    for index, image in enumerate(slices):
        rows.append(image[image.shape[0] // 2].copy())
        columns.append(image[:, image.shape[1] // 2].copy())
        if index in axial:
            whole.append(image)
    spacing = stack.slices[0].pixel_spacing
    if not whole:
        raise StorageError("the result has no slices")
    if spacing is None:
        raise InputError("PixelSpacing is missing")
    planes = {"coronal": np.stack(rows), "sagittal": np.stack(columns), "axial": np.stack(whole)}
    return Cuts(planes, axial[0] * step_mm, step_mm, stack.step_mm * (len(stack.slices) - 1), spacing)
