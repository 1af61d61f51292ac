"""How far a restored volume is from the truth. One number per volume, over all its voxels."""

import math

import numpy as np

from sr_engine.volume import FloatArray


def rmse_hu(restored: FloatArray, truth: FloatArray) -> float:
    """Root mean square difference in HU; arrays of one shape."""
    return math.sqrt(_mean(np.square, restored, truth))


def mae_hu(restored: FloatArray, truth: FloatArray) -> float:
    """Mean absolute difference in HU; arrays of one shape."""
    return _mean(np.abs, restored, truth)


def psnr_db(restored: FloatArray, truth: FloatArray, low_hu: float, high_hu: float) -> float:
    """Peak signal-to-noise ratio in dB: 20 log10((high - low) / RMSE), both volumes clipped to low..high first.

    One mean over the whole volume, as in TVSRN's evaluation, not a mean of slices' figures (the two differ by up to
    1 dB). Equal volumes give infinity.
    """
    error = rmse_hu(np.clip(restored, low_hu, high_hu), np.clip(truth, low_hu, high_hu))
    return math.inf if error == 0 else 20 * math.log10((high_hu - low_hu) / error)


def _mean(magnitude: np.ufunc, restored: FloatArray, truth: FloatArray) -> float:
    """Mean of ``magnitude(restored - truth)`` in float64, slice by slice to spare memory."""
    if restored.shape != truth.shape or restored.size == 0:
        raise ValueError(f"cannot compare shapes {restored.shape} and {truth.shape}: they must be equal and not empty")
    total = sum(float(magnitude(a - b).sum(dtype=np.float64)) for a, b in zip(restored, truth, strict=True))
    return total / restored.size
