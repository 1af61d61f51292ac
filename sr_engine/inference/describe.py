"""What a thick volume is like, in the quantities of a model card's coverage."""

import numpy as np
from scipy import ndimage

from sr_engine.coverage import Scan
from sr_engine.volume import FloatArray, Volume

SOFT_TISSUE_HU = (-100.0, 200.0)
LOOKED_AT = 12  # slices, spread evenly
LEAST_PIXELS = 200
PER_MAD = 1 / 0.6745  # standard deviation of a normal distribution for each of its median absolute deviations
COARSE = 4  # in-plane step with which quantiles are counted
DARKEST, BRIGHTEST = 0.01, 0.9999


def describe(thick: Volume, ratio: int) -> Scan:
    """Measure a thick volume that is restored at ``ratio``."""
    darkest, brightest = np.quantile(thick.voxels[:, ::COARSE, ::COARSE], (DARKEST, BRIGHTEST))
    step, row, column = thick.spacing_mm
    return Scan(
        ratio=ratio,
        step_mm=step,
        overlap=thick.slice_thickness_mm / step,
        pixel_mm=(row + column) / 2,
        noise_hu=noise_hu(thick.voxels),
        darkest_hu=float(darkest),
        brightest_hu=float(brightest),
        shear_deg=thick.shear_deg,
    )


def noise_hu(voxels: FloatArray) -> float | None:
    """Standard deviation of noise in soft tissue, HU; None where there is too little soft tissue.

    Second differences along rows of second differences along columns (Immerkaer's mask) leave nothing of edges and
    gradients; their median absolute deviation does not see vessels. Only the finest grain counts: a smooth kernel's
    noise shows less than its standard deviation, a sharp one's more.
    """
    chosen = np.unique(np.linspace(0, len(voxels) - 1, LOOKED_AT).round().astype(int))
    found = [value for value in (_noise_of(voxels[index]) for index in chosen) if value is not None]
    return float(np.median(found)) if found else None


def _noise_of(plane: FloatArray) -> float | None:
    low, high = SOFT_TISSUE_HU
    if min(plane.shape) < 3:
        return None
    inside = ndimage.binary_erosion((plane > low) & (plane < high), np.ones((3, 3)))[1:-1, 1:-1]  # type: ignore[attr-defined]
    if np.count_nonzero(inside) < LEAST_PIXELS:
        return None
    grain = np.diff(np.diff(plane, 2, axis=0), 2, axis=1)[inside] / 6  # the mask's norm
    return float(np.median(np.abs(grain)) * PER_MAD)
