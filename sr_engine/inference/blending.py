"""Join overlapping predictions: averaged along z (TVSRN-V2), fading linearly in plane, which hides seams."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sr_engine.inference.tiling import Window
from sr_engine.volume import FloatArray


def fades(spans: Sequence[slice], size: int) -> list[FloatArray]:
    """Weights of tiles along one axis, linear over the overlaps and summing to 1 at every voxel.

    Parameters
    ----------
    spans : sequence of slice
        Tiles as ``tiling.spans`` chooses them.
    size : int
        Length of the axis.

    Returns
    -------
    list of ndarray, float32, shape (length of the tile,)
    """
    raw = np.zeros((len(spans), size))
    for index, span in enumerate(spans):
        place = np.arange(span.stop - span.start) + 1.0
        rise = place if index > 0 else np.inf
        fall = place[::-1] if index < len(spans) - 1 else np.inf
        before = spans[index - 1].stop - span.start if index > 0 else 1
        after = span.stop - spans[index + 1].start if index < len(spans) - 1 else 1
        raw[index, span] = np.minimum(1.0, np.minimum(rise / (before + 1), fall / (after + 1)))
    raw /= raw.sum(axis=0)
    return [row[span].astype(np.float32) for row, span in zip(raw, spans, strict=True)]


class Blender:
    """Adds weighted predictions into one thin volume; the weights of all that meet in a voxel sum to 1.

    Parameters
    ----------
    shape : tuple of int
        Thin slices, rows, columns.
    windows : sequence of Window
        All windows along z.
    rows, columns : sequence of slice
        All tiles in plane.

    Attributes
    ----------
    voxels : ndarray, float32, shape (thin slices, rows, columns)
        HU; complete once every tile of every window has been added.
    """

    def __init__(
        self, shape: tuple[int, int, int], windows: Sequence[Window], rows: Sequence[slice], columns: Sequence[slice]
    ) -> None:
        self.voxels: FloatArray = np.zeros(shape, dtype=np.float32)
        self._sum = torch.from_numpy(self.voxels)
        self._share = torch.zeros(shape[0])
        for window in windows:
            self._share[window.thin] += 1
        self._share.reciprocal_()
        self._rows = {
            span.start: torch.from_numpy(fade) for span, fade in zip(rows, fades(rows, shape[1]), strict=True)
        }
        self._columns = {
            span.start: torch.from_numpy(fade) for span, fade in zip(columns, fades(columns, shape[2]), strict=True)
        }

    def add(self, window: Window, rows: slice, columns: slice, predicted: Tensor) -> None:
        """Add the prediction (thin slices of the window, rows, columns) of one tile, on the CPU."""
        fade = self._rows[rows.start][:, None] * self._columns[columns.start]
        weight = self._share[window.thin, None, None] * fade
        self._sum[window.thin, rows, columns].addcmul_(predicted, weight)
