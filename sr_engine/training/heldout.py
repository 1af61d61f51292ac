"""A quick look at volumes never trained on, while training: the middle of each, one ratio. Not the figure to quote."""

from collections.abc import Sequence

import numpy as np

from sr_engine.inference.restore import predict
from sr_engine.intensity import CT_RANGE
from sr_engine.metrics import psnr_db
from sr_engine.networks.contract import SliceNetwork
from sr_engine.networks.interpolation import CubicInterpolation
from sr_engine.training.pairs import Subject
from sr_engine.training.simulate import SliceProfile, thicken_volume
from sr_engine.volume import FloatArray, Volume

RATIO, SLICES, PLANE = 5, 61, 128


def gains_db(network: SliceNetwork, subjects: Sequence[Subject]) -> dict[str, float]:
    """PSNR of ``network`` minus that of cubic interpolation, in dB, for the middle of each volume at ratio 5."""
    return {subject.name: _gain_db(network, subject) for subject in subjects}


def _gain_db(network: SliceNetwork, subject: Subject) -> float:
    voxels, truth = thicken_volume(_middle(subject), RATIO, SliceProfile())
    step = subject.spacing_mm[0] * RATIO
    thick = Volume(voxels, (step, *subject.spacing_mm[1:]), np.eye(4), step)
    figures = [
        psnr_db(predict(candidate, thick, RATIO), truth, CT_RANGE.low_hu, CT_RANGE.high_hu)
        for candidate in (network, CubicInterpolation())
    ]
    return figures[0] - figures[1]


def _middle(subject: Subject) -> FloatArray:
    cut = tuple(
        slice(max(0, (there - wanted) // 2), max(0, (there - wanted) // 2) + wanted)
        for there, wanted in zip(subject.voxels.shape, (SLICES, PLANE, PLANE), strict=True)
    )
    return subject.voxels[cut].astype(np.float32)
