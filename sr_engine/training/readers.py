"""Reading what teaches from a folder: thin volumes alone, or pairs of real thick and thin reconstructions.

================ ====================================================================================================
``data.layout``  what lies in ``data.folder``
================ ====================================================================================================
``thin``         thin NIfTI volumes in HU; DICOM becomes that by ``thinslice pack-training``
``paired``       folders ``thin`` and ``thick``, NIfTI in HU, equal names for the two of one scan; a thin volume without
                 a thick one teaches by simulation. Laid on each other by position in the patient, never by index
``rplhr``        the RPLHR-CT release (Zenodo 17239183): ``train``, ``val`` and ``test``, each with ``1mm`` and ``5mm``;
                 train teaches, val is scored, test is not touched
================ ====================================================================================================
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sr_engine import nifti
from sr_engine.errors import InvalidVolume
from sr_engine.intensity import CT_RANGE
from sr_engine.training.config import DataConfig
from sr_engine.training.subjects import RealThick, Subject, Voxels
from sr_engine.volume import FloatArray, Volume

GRID_TOLERANCE = 0.05  # of a thin slice or a pixel
RPLHR_RATIO, RPLHR_STEP_MM = 5, 1.0


def read(config: DataConfig) -> tuple[list[Subject], list[Subject]]:
    """Read all volumes of a folder; return those that teach, and those that are held out and scored.

    Raises
    ------
    InvalidVolume
        A file is not a volume, a pair does not lie on one grid, none is left to teach, or a name in ``held_out`` or
        ``scored`` fits no file.
    """
    if config.layout == "rplhr":
        return _read_rplhr(config)
    if config.layout == "paired":
        teach, scored = _divide(config, _files(config.folder / "thin"))
        return [_read_paired(path, config.folder) for path in teach], [
            _read_paired(path, config.folder) for path in scored
        ]
    teach, scored = _divide(config, _files(config.folder))
    return [_read_thin(path) for path in teach], [_read_thin(path) for path in scored]


def lay(name: str, thin: Volume, thick: Volume) -> Subject:
    """Lay a thick reconstruction on the grid of its thin one, by their affines.

    Parameters
    ----------
    name : str
        Of the scan.
    thin, thick : Volume
        In one patient coordinate system; thick slices beyond the thin ones are left out.

    Raises
    ------
    InvalidVolume
        Rows and columns are not the same places, or thick slices do not fall on thin ones.
    """
    step_mm = thin.spacing_mm[0]
    ratio = round(thick.spacing_mm[0] / step_mm)
    if ratio < 2 or abs(thick.spacing_mm[0] / step_mm - ratio) > GRID_TOLERANCE:
        raise InvalidVolume(
            f"{name}: thick slices lie {thick.spacing_mm[0]:g} mm apart and thin ones {step_mm:g} mm, which is no "
            "whole number of 2 or more: reconstruct the thin series anew or leave the pair out"
        )
    slices, side = len(thick.voxels) - 1, min(thick.voxels.shape[1:]) - 1
    corners = np.array([(k, j, j, 1) for k in (0, slices) for j in (0, side)], dtype=float).T
    places = np.linalg.solve(thin.affine, thick.affine @ corners)  # thick corners as thin indices
    first = round(float(places[0, 0]))
    off = float(np.abs(places - corners * [[ratio], [1], [1], [1]] - [[first], [0], [0], [0]]).max())
    if thin.voxels.shape[1:] != thick.voxels.shape[1:] or off > GRID_TOLERANCE:
        raise InvalidVolume(
            f"{name}: thick and thin do not lie on one grid, rows and columns {thick.voxels.shape[1:]} and "
            f"{thin.voxels.shape[1:]}, up to {off:.2f} voxels beside each other: leave the pair out"
        )
    return _subject(name, thin, thick.voxels, ratio, first, thick.slice_thickness_mm)


def _subject(name: str, thin: Volume, thick: FloatArray, ratio: int, first: int, thickness_mm: float) -> Subject:
    """Leave out thick slices beyond the thin volume, and round to whole HU."""
    inside = [k for k in range(len(thick)) if 0 <= first + k * ratio < len(thin.voxels)]
    if len(inside) < 2:
        raise InvalidVolume(f"{name}: fewer than two thick slices lie between the thin ones: leave the pair out")
    real = RealThick(_whole(thick[inside]), ratio, first + inside[0] * ratio, thickness_mm)
    return Subject(name, _whole(thin.voxels), thin.spacing_mm, real)


def _read_thin(path: Path) -> Subject:
    volume = nifti.load(path)
    return Subject(_name(path), _whole(volume.voxels), volume.spacing_mm)


def _read_paired(path: Path, folder: Path) -> Subject:
    thick = next((item for item in _files(folder / "thick") if _name(item) == _name(path)), None)
    if thick is None:
        return _read_thin(path)
    return lay(_name(path), nifti.load(path), nifti.load(thick))


def _read_rplhr(config: DataConfig) -> tuple[list[Subject], list[Subject]]:
    """Teach with train but for what is held out there by name; score val, or what ``scored`` names of it."""
    teach = [path for path in _files(config.folder / "train" / "1mm") if not path.name.startswith(config.held_out)]
    scored = [
        path
        for path in _files(config.folder / "val" / "1mm")
        if not config.scored or path.name.startswith(config.scored)
    ]
    if not teach:
        raise InvalidVolume(f"{config.folder}/train/1mm has no volume to train on: unpack the release there")
    return [_read_rplhr_pair(path) for path in teach], [_read_rplhr_pair(path) for path in scored]


def _read_rplhr_pair(path: Path) -> Subject:
    """Read two files of one name, values 0..1 over -1024..2048 HU, thick slice k centred on thin slice 5k.

    The release's affines are not relied upon: slices lie 1 and 5 mm apart as its folders say.
    """
    stored, thick = nifti.load(path), nifti.load(path.parents[1] / "5mm" / path.name)
    if len(stored.voxels) != RPLHR_RATIO * (len(thick.voxels) - 1) + 1 or (
        stored.voxels.shape[1:] != thick.voxels.shape[1:]
    ):
        raise InvalidVolume(
            f"{path}: {stored.voxels.shape} thin and {thick.voxels.shape} thick voxels are no pair of RPLHR-CT, where "
            "thin = 5 (thick - 1) + 1: unpack the release anew"
        )
    if max(stored.voxels.max(), thick.voxels.max()) > 1 + 1e-3:
        raise InvalidVolume(f"{path} holds values above 1, not RPLHR-CT's 0..1: use layout paired for volumes in HU")
    spacing = (RPLHR_STEP_MM, *stored.spacing_mm[1:])
    thin = Volume(_hounsfield(stored.voxels), spacing, stored.affine, RPLHR_STEP_MM)
    return _subject(_name(path), thin, _hounsfield(thick.voxels), RPLHR_RATIO, 0, RPLHR_RATIO * RPLHR_STEP_MM)


def _divide(config: DataConfig, paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Files that teach, and files that are held out and scored."""
    for name in (*config.held_out, *config.scored):
        if not any(path.name.startswith(name) for path in paths):
            raise InvalidVolume(f"{config.folder} has no volume that begins with {name!r}: correct held_out or scored")
    teach = [path for path in paths if not path.name.startswith(config.held_out)]
    scored = [
        path
        for path in paths
        if path.name.startswith(config.held_out) and path.name.startswith(config.scored or config.held_out)
    ]
    if not teach:
        raise InvalidVolume(f"{config.folder} has no volume to train on: put NIfTI files there or hold out fewer")
    return teach, scored


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.name.endswith(nifti.ENDINGS))


def _name(path: Path) -> str:
    return path.name.split(".nii")[0]


def _whole(voxels: FloatArray) -> Voxels:
    return np.rint(voxels).astype(np.int16)


def _hounsfield(stored: FloatArray) -> FloatArray:
    span = np.float32(CT_RANGE.high_hu - CT_RANGE.low_hu)
    return np.asarray(stored * span + np.float32(CT_RANGE.low_hu), dtype=np.float32)
