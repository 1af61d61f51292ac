"""Where a restored volume jumps: at the joins of windows and tiles, from slice to slice, out of its source's range.

What was acquired tells how much a volume may vary. One pass over the slices, a few planes of memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sr_engine.volume import FloatArray

Steps = npt.NDArray[np.float64]

# A thin slice may show what thick ones averaged away, and has more noise; see docs/engine.md.
NEIGHBOUR_MARGIN_HU = 200.0
RANGE_MARGIN_HU = 50.0  # beyond the source's darkest and brightest voxel: noise alone goes no further
REACH = 8  # rows or columns on either side with which a join in the plane is compared
LEAST_STEP_HU = 1.0  # added to steps in the plane, so that those of padding are not divided by each other


@dataclass(frozen=True)
class Slicewise:
    """What one pass over the thin slices found.

    Attributes
    ----------
    steps : ndarray, float64, shape (thin slices - 1,)
        Mean absolute difference of neighbouring slices, HU.
    beyond_neighbours_percent : float
        Per cent of the voxels that lie more than NEIGHBOUR_MARGIN_HU beyond all of the nearest thick slice and its two
        neighbours at their place.
    max_slice_shift_hu : float
        Largest distance of a thin slice's mean from the range of those of the same three thick slices.
    beyond_range_percent : float
        Per cent of all voxels that lie more than RANGE_MARGIN_HU beyond all of the source's.
    """

    steps: Steps
    beyond_neighbours_percent: float
    max_slice_shift_hu: float
    beyond_range_percent: float


def look(thin: FloatArray, thick: FloatArray, ratio: int) -> Slicewise:
    """Go through thin slices, ``thin[ratio * k]`` on ``thick[k]``; both float32 HU of shape (slices, rows, columns).

    The nearest three thick slices bound a thin one, not the two beside it: where a body ends inside a thick slice, thin
    slices in it are one or the other, and not the mean.
    """
    means = [float(plane.mean(dtype=np.float64)) for plane in thick]
    lowest, highest = float(thick.min()) - RANGE_MARGIN_HU, float(thick.max()) + RANGE_MARGIN_HU
    steps, shifts, beyond, outside = [], [], 0, 0
    for nearest in range(len(thick)):
        around = slice(max(nearest - 1, 0), nearest + 2)
        low = thick[around].min(axis=0) - np.float32(NEIGHBOUR_MARGIN_HU)
        high = thick[around].max(axis=0) + np.float32(NEIGHBOUR_MARGIN_HU)
        first, last = max(nearest * ratio - ratio // 2, 0), min((nearest + 1) * ratio - ratio // 2, len(thin))
        for index in range(first, last):
            plane = thin[index]
            beyond += _count_outside(plane, low, high)
            outside += _count_outside(plane, lowest, highest)
            shifts.append(_distance(float(plane.mean(dtype=np.float64)), means[around]))
            if index:
                steps.append(float(np.abs(plane - thin[index - 1]).mean(dtype=np.float64)))
    return Slicewise(
        steps=np.array(steps),
        beyond_neighbours_percent=100 * beyond / thin.size,
        max_slice_shift_hu=max(shifts),
        beyond_range_percent=100 * outside / thin.size,
    )


def window_seam(steps: Steps, joins: Sequence[int], ratio: int) -> float | None:
    """How much larger steps between slices are where windows join than at like places between thick slices elsewhere.

    Each step counts relative to those around it, and medians are compared, so that anatomy plays little part. Windows
    share slices: a seam shows at the step into what they share and at the step out of it, and the smaller one counts.

    Parameters
    ----------
    steps : ndarray, shape (thin slices - 1,)
        Mean absolute step after each slice but the last.
    joins : sequence of int
        Indices of the steps at which windows join.

    Returns
    -------
    float or None
        1 where joins are like the rest; None where there is no join, or no rest (cubic interpolation joins everywhere).
    """
    around = ndimage.uniform_filter1d(steps, 2 * ratio + 1, mode="nearest")  # type: ignore[attr-defined]
    relative = np.divide(steps, around, out=np.ones_like(steps), where=around > 0)
    place = np.arange(len(steps))
    inside = (place >= ratio) & (place < len(steps) - ratio)  # the outer spacings have slices that were repeated
    at = np.isin(place, joins)
    found = [
        float(np.median(relative[at & like]) / max(np.median(relative[~at & like]), np.finfo(float).tiny))
        for like in (inside & (place % ratio == phase) for phase in range(ratio))
        if (at & like).any() and (~at & like).any()
    ]
    return min(found, default=None)


def tile_seam(thin: FloatArray, thick: FloatArray, rows: Sequence[int], columns: Sequence[int]) -> float | None:
    """How much larger steps in the plane are where tiles join than beside it, each relative to the source's own steps.

    Parameters
    ----------
    thin, thick : ndarray, float32, shape (slices, rows, columns)
        HU.
    rows, columns : sequence of int
        A tile's border lies between each of these and the next.

    Returns
    -------
    float or None
        1 where joins are like what lies around them; None where the plane was restored whole.
    """
    found = [_seam_at(thin, thick, axis, border) for axis, borders in ((1, rows), (2, columns)) for border in borders]
    return float(np.mean(found)) if found else None


def _distance(value: float, allowed: Sequence[float]) -> float:
    """How far a value lies outside the range of others; 0 inside."""
    return max(value - max(allowed), min(allowed) - value, 0.0)


def _count_outside(plane: FloatArray, low: FloatArray | float, high: FloatArray | float) -> int:
    return int(np.count_nonzero(plane < low)) + int(np.count_nonzero(plane > high))


def _seam_at(thin: FloatArray, thick: FloatArray, axis: int, border: int) -> float:
    start = max(0, border - REACH)
    beside = slice(start, border + REACH + 2)
    relative = _steps_in_plane(thin, axis, beside) / _steps_in_plane(thick, axis, beside)
    return float(relative[border - start] / np.median(np.delete(relative, border - start)))


def _steps_in_plane(voxels: FloatArray, axis: int, part: slice) -> Steps:
    cut = voxels[:, part] if axis == 1 else voxels[:, :, part]
    steps = np.abs(np.diff(cut, axis=axis)).mean(axis=(0, 3 - axis), dtype=np.float64)
    return np.asarray(steps + LEAST_STEP_HU)
