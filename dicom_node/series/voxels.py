"""Pixels of a proven stack as one volume in Hounsfield units (PS3.3 C.7.6.3, C.7.5.1.1.2, C.8.2.1, C.11.1)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import RLELossless

from dicom_node.errors import UnreadableInstance
from dicom_node.records import SliceHeader, ThickSeries
from dicom_node.series.codecs import PLUGINS, frame_size
from dicom_node.series.elements import Elements
from dicom_node.series.geometry import place
from dicom_node.series.headers import patient_key
from dicom_node.settings import SeriesSettings
from sr_engine.volume import FloatArray, Volume

# Nothing attenuates less than air. Scanners mark what lies outside their field of view with values far below it,
# declared as padding (GE -2000) or not (Toshiba -2048, GE -3024); such a mark would be smeared into the image.
AIR_HU = -1024.0
RLE_HEADER = 64  # bytes (PS3.5 G.5)

Progress = Callable[[int, int], None]


def load_volume(stack: ThickSeries, settings: SeriesSettings, progress: Progress | None = None) -> Volume:
    """Decode a stack.

    Parameters
    ----------
    stack : ThickSeries
        As judged; its files are still where the headers say.
    settings : SeriesSettings
        ``maximum_pixels`` per slice is enforced before anything is decoded.
    progress : callable, optional
        Called with (slices done, slices in all).

    Returns
    -------
    Volume
        float32 HU, axes (slice, row, column), slices in the stack's order, each with its own slope and intercept.
        Padding and everything below -1024 HU is -1024. The affine's slice axis runs from the first slice's corner to
        the last one's, so that both thick positions are met exactly.

    Raises
    ------
    UnreadableInstance
        Names the slice by its place in the stack.
    """
    total = len(stack.slices)
    first = stack.slices[0]
    if first.pixel_spacing is None:
        raise UnreadableInstance("PixelSpacing is missing")
    voxels = np.empty((total, first.rows, first.columns), dtype=np.float32)
    for index, header in enumerate(stack.slices):
        try:
            voxels[index] = read_slice(header, settings)
        except UnreadableInstance as error:
            where = place(header, np.asarray(stack.normal))
            raise UnreadableInstance(f"slice {index + 1} of {total} ({where}): {error}") from None
        if progress is not None:
            progress(index + 1, total)
    return Volume(voxels, (stack.step_mm, *first.pixel_spacing), affine(stack), stack.slice_thickness_mm)


def affine(stack: ThickSeries) -> npt.NDArray[np.float64]:
    """Matrix from (slice, row, column, 1) indices to (x, y, z, 1) in mm, LPS, shape (4, 4).

    The matrix column for the row index is the column direction (values 4 to 6 of ImageOrientationPatient) times the row
    spacing (first value of PixelSpacing), because the row index rises along an image column (PS3.3 C.7.6.2.1.1).
    """
    first, last = stack.slices[0], stack.slices[-1]
    orientation, spacing = np.array(first.orientation), np.array(first.pixel_spacing)
    origin = np.array(first.position)
    matrix = np.eye(4)
    matrix[:3, 0] = (np.array(last.position) - origin) / (len(stack.slices) - 1)
    matrix[:3, 1] = orientation[3:] * spacing[0]
    matrix[:3, 2] = orientation[:3] * spacing[1]
    matrix[:3, 3] = origin
    return matrix


def read_slice(header: SliceHeader, settings: SeriesSettings) -> FloatArray:
    """Decode one slice to HU, float32, shape (rows, columns).

    Raises
    ------
    UnreadableInstance
        The header's problems, a size above the limit, pixel data that are missing, short, long or undecodable, or a
        second identity behind the pixels.
    """
    if header.problems:
        raise UnreadableInstance(header.problems[0])
    if header.rows * header.columns * header.frames > settings.maximum_pixels:
        raise UnreadableInstance(f"{header.rows} x {header.columns} x {header.frames} pixels exceed the limit")
    try:
        dataset = dcmread(header.path)
        _check_identity(dataset, header)
        return _hounsfield(_stored_values(dataset, header), dataset)
    except UnreadableInstance:
        raise
    except Exception as error:  # noqa: BLE001  decoders raise anything; their text may quote the data set
        raise UnreadableInstance(f"the pixel data cannot be decoded ({type(error).__name__})") from None


def _check_identity(dataset: Dataset, header: SliceHeader) -> None:
    """The header was read up to the pixels; elements out of order behind them would replace it unseen."""
    if (str(dataset.SOPInstanceUID), patient_key(dataset)) != (header.sop_instance_uid, header.patient_key):
        raise UnreadableInstance("the data set names a second patient or instance behind its pixels")


def _stored_values(dataset: Dataset, header: SliceHeader) -> npt.NDArray[Any]:
    """Decode to int32, shape (rows, columns), with unused high bits cleared and the sign extended."""
    plugin = PLUGINS.get(header.transfer_syntax_uid, "")
    if "PixelData" not in dataset or not dataset.PixelData:
        raise UnreadableInstance("there is no pixel data")
    if not plugin:
        _check_length(len(dataset.PixelData), header)
    else:
        _check_frame(get_frame(dataset.PixelData, 0, number_of_frames=1), header)
    raw, _ = get_decoder(header.transfer_syntax_uid).as_array(dataset, raw=True, decoding_plugin=plugin)
    return _signed(raw.astype(np.int32), int(dataset.BitsStored), bool(dataset.PixelRepresentation))


def _check_frame(frame: bytes, header: SliceHeader) -> None:
    """Refuse what would decode to more than the header's pixels, before a decoder makes room for it."""
    if header.transfer_syntax_uid == RLELossless:
        # Even a careless encoder needs no more than two bytes for one (PS3.5 G.3.1); each may decode to 64.
        longest = RLE_HEADER + 2 * 2 * header.rows * header.columns
        if len(frame) > longest:
            raise UnreadableInstance(f"the compressed frame has {len(frame)} bytes where {longest} at most are needed")
        return
    size = frame_size(frame)
    if size != (header.rows, header.columns):
        raise UnreadableInstance(f"the compressed frame is {size[0]} x {size[1]}, the header says otherwise")


def _check_length(length: int, header: SliceHeader) -> None:
    expected = header.rows * header.columns * 2
    if length != expected:
        raise UnreadableInstance(f"pixel data of {length} bytes where {expected} are needed")


def _signed(values: npt.NDArray[Any], bits: int, signed: bool) -> npt.NDArray[Any]:
    """Keep the low ``bits`` of each value and read them with or without sign; idempotent."""
    low = values & ((1 << bits) - 1)
    return low - ((low >> (bits - 1)) << bits) if signed else low


def _hounsfield(stored: npt.NDArray[Any], dataset: Dataset) -> FloatArray:
    hounsfield = stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    padding = _padding(dataset)
    if padding is not None:
        hounsfield[(stored >= padding[0]) & (stored <= padding[1])] = AIR_HU
    return np.maximum(hounsfield, AIR_HU).astype(np.float32)


def _padding(dataset: Dataset) -> tuple[int, int] | None:
    """Lowest and highest stored value that marks padding; written as US or SS whatever the pixels are, read by bits."""
    elements = Elements(dataset)
    values = [elements.whole(keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    found = [int(_signed(np.array(value), bits, signed)) for value in values if value is not None]
    return (min(found), max(found)) if values[0] is not None else None
