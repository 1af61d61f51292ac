"""Tissue labels made from the CT itself: what the segmentation U-Net of the second stage learns from.

No labelled set comes with the program. RDST's Table 10 (arXiv 2302.11184) finds that it hardly matters which set the
U-Net was trained on; so classes that thresholds and connected air spaces can tell apart have to do. They teach edges of
lung, vessel and bone. They are no anatomy, and nothing clinical may be read from them.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sr_engine.volume import FloatArray

TISSUES = ("air", "lung", "soft tissue", "bone")  # the label is the place in this list
AIR_BELOW_HU, BONE_FROM_HU = -320.0, 250.0  # contrast in large vessels counts as bone: nothing here knows better
SMALLEST_LUNG_MM3 = 100_000.0
COARSE = 2  # in-plane step of the lung search
CLOSING = 3  # coarse voxels; closes vessels up to about 5 mm into the lung

Labels = npt.NDArray[np.uint8]


def label_tissues(voxels: FloatArray, spacing_mm: tuple[float, float, float]) -> Labels:
    """Label every voxel.

    Parameters
    ----------
    voxels : ndarray, float32, shape (slices, rows, columns)
        HU of a chest, sides inside the image: an air space that reaches the border of a slice is not lung.
    spacing_mm : tuple of float
        Along (slice, row, column).

    Returns
    -------
    ndarray, uint8, shape (slices, rows, columns)
        Places in ``TISSUES``.
    """
    labels = np.where(voxels < AIR_BELOW_HU, 0, 2).astype(np.uint8)
    labels[_lung(voxels, spacing_mm)] = 1
    labels[ndimage.gaussian_filter(voxels, (0, 0.7, 0.7)) >= BONE_FROM_HU] = 3  # type: ignore[attr-defined]
    return labels


def _lung(voxels: FloatArray, spacing_mm: tuple[float, float, float]) -> npt.NDArray[np.bool_]:
    """Air spaces of 100 ml or more inside the body, with the small vessels in them."""
    air = voxels[:, ::COARSE, ::COARSE] < AIR_BELOW_HU
    spaces, count = ndimage.label(air)  # type: ignore[attr-defined]
    sizes = np.bincount(spaces.ravel(), minlength=count + 1) * float(np.prod(spacing_mm)) * COARSE**2
    for face in (spaces[:, 0], spaces[:, -1], spaces[:, :, 0], spaces[:, :, -1]):
        sizes[np.unique(face)] = 0
    sizes[0] = 0
    square = np.ones((1, CLOSING, CLOSING), dtype=bool)
    closed = ndimage.binary_closing((sizes >= SMALLEST_LUNG_MM3)[spaces], square)  # type: ignore[attr-defined]
    rim = _fine(ndimage.binary_dilation(closed, square), voxels)  # type: ignore[attr-defined]
    return _fine(closed, voxels) | (rim & (voxels < AIR_BELOW_HU))  # the coarse search misses half a voxel at the rim


def _fine(coarse: npt.NDArray[np.bool_], voxels: FloatArray) -> npt.NDArray[np.bool_]:
    fine = coarse.repeat(COARSE, axis=1).repeat(COARSE, axis=2)
    return np.asarray(fine[:, : voxels.shape[1], : voxels.shape[2]], dtype=np.bool_)
