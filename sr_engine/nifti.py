"""NIfTI files as volumes.

NIfTI counts in RAS, :class:`Volume` in LPS. The through-plane axis is the file's superior axis after turning it to the
closest canonical orientation, so axial scans stored in any order load alike; oblique and sheared affines are kept.
"""

import zlib
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import OrientationError
from nibabel.spatialimages import HeaderDataError, SpatialImage

from sr_engine.errors import InvalidVolume
from sr_engine.volume import FloatArray, Volume

ENDINGS = (".nii", ".nii.gz")
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
WHOLE_HU_RANGE = 256.0  # over a smaller range rounding to whole HU would be seen


def load(path: Path) -> Volume:
    """Read a CT volume in HU.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz`` with 3 axes.

    Returns
    -------
    Volume
        Axes (foot to head, front to back, right to left of the patient); slice thickness is the spacing, as NIfTI
        knows no other.

    Raises
    ------
    InvalidVolume
        Missing, unreadable, empty, without 3 axes or a usable affine, or with values that are not finite.
    """
    if not path.is_file():
        raise InvalidVolume(f"there is no file {path}")
    try:
        data, affine = _read(path)
    except OrientationError as error:
        raise InvalidVolume(f"{path} has no usable affine: its axes do not span space") from error
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise InvalidVolume(f"{path} cannot be read as NIfTI: {error}") from error
    if not np.isfinite(data).all():
        raise InvalidVolume(f"{path} has values that are not numbers: replace NaN and infinity by HU, air by -1024")
    return _to_volume(data, affine, path)


def save(path: Path, volume: Volume) -> None:
    """Write a volume in HU with its geometry; axes right to left, front to back, foot to head.

    Values are rounded to whole HU (int16) where they fit and span at least 256 HU, as CT does; else kept as float32.

    Raises
    ------
    InvalidVolume
        The name does not end in ``.nii`` or ``.nii.gz``.
    """
    if not path.name.endswith(ENDINGS):
        raise InvalidVolume(f"{path} is no NIfTI name: let it end in .nii or .nii.gz")
    affine = RAS_TO_LPS @ volume.affine[:, [2, 1, 0, 3]]
    image = nibabel.Nifti1Image(_stored(volume.voxels).transpose(2, 1, 0), affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    nibabel.save(image, path)


def _read(path: Path) -> tuple[FloatArray, npt.NDArray[np.float64]]:
    """Data and affine (RAS), axes turned to (right, anterior, superior)."""
    image = nibabel.load(path)
    if not isinstance(image, SpatialImage):  # nibabel also reads surfaces and tracks
        raise InvalidVolume(f"{path} is a {type(image).__name__}, not a volume")
    shape = tuple(image.shape)
    if len(shape) != 3 or 0 in shape:
        raise InvalidVolume(f"{path} has shape {shape}: one volume with 3 axes and at least one voxel is needed")
    image = nibabel.as_closest_canonical(image)  # type: ignore[no-untyped-call]
    return np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine, dtype=np.float64)


def _to_volume(data: FloatArray, ras: npt.NDArray[np.float64], path: Path) -> Volume:
    """Turn data (right, anterior, superior) into (slice, row, column) and its affine into LPS."""
    columns, rows, _ = data.shape
    # Column index rises to the left and row index to the back; so slices rise to the head (right-handed).
    flipped = ras @ np.array([[-1, 0, 0, columns - 1], [0, -1, 0, rows - 1], [0, 0, 1, 0], [0, 0, 0, 1]])
    affine = (RAS_TO_LPS @ flipped)[:, [2, 1, 0, 3]]
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InvalidVolume(f"{path} has no usable affine: its axes do not span space")
    _, row, column = (float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
    spacing = (_along_normal(affine), row, column)
    voxels = np.ascontiguousarray(data[::-1, ::-1].transpose(2, 1, 0))
    return Volume(voxels, spacing, affine, slice_thickness_mm=spacing[0])


def _along_normal(affine: npt.NDArray[np.float64]) -> float:
    """Distance of neighbouring slice planes: less than that of their corners where the volume is sheared."""
    normal = np.cross(affine[:3, 1], affine[:3, 2])
    return abs(float(affine[:3, 0] @ normal)) / float(np.linalg.norm(normal))


def _stored(voxels: FloatArray) -> npt.NDArray[np.generic]:
    low, high = float(voxels.min()), float(voxels.max())
    limits = np.iinfo(np.int16)
    if limits.min <= low and high <= limits.max and high - low >= WHOLE_HU_RANGE:
        return np.rint(voxels).astype(np.int16)
    return voxels
