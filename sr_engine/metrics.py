"""How far a restored volume is from the truth. One number per volume."""

import math

import numpy as np
from scipy import ndimage

from sr_engine.volume import FloatArray

SSIM_SIGMA, SSIM_REACH = 1.5, 5  # an 11 x 11 window
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


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


def ssim(restored: FloatArray, truth: FloatArray, low_hu: float, high_hu: float) -> float:
    """Structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861), mean over slices, 1 for equal volumes.

    As in TVSRN's evaluation: per axial slice, low..high scaled to 0..1, Gaussian window of 11 x 11 with sigma 1.5,
    zeros beyond the border, mean over the map.
    """
    scaled = [np.clip((volume - low_hu) / (high_hu - low_hu), 0, 1) for volume in (restored, truth)]
    return float(np.mean([_ssim_of_slice(a, b) for a, b in zip(*scaled, strict=True)]))


def _ssim_of_slice(one: FloatArray, other: FloatArray) -> float:
    def blur(image: FloatArray) -> FloatArray:
        blurred = ndimage.gaussian_filter(  # type: ignore[attr-defined]
            image, SSIM_SIGMA, mode="constant", truncate=SSIM_REACH / SSIM_SIGMA
        )
        return np.asarray(blurred, dtype=np.float32)

    mean_one, mean_other = blur(one), blur(other)
    spread = blur(one * one) + blur(other * other) - mean_one**2 - mean_other**2
    shared = blur(one * other) - mean_one * mean_other
    levels = (2 * mean_one * mean_other + SSIM_C1) / (mean_one**2 + mean_other**2 + SSIM_C1)
    return float((levels * (2 * shared + SSIM_C2) / (spread + SSIM_C2)).mean())


def _mean(magnitude: np.ufunc, restored: FloatArray, truth: FloatArray) -> float:
    """Mean of ``magnitude(restored - truth)`` in float64, slice by slice to spare memory."""
    if restored.shape != truth.shape or restored.size == 0:
        raise ValueError(f"cannot compare shapes {restored.shape} and {truth.shape}: they must be equal and not empty")
    total = sum(float(magnitude(a - b).sum(dtype=np.float64)) for a, b in zip(restored, truth, strict=True))
    return total / restored.size
