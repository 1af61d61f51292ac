"""Which volume can teach which ratio, and along which axis thick slices may be simulated from it."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sr_engine.errors import InvalidVolume
from sr_engine.networks.contract import SliceContract
from sr_engine.training.config import DataConfig
from sr_engine.training.subjects import RealThick, Subject


def teachers(subjects: Sequence[Subject], config: DataConfig, contract: SliceContract) -> list[Subject]:
    """Volumes that teach a ratio: with real thick slices, or with simulated ones along some axis.

    Raises
    ------
    InvalidVolume
        None does.
    """
    able = [
        subject
        for subject in subjects
        if real_of(subject, config, contract) is not None or axis_odds(subject, config, contract.ratio).any()
    ]
    if not able:
        raise InvalidVolume(
            f"no volume can teach ratio {contract.ratio} within {config.cap_mm} mm and {config.least_slices} slices: "
            "leave it out of ratios, or loosen cap_mm, least_slices or thin_share"
        )
    return able


def require_teachers(subjects: Sequence[Subject], config: DataConfig, contracts: Mapping[int, SliceContract]) -> None:
    """Raise InvalidVolume where a ratio that is drawn has no teacher: before the first step, not at some later one."""
    for ratio, weight in zip(config.ratios, config.ratio_weights, strict=True):
        if weight > 0:
            teachers(subjects, config, contracts[ratio])


def real_of(subject: Subject, config: DataConfig, contract: SliceContract) -> RealThick | None:
    """Return the real thick slices that teach at a ratio; None where there are none, too few or unwanted ones."""
    real = subject.real
    if real is None or real.ratio != contract.ratio or config.real_share == 0:
        return None
    return real if len(real.voxels) >= contract.slices_in else None


def axis_odds(subject: Subject, config: DataConfig, ratio: int) -> npt.NDArray[np.float64]:
    """How often z, y and x are the through-plane axis of simulated slices, not yet knowing what is long enough."""
    share = config.thin_share if subject.spacing_mm[0] <= config.thin_mm else config.coarse_share
    along_z = share if ratio <= highest_ratio(subject, config)[0] else 0.0
    return np.array([along_z, (1 - share) / 2, (1 - share) / 2])


def highest_ratio(subject: Subject, config: DataConfig) -> tuple[float, str]:
    """Highest ratio that may be simulated along z, and which bound sets it.

    TVSRN-V2 (arXiv 2507.15340) caps its pseudo thick slices "at 3 mm or at least 130 slices"; we read that as both, the
    tighter one being the bound.
    """
    bounds = []
    if config.cap_mm is not None:
        bounds.append((config.cap_mm / subject.spacing_mm[0] + 1e-6, f"{config.cap_mm:g} mm"))
    if config.least_slices:
        bounds.append((len(subject.voxels) / config.least_slices, f"{config.least_slices} slices"))
    if not bounds:
        return math.inf, "no bound"
    highest, bound = min(bounds)
    return math.floor(highest), bound


def describe_bounds(subjects: Sequence[Subject], config: DataConfig) -> list[str]:
    """Say for every volume which bound of the paper applied; nothing where none is set."""
    if config.cap_mm is None and not config.least_slices:
        return []
    bounds = [(subject.name, *highest_ratio(subject, config)) for subject in subjects]
    return [f"{name}: simulated along z up to ratio {ratio:g}, bound by {bound}" for name, ratio, bound in bounds]
