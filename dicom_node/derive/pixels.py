"""Hounsfield units to stored values and to a window (PS3.3 C.7.6.3, C.8.2.1, C.11.2)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from dicom_node.derive.values import clean_value
from dicom_node.errors import ConformanceError
from sr_engine.volume import FloatArray

BITS = 16
RESCALE_SLOPE = 1
RESCALE_INTERCEPT = 0
# Soft tissue and lung, for sources that suggest no window of their own.
DEFAULT_CENTERS = (40, -600)
DEFAULT_WIDTHS = (400, 1500)
DEFAULT_EXPLANATIONS = ("SOFT TISSUE", "LUNG")


def stored_values(slice_hu: FloatArray) -> npt.NDArray[np.int16]:
    """Stored values of one slice: signed 16 bit, Rescale Slope 1, Rescale Intercept 0, so that they are HU themselves.

    Signed with all 16 bits, because scanners deliver -2048 and more than 4095 - 1024 HU (metal) in one series.

    Parameters
    ----------
    slice_hu : ndarray, float32, shape (rows, columns)
        Hounsfield units; rounded to the nearest integer, clipped to what 16 bits hold.

    Raises
    ------
    ConformanceError
        A value is not finite.
    """
    if not np.isfinite(slice_hu).all():
        raise ConformanceError("A restored slice holds values that are not finite: nothing was written")
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(slice_hu), limits.min, limits.max).astype(np.int16)


def window(source: Dataset) -> tuple[Sequence[object], Sequence[object], Sequence[object]]:
    """Window centers, widths (HU) and their explanations: the source's where it has a legal pair, else the defaults.

    The source's window applies to its rescaled values, which are HU as ours are. Explanations may be empty.
    """
    centers, widths = _as_list(clean_value(source, "WindowCenter")), _as_list(clean_value(source, "WindowWidth"))
    if not centers or len(centers) != len(widths) or any(float(width) < 1 for width in widths):
        return DEFAULT_CENTERS, DEFAULT_WIDTHS, DEFAULT_EXPLANATIONS
    explanations = _as_list(clean_value(source, "WindowCenterWidthExplanation"))
    return centers, widths, explanations if len(explanations) == len(centers) else ()


def _as_list(value: object) -> list[str]:
    """Texts of a value that may have none, one or several."""
    if value is None:
        return []
    texts = [str(text) for text in value] if isinstance(value, list) else [str(value)]
    return texts if all(texts) else []
