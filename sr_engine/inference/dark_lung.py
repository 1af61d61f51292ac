"""Dark lung: a network predicts it with less variation than it has, so that too little of it lies below -950 HU.

A network that learned by its error answers with a mean of what might be. The truth scatters around that, and LAA-950,
the share of lung below -950 HU, counts one tail of the scatter. Here values near -950 HU are made darker, by an amount
that the model card names, and data consistency then takes back what the voxels of a thick slice have in common. So
averages stay as acquired, and only the contrast along z within a thick slice grows, where the network found dark lung.
Values above -920 HU and air below -1000 HU are not lowered. How the depth was chosen, and what it costs:
docs/training.md.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sr_engine.inference.consistency import ROWS, average_matrix, make_consistent
from sr_engine.volume import FloatArray

PLACES_HU = (-1000.0, -950.0, -920.0)  # where darkening ends, is strongest, and begins


def deepen(thin: FloatArray, thick: FloatArray, ratio: int, width: float, depth_hu: float) -> None:
    """Make dark lung in ``thin`` darker in place; it averages back to ``thick`` before and after.

    Parameters
    ----------
    thin, thick, ratio, width
        As in :func:`make_consistent`, after that.
    depth_hu : float
        By how much voxels of -950 HU are lowered before what is common is taken back; 0 leaves all as it is.
    """
    first, average = average_matrix(len(thick), ratio, width)
    if depth_hu == 0 or len(average) == 0:
        return
    kernel, spread = average.astype(np.float32), _lines(len(thin), (first + np.arange(len(average))) * ratio)
    inside = average.any(axis=0)  # beyond the outermost profiles nothing says what is common
    for start in range(0, thin.shape[1], ROWS):
        part = thin[inside, start : start + ROWS]
        lowered = np.interp(part, PLACES_HU, (0.0, depth_hu, 0.0)).astype(np.float32).reshape(len(part), -1)
        lowered -= spread[inside] @ (kernel[:, inside] @ lowered)
        thin[inside, start : start + ROWS] = part - lowered.reshape(part.shape)
    make_consistent(thin, thick, ratio, width)


def depth_hu(measured: Mapping[int, float], ratio: int) -> float:
    """Depth at a ratio: that of a model card, between two ratios on the line between them; 0 where it names none."""
    ratios = sorted(measured)
    return float(np.interp(ratio, ratios, [measured[known] for known in ratios])) if ratios else 0.0


def _lines(count: int, centres: npt.NDArray[np.int_]) -> FloatArray:
    """Matrix that draws straight lines between values at ``centres``, level beyond them; shape (count, centres)."""
    places = np.arange(count)
    return np.stack([np.interp(places, centres, one) for one in np.eye(len(centres))], axis=1).astype(np.float32)
