"""What teaches: a thin volume, and the real thick reconstruction of the same scan where there is one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Voxels = npt.NDArray[np.int16]


@dataclass(frozen=True)
class RealThick:
    """A real thick reconstruction on the grid of its thin one: thick slice k is centred on thin ``first + k * ratio``.

    Attributes
    ----------
    voxels : ndarray, int16, shape (slices, rows, columns)
        HU; rows and columns are those of the thin volume, and every slice lies between its ends.
    ratio : int
        Thin slices per thick spacing, >= 2.
    first : int
        Thin index of thick slice 0, >= 0.
    thickness_mm : float
        Of one thick slice.
    """

    voxels: Voxels
    ratio: int
    first: int
    thickness_mm: float


@dataclass(frozen=True)
class Subject:
    """A thin volume that teaches or is scored.

    Attributes
    ----------
    name : str
        File name without its ending.
    voxels : ndarray, int16, shape (slices, rows, columns)
        HU; whole numbers spare half the memory.
    spacing_mm : tuple of float
        Along (slice, row, column).
    real : RealThick or None
        None where thick slices can only be simulated.
    """

    name: str
    voxels: Voxels
    spacing_mm: tuple[float, float, float]
    real: RealThick | None = None
