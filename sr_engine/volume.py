"""The records that cross the engine's door. numpy only, so that DICOM code may import them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Volume:
    """A CT volume on a regular grid.

    Attributes
    ----------
    voxels : ndarray, float32, shape (slices, rows, columns)
        Hounsfield units. Slice index rises along the slice normal (row direction x column direction),
        so for a supine axial scan slice 0 is nearest the feet.
    spacing_mm : tuple of float
        Distance between neighbouring slice planes, along their normal, and between neighbouring voxel centres along
        (row, column), each > 0.
    affine : ndarray, float64, shape (4, 4)
        Maps (slice, row, column, 1) indices to patient coordinates (x, y, z, 1) in mm, LPS frame (PS3.3 C.7.6.2.1.1).
        A tilted gantry shears it: its slice axis then leans against the normal.
    slice_thickness_mm : float
        Nominal thickness of one slice; larger than ``spacing_mm[0]`` where reconstructions overlap.
    """

    voxels: FloatArray
    spacing_mm: tuple[float, float, float]
    affine: npt.NDArray[np.float64]
    slice_thickness_mm: float

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or self.voxels.dtype != np.float32:
            raise ValueError(f"voxels must be float32 with 3 axes, not {self.voxels.dtype} with {self.voxels.ndim}")
        if self.affine.shape != (4, 4):
            raise ValueError(f"affine must be 4x4, not {self.affine.shape}")
        if min(self.spacing_mm) <= 0 or self.slice_thickness_mm <= 0:
            raise ValueError(f"spacing {self.spacing_mm} and thickness {self.slice_thickness_mm} must be positive")

    @property
    def shear_deg(self) -> float:
        """Angle between the slice axis and the normal of the slices; 0 in an upright stack."""
        way, column, row = self.affine[:3, :3].T
        normal = np.cross(row, column)
        across = float(np.linalg.norm(np.cross(way, normal)))
        return float(np.degrees(np.arctan2(across, abs(float(way @ normal)))))

    def position_mm(self, slice_index: float) -> npt.NDArray[np.float64]:
        """Centre of the first transmitted pixel of a slice: ImagePositionPatient, shape (3,), mm, LPS."""
        return self.affine[:3, 3] + slice_index * self.affine[:3, 0]


@dataclass(frozen=True)
class ModelIdentity:
    """Which network with which weights made a volume.

    Attributes
    ----------
    name : str
        Registry name, for example ``tvsrn_v2``.
    title : str
        Name for people, for example ``TVSRN-V2``.
    version : str
        Version of the weights, or of the program where a network needs none.
    digest : str
        sha256 (hex) of the weights file and configuration: equal digest, equal output.
    learned : bool
        False for plain interpolation.
    """

    name: str
    title: str
    version: str
    digest: str
    learned: bool


@dataclass(frozen=True)
class SliceOrigin:
    """Where one thin slice comes from.

    Attributes
    ----------
    thick_below, thick_above : int
        Indices of the neighbouring thick slices; equal where the thin slice lies on a thick position.
    edge : bool
        True where the network saw repeated slices in place of missing ones.
    """

    thick_below: int
    thick_above: int
    edge: bool


@dataclass(frozen=True)
class SelfCheck:
    """What comparing a restored volume with its source found. All differences in HU, restored minus source.

    Attributes
    ----------
    mean_offset_hu, rms_error_hu, max_slice_offset_hu : float
        The restored volume averaged over the source's slice profile against the source:
        mean difference, root mean square difference, largest absolute mean difference of one slice.
    lung_offset_hu : float or None
        Mean difference inside eroded lung; None where no lung was found.
    minimum_hu, maximum_hu : float
        Range of the restored volume.
    roughness_ratio : float
        Mean absolute slice-to-slice step of the restored volume against that of straight lines between thick slices
        (1 = equal).
    laa950_percent, source_laa950_percent : float or None
        Low attenuation area: per cent of eroded lung below -950 HU, of the restored volume and of its source in the
        same lung; None where no lung was found. Thin slices are expected to have more, averaging hides small holes.
    network_rms_hu : float or None
        ``rms_error_hu`` of what the network made, before data consistency hid it; None where nothing was changed.
    window_seam, tile_seam : float or None
        How much larger the steps are where windows along z, or tiles in the plane, were joined than at like places
        elsewhere; 1 is no seam. None where nothing was joined, or nothing was not.
    beyond_neighbours_percent : float or None
        Per cent of the voxels that lie more than 200 HU beyond all of the three nearest thick slices at their place.
    max_slice_shift_hu : float or None
        Largest distance of a thin slice's mean from the range of those of the three nearest thick slices.
    beyond_range_percent : float or None
        Per cent of the voxels that lie more than 50 HU beyond all of the source's. These three are None in a result of
        earlier versions.
    """

    mean_offset_hu: float
    rms_error_hu: float
    max_slice_offset_hu: float
    lung_offset_hu: float | None
    minimum_hu: float
    maximum_hu: float
    roughness_ratio: float
    laa950_percent: float | None = None
    source_laa950_percent: float | None = None
    network_rms_hu: float | None = None
    window_seam: float | None = None
    tile_seam: float | None = None
    beyond_neighbours_percent: float | None = None
    max_slice_shift_hu: float | None = None
    beyond_range_percent: float | None = None


@dataclass(frozen=True)
class ThinVolume:
    """A restored volume with its provenance: ``origins[k]`` belongs to thin slice ``volume.voxels[k]``.

    ``device`` and ``tile`` say where it was computed and in what pieces; tile None is the whole plane. ``doubts`` holds
    a sentence for each way in which the source lies beyond what the network was trained or tested on.
    """

    volume: Volume
    ratio: int
    model: ModelIdentity
    origins: tuple[SliceOrigin, ...]
    check: SelfCheck
    device: str = "cpu"
    tile: int | None = None
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.origins) != len(self.volume.voxels):
            raise ValueError(f"{len(self.origins)} origins for {len(self.volume.voxels)} slices")
