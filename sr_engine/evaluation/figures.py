"""Figures of one restored volume against its thin truth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import stats

from sr_engine.inference.consistency import make_consistent
from sr_engine.inference.dark_lung import deepen, depth_hu
from sr_engine.inference.restore import predict
from sr_engine.inference.selfcheck import check, find_lung, laa950
from sr_engine.intensity import CT_RANGE
from sr_engine.metrics import psnr_db, ssim
from sr_engine.networks.contract import SliceNetwork
from sr_engine.training.simulate import SliceProfile, thicken_volume
from sr_engine.volume import FloatArray, Volume

CONSISTENT = "+ consistency"
INTERPOLATIONS = ("linear", "cubic", "lanczos")


@dataclass(frozen=True)
class Score:
    """One method on one volume at one ratio. Figures of lung are None where no lung was found.

    Attributes
    ----------
    volume, method : str
        File name without its ending; registry name, with ``+ consistency`` where averaging back was enforced and dark
        lung made as deep as the network's card says.
    ratio : int
        Thin slices per thick spacing.
    psnr_db, ssim : float
        Over all thin slices, see :mod:`sr_engine.metrics`.
    at_thick_db, between_db, lung_db : float
        PSNR of slices at thick positions, of those in between, and of the truth's eroded lung.
    rms_back_hu, lung_offset_hu : float
        Restored slices averaged back against the thick ones: RMS, and mean inside eroded lung.
    lung_shift_hu, lung_shift_thick_hu : float
        Mean in the truth's eroded lung minus that of the truth: restored, thick slices.
    laa950, laa950_thick, laa950_truth : float
        Per cent of the truth's eroded lung below -950 HU: restored, thick slices, truth. Thick slices are looked at in
        the same lung, at their positions.
    p_better : float or None
        One-sided Wilcoxon test over slices that PSNR is above that of the better interpolation; None for that itself.
    """

    volume: str
    method: str
    ratio: int
    psnr_db: float
    ssim: float
    at_thick_db: float
    between_db: float
    lung_db: float | None
    rms_back_hu: float
    lung_offset_hu: float | None
    lung_shift_hu: float | None
    lung_shift_thick_hu: float | None
    laa950: float | None
    laa950_thick: float | None
    laa950_truth: float | None
    p_better: float | None


@dataclass(frozen=True)
class Case:
    """A simulated thick volume, its truth, and the truth's lung."""

    name: str
    ratio: int
    source: Volume
    truth: FloatArray
    lung: npt.NDArray[np.bool_]


def score_volume(
    name: str,
    thin: Volume,
    ratio: int,
    networks: Mapping[str, SliceNetwork],
    depths_hu: Mapping[str, Mapping[int, float]] = MappingProxyType({}),
) -> Iterator[Score]:
    """Score interpolations and networks, with and without data consistency, on one volume at one ratio.

    Parameters
    ----------
    name : str
        Of the volume.
    thin : Volume
        Thin slices; thick ones are made of them under a box as wide as their spacing.
    ratio : int
        Thin slices per thick spacing.
    networks : mapping
        By name, the interpolations first: the better one is what all are compared with.
    depths_hu : mapping
        How deep dark lung is made along with data consistency, by name of the network and ratio, see ModelCard.
    """
    case = make_case(name, thin, ratio)
    better = np.full(len(case.truth), -np.inf)
    for method, network in networks.items():
        restored = predict(network, case.source, ratio)
        slices = _slices_db(restored, case.truth)
        if method in INTERPOLATIONS and slices.mean() > better.mean():
            better = slices
        yield _score(case, method, restored, better)
        make_consistent(restored, case.source.voxels, ratio, width=1.0)
        deepen(restored, case.source.voxels, ratio, 1.0, depth_hu(depths_hu.get(method, {}), ratio))
        yield _score(case, f"{method} {CONSISTENT}", restored, better)


def make_case(name: str, thin: Volume, ratio: int) -> Case:
    """Make thick slices of thin ones under a box as wide as their spacing, and find the truth's lung."""
    thick, truth = thicken_volume(thin.voxels, ratio, SliceProfile())
    step = thin.spacing_mm[0]
    source = Volume(thick, (step * ratio, *thin.spacing_mm[1:]), np.eye(4), step * ratio)
    return Case(name, ratio, source, truth, find_lung(Volume(truth, thin.spacing_mm, np.eye(4), step)))


def _score(case: Case, method: str, restored: FloatArray, better: npt.NDArray[np.float64]) -> Score:
    thin = Volume(restored, (case.source.spacing_mm[0] / case.ratio, *case.source.spacing_mm[1:]), np.eye(4), 1.0)
    back = check(thin, case.source, case.ratio)
    at_thick, lung = np.arange(len(case.truth)) % case.ratio == 0, case.lung
    return Score(
        volume=case.name,
        method=method,
        ratio=case.ratio,
        psnr_db=_db(restored, case.truth),
        ssim=ssim(restored, case.truth, CT_RANGE.low_hu, CT_RANGE.high_hu),
        at_thick_db=_db(restored[at_thick], case.truth[at_thick]),
        between_db=_db(restored[~at_thick], case.truth[~at_thick]),
        lung_db=_db(restored[lung], case.truth[lung]) if lung.any() else None,
        rms_back_hu=back.rms_error_hu,
        lung_offset_hu=back.lung_offset_hu,
        lung_shift_hu=_shift(restored, lung, case),
        lung_shift_thick_hu=_shift(case.source.voxels, lung[:: case.ratio], case),
        laa950=laa950(restored, lung),
        laa950_thick=laa950(case.source.voxels, lung[:: case.ratio]),
        laa950_truth=laa950(case.truth, lung),
        p_better=_p_better(_slices_db(restored, case.truth), better),
    )


def _db(restored: FloatArray, truth: FloatArray) -> float:
    return psnr_db(restored, truth, CT_RANGE.low_hu, CT_RANGE.high_hu)


def _slices_db(restored: FloatArray, truth: FloatArray) -> npt.NDArray[np.float64]:
    return np.array([_db(a[None], b[None]) for a, b in zip(restored, truth, strict=True)])


def _shift(voxels: FloatArray, lung: npt.NDArray[np.bool_], case: Case) -> float | None:
    """Mean in lung minus that of the truth, HU."""
    if not lung.any():
        return None
    return float(voxels[lung].mean(dtype=np.float64) - case.truth[case.lung].mean(dtype=np.float64))


def _p_better(slices: npt.NDArray[np.float64], better: npt.NDArray[np.float64]) -> float | None:
    if np.array_equal(slices, better) or not np.isfinite((slices, better)).all():
        return None
    return float(stats.wilcoxon(slices, better, alternative="greater").pvalue)
