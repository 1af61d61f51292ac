"""Compare a restored volume with what was acquired: no truth is needed, and a shift of HU shows in full.

The restored slices are averaged back over the thick slice profile, a box as wide as the slice thickness, and the source
is subtracted. Regression networks are known to displace lung by -16 to -20 HU, which this sees. Plain interpolation
smooths twice here (it treats averages as points), so its root mean square error is not zero; that is expected.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sr_engine.inference import slicewise
from sr_engine.inference.tiling import Joins
from sr_engine.volume import FloatArray, SelfCheck, Volume

EMPHYSEMA_HU = -950.0  # LAA-950, the usual density score of emphysema on inspiratory CT
LUNG_BELOW_HU = -320.0  # between lung (-950..-500) and soft tissue (0..80)
SMALLEST_LUNG_MM3 = 100_000.0  # 100 ml; keeps bowel gas and table foam out
LUNG_SHARE = 0.25  # of the largest air space: keeps the second lung, drops the rest
COARSE = 2  # in-plane step of the lung search


def check(restored: Volume, source: Volume, ratio: int, joins: Joins | None = None) -> SelfCheck:
    """Compute the figures of a restored volume.

    Parameters
    ----------
    restored : Volume
        Thin slices; slice ``ratio * k`` lies on source slice ``k``.
    source : Volume
        Thick slices.
    ratio : int
        Thin slices per thick spacing.
    joins : Joins, optional
        Where pieces meet that were restored apart.

    Returns
    -------
    SelfCheck
        Differences in HU over the slices whose whole profile lies inside the restored volume; over all slices, with
        what there is of their profile, where none does.
    """
    profile = box_profile(source.slice_thickness_mm, restored.spacing_mm[0])
    lung = find_lung(source)
    slices = _whole_profiles(len(source.voxels), ratio, len(profile) // 2)
    squares, offsets, lung_sum, lung_count = 0.0, [], 0.0, 0
    for index in slices:
        difference = _rethicken(restored.voxels, index * ratio, profile) - source.voxels[index]
        squares += float(np.square(difference).mean(dtype=np.float64))
        offsets.append(float(difference.mean(dtype=np.float64)))
        inside = difference[lung[index]]
        lung_sum, lung_count = lung_sum + float(inside.sum(dtype=np.float64)), lung_count + inside.size
    seen = slicewise.look(restored.voxels, source.voxels, ratio)
    joins = joins or Joins()
    return SelfCheck(
        mean_offset_hu=float(np.mean(offsets)),
        rms_error_hu=float(np.sqrt(squares / len(slices))),
        max_slice_offset_hu=float(np.max(np.abs(offsets))),
        lung_offset_hu=lung_sum / lung_count if lung_count else None,
        minimum_hu=float(restored.voxels.min()),
        maximum_hu=float(restored.voxels.max()),
        roughness_ratio=roughness_ratio(seen.steps, source.voxels, ratio),
        laa950_percent=laa950(restored.voxels, _nearest(lung, len(restored.voxels), ratio)),
        source_laa950_percent=laa950(source.voxels, lung),
        window_seam=slicewise.window_seam(seen.steps, joins.slices, ratio),
        tile_seam=slicewise.tile_seam(restored.voxels, source.voxels, joins.rows, joins.columns),
        beyond_neighbours_percent=seen.beyond_neighbours_percent,
        max_slice_shift_hu=seen.max_slice_shift_hu,
        beyond_range_percent=seen.beyond_range_percent,
    )


def laa950(voxels: FloatArray, lung: npt.NDArray[np.bool_]) -> float | None:
    """Per cent of the voxels in ``lung``, of the same shape, that lie below -950 HU; None where there is no lung."""
    return float((voxels[lung] < EMPHYSEMA_HU).mean() * 100) if lung.any() else None


def box_profile(width_mm: float, step_mm: float) -> npt.NDArray[np.float64]:
    """Weights of thin slices under a box of ``width_mm`` centred on one of them: odd length, symmetric, sum 1.

    A slice counts with the part of its own cell, ``step_mm`` wide, that the box covers.
    """
    reach = max(0, int(np.ceil(width_mm / step_mm / 2 - 0.5 - 1e-6)))
    centres = np.arange(-reach, reach + 1) * step_mm
    covered = np.minimum(centres + step_mm / 2, width_mm / 2) - np.maximum(centres - step_mm / 2, -width_mm / 2)
    return np.asarray(covered / covered.sum(), dtype=np.float64)


def roughness_ratio(steps: npt.NDArray[np.float64], thick: FloatArray, ratio: int) -> float:
    """Mean of the thin slices' ``steps`` against that of straight lines between thick ones; 1 if nothing varies."""
    if len(thick) < 2:
        return 1.0
    straight = float(np.mean([np.abs(after - before).mean() for before, after in pairwise(thick)])) / ratio
    return float(steps.mean()) / straight if straight > 0 else 1.0


def find_lung(source: Volume) -> npt.NDArray[np.bool_]:
    """Find lung well away from its border: the large air spaces that do not reach the image border, eroded.

    Returns
    -------
    ndarray, bool, shape (slices, rows, columns)
        All False where no air space inside the body is large enough.
    """
    air = source.voxels[:, ::COARSE, ::COARSE] < LUNG_BELOW_HU
    labels, count = ndimage.label(air)  # type: ignore[attr-defined]
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * (float(np.prod(source.spacing_mm)) * COARSE**2)
    border = [labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]]
    sizes[np.unique(np.concatenate([face.ravel() for face in border]))] = 0
    sizes[0] = 0
    kept = (sizes >= SMALLEST_LUNG_MM3) & (sizes >= LUNG_SHARE * sizes.max())
    inner = ndimage.binary_erosion(kept[labels], np.ones((3, 5, 5)))  # type: ignore[attr-defined]
    fine = inner.repeat(COARSE, axis=1).repeat(COARSE, axis=2)
    return np.asarray(fine[:, : source.voxels.shape[1], : source.voxels.shape[2]], dtype=np.bool_)


def _nearest(lung: npt.NDArray[np.bool_], thin_slices: int, ratio: int) -> npt.NDArray[np.bool_]:
    """Lung on the thin grid: every thin slice has that of the nearest thick one."""
    nearest = (np.arange(thin_slices) + ratio // 2) // ratio
    return np.asarray(lung[np.minimum(nearest, len(lung) - 1)], dtype=np.bool_)


def _whole_profiles(thick_slices: int, ratio: int, reach: int) -> list[int]:
    """Thick slices whose profile, ``reach`` thin slices either way, lies inside the volume; all where none does."""
    last = (thick_slices - 1) * ratio
    inside = [index for index in range(thick_slices) if reach <= index * ratio <= last - reach]
    return inside or list(range(thick_slices))


def _rethicken(thin: FloatArray, centre: int, profile: npt.NDArray[np.float64]) -> FloatArray:
    """Average thin slices around ``centre`` under the profile, cut and rescaled at the volume's ends."""
    reach = len(profile) // 2
    start, stop = max(0, centre - reach), min(len(thin), centre + reach + 1)
    weights = profile[start - centre + reach : stop - centre + reach]
    return np.asarray(np.tensordot(weights / weights.sum(), thin[start:stop], axes=1), dtype=np.float32)
