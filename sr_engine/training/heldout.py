"""A quick look at volumes never trained on, while training: the middle of each, one ratio. Not the figure to quote."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sr_engine.inference.restore import predict
from sr_engine.intensity import CT_RANGE
from sr_engine.metrics import psnr_db
from sr_engine.networks.contract import SliceNetwork
from sr_engine.networks.interpolation import CubicInterpolation
from sr_engine.training.simulate import SliceProfile, thicken_volume
from sr_engine.training.subjects import Subject
from sr_engine.volume import FloatArray, Volume

RATIO, SLICES, PLANE = 5, 61, 128


@dataclass(frozen=True)
class Look:
    """The middle of one held-out volume.

    Attributes
    ----------
    name : str
        Of the volume.
    gain_db : float
        PSNR of the network minus that of cubic interpolation.
    thick, restored, cubic, truth : Volume
        In one frame whose origin is the first thick slice; the last three on one grid.
    """

    name: str
    gain_db: float
    thick: Volume
    restored: Volume
    cubic: Volume
    truth: Volume


def look(network: SliceNetwork, subject: Subject) -> Look:
    """Restore the middle of a volume: from its real thick slices where it has them, else simulated at ratio 5."""
    thick, truth, ratio = _case(subject)
    restored, cubic = (predict(candidate, thick, ratio) for candidate in (network, CubicInterpolation()))
    ours, plain = (psnr_db(thin, truth, CT_RANGE.low_hu, CT_RANGE.high_hu) for thin in (restored, cubic))
    spacing = (thick.spacing_mm[0] / ratio, *thick.spacing_mm[1:])
    volumes = (_volume(thin, spacing, spacing[0]) for thin in (restored, cubic, truth))
    return Look(subject.name, ours - plain, thick, *volumes)


def gains_db(network: SliceNetwork, subjects: Sequence[Subject]) -> dict[str, float]:
    """PSNR of ``network`` minus that of cubic interpolation, in dB, by name of the volume."""
    return {subject.name: look(network, subject).gain_db for subject in subjects}


def _case(subject: Subject) -> tuple[Volume, FloatArray, int]:
    """Thick slices, truth between the first and the last of them, and ratio."""
    if subject.real is None:
        voxels, truth = thicken_volume(_middle(subject), RATIO, SliceProfile())
        step = subject.spacing_mm[0] * RATIO
        return _volume(voxels, (step, *subject.spacing_mm[1:]), step), truth, RATIO
    real = subject.real
    count = min(len(real.voxels), (SLICES - 1) // real.ratio + 1)
    skip = (len(real.voxels) - count) // 2
    plane = _cuts(subject)[1:]
    voxels = real.voxels[(slice(skip, skip + count), *plane)].astype(np.float32)
    first = real.first + skip * real.ratio
    truth = subject.voxels[(slice(first, first + (count - 1) * real.ratio + 1), *plane)].astype(np.float32)
    step = subject.spacing_mm[0] * real.ratio
    return _volume(voxels, (step, *subject.spacing_mm[1:]), real.thickness_mm), truth, real.ratio


def _volume(voxels: FloatArray, spacing_mm: tuple[float, float, float], thickness_mm: float) -> Volume:
    """Slices rise along z, rows along y and columns along x from the origin."""
    affine = np.eye(4)[:, [2, 1, 0, 3]] * (*spacing_mm, 1.0)
    return Volume(voxels, spacing_mm, affine, thickness_mm)


def _middle(subject: Subject) -> FloatArray:
    return subject.voxels[_cuts(subject)].astype(np.float32)


def _cuts(subject: Subject) -> tuple[slice, slice, slice]:
    z, y, x = (
        slice(max(0, (there - wanted) // 2), max(0, (there - wanted) // 2) + wanted)
        for there, wanted in zip(subject.voxels.shape, (SLICES, PLANE, PLANE), strict=True)
    )
    return z, y, x
