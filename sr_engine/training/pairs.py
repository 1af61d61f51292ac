"""Training pairs: crops of thin volumes and their thick slices, simulated from them or real.

Few patients must teach much, so any axis of a thin volume can be the through-plane one: pixels of 0.5 to 1 mm averaged
along x or y show true fine detail. The plane then has z as one of its axes, which is interpolated to the pixel size;
of a coarse volume that makes a plane too smooth to teach from, see docs/training.md.

Everything drawn depends on (seed, step) alone, so a run that was cut goes on as if it had not been.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sr_engine.errors import InvalidVolume
from sr_engine.networks.contract import Sampling, SliceContract
from sr_engine.training.config import DataConfig
from sr_engine.training.simulate import SliceProfile, thicken
from sr_engine.training.subjects import RealThick, Subject, Voxels
from sr_engine.training.teachers import axis_odds, real_of, teachers
from sr_engine.volume import FloatArray

TRIES = 6  # how often a flat crop is drawn again
PICKS = 20  # how often a volume too short for its slice profile gives way to another


class _TooShort(InvalidVolume):
    """A volume cannot hold the thin slices that a window and its profiles need."""


@dataclass(frozen=True)
class Batch:
    """Pairs of one ratio: ``thick`` (B, slices_in, H, W) and ``thin`` (B, slices_out, H, W), float32, HU."""

    thick: Tensor
    thin: Tensor
    ratio: int
    sampling: Sampling


def draw(
    subjects: Sequence[Subject],
    config: DataConfig,
    contracts: Mapping[int, SliceContract],
    batch: int,
    key: Sequence[int],
) -> Batch:
    """Draw the pairs of one step.

    Parameters
    ----------
    subjects : sequence of Subject
        Volumes that teach.
    config : DataConfig
        How pairs are drawn.
    contracts : mapping
        What the network makes at each of ``config.ratios``.
    batch : int
        Pairs to draw; all of one ratio.
    key : sequence of int
        (seed, step): equal keys, equal pairs.

    Raises
    ------
    InvalidVolume
        A volume is too small for the crop, or none can teach the ratio drawn.
    """
    rng = np.random.default_rng(key)
    odds = np.asarray(config.ratio_weights) / np.sum(config.ratio_weights)
    contract = contracts[int(rng.choice(config.ratios, p=odds))]
    able = teachers(subjects, config, contract)
    pairs = [_fitting_pair(able, config, contract, rng) for _ in range(batch)]
    thick, thin, distances = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
    return Batch(thick, thin, contract.ratio, Sampling(*distances.unbind(1)))


def _fitting_pair(
    able: Sequence[Subject], config: DataConfig, contract: SliceContract, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Draw volumes until one is long enough for the slice profile that is drawn with it."""
    odds = np.array([config.thin_often if subject.spacing_mm[0] <= config.thin_mm else 1.0 for subject in able])
    order = rng.choice(len(able), PICKS, p=odds / odds.sum())
    for pick in order[:-1]:
        with suppress(_TooShort):
            return _pair(able[pick], config, contract, rng)
    return _pair(able[order[-1]], config, contract, rng)


def _pair(
    subject: Subject, config: DataConfig, contract: SliceContract, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Thick and thin slices, and distances in mm as in :class:`Sampling`."""
    real = real_of(subject, config, contract)
    simulable = bool(axis_odds(subject, config, contract.ratio).any())
    if real is not None and (not simulable or rng.random() < config.real_share):
        return _real_pair(subject, real, config, contract, rng)
    return _simulated_pair(subject, config, contract, rng)


def _real_pair(
    subject: Subject, real: RealThick, config: DataConfig, contract: SliceContract, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Acquired thick slices and the thin ones of the same scan; no noise is added, they have their own."""
    ratio, crop = contract.ratio, config.crop
    depth = (contract.slices_in - 1) * ratio + 1
    planes = (len(real.voxels) - contract.slices_in + 1, *(size - crop + 1 for size in subject.voxels.shape[1:]))
    if min(planes) < 1:
        raise InvalidVolume(f"{subject.name} with {subject.voxels.shape} voxels is too small for crops of {crop}")
    for _ in range(TRIES):
        slot, top, left = (int(rng.integers(places)) for places in planes)
        plane = (slice(top, top + crop), slice(left, left + crop))
        start = real.first + slot * ratio
        thin = subject.voxels[(slice(start, start + depth), *plane)].astype(np.float32)
        if thin.std() >= config.least_contrast_hu:
            break
    thick = real.voxels[(slice(slot, slot + contract.slices_in), *plane)].astype(np.float32)
    thick, thin = _turn((thick, thin), rng)
    _repeat_edge(thick, config, rng)
    distances = np.array([subject.spacing_mm[0] * ratio, real.thickness_mm, subject.spacing_mm[2]], np.float32)
    return thick, np.ascontiguousarray(thin[contract.first_out :][: contract.slices_out]), distances


def _simulated_pair(
    subject: Subject, config: DataConfig, contract: SliceContract, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    ratio, count = contract.ratio, contract.slices_in
    profile = _profile(config, rng)
    weights = profile.weights(ratio)
    reach = len(weights) // 2
    depth = (count - 1) * ratio + 1 + 2 * reach
    axis = _through_axis(subject, config, ratio, depth, rng)
    block = _crop(subject, config, axis, depth, rng)
    thick = thicken(block, ratio, weights, reach, count)
    if rng.random() < config.noise_share:
        thick += rng.normal(0, rng.uniform(0, config.noise_hu), thick.shape).astype(np.float32)
    _repeat_edge(thick, config, rng)
    start = reach + contract.first_out
    step_mm = subject.spacing_mm[axis] * ratio
    distances = np.array([step_mm, profile.width * step_mm, subject.spacing_mm[2]], np.float32)
    return thick, np.ascontiguousarray(block[start : start + contract.slices_out]), distances


def _repeat_edge(thick: FloatArray, config: DataConfig, rng: np.random.Generator) -> None:
    if rng.random() < config.edge_share:
        outer, inner = ((0, 1), (-1, -2))[rng.integers(2)]
        thick[outer] = thick[inner]


def _profile(config: DataConfig, rng: np.random.Generator) -> SliceProfile:
    if rng.random() >= config.odd_profile_share:
        return SliceProfile()
    return SliceProfile(rng.uniform(0.8, 1.5), gaussian=bool(rng.integers(2)))


def _crop(subject: Subject, config: DataConfig, axis: int, depth: int, rng: np.random.Generator) -> FloatArray:
    """A turned and flipped block (depth, crop, crop) in HU with something to see in it."""
    voxels = np.moveaxis(subject.voxels, axis, 0)
    for _ in range(TRIES):
        block = _cut(voxels, subject.spacing_mm, axis, (depth, config.crop), rng)
        if block.std() >= config.least_contrast_hu:
            break
    return _turn((block,), rng)[0]


def _turn(blocks: Sequence[FloatArray], rng: np.random.Generator) -> list[FloatArray]:
    """Flip blocks along any axis and swap rows and columns, all alike."""
    for turned in range(3):
        if rng.random() < 0.5:
            blocks = [np.flip(block, turned) for block in blocks]
    if rng.random() < 0.5:
        blocks = [block.transpose(0, 2, 1) for block in blocks]
    return [np.ascontiguousarray(block) for block in blocks]


def _through_axis(subject: Subject, config: DataConfig, ratio: int, depth: int, rng: np.random.Generator) -> int:
    """Choose z, or else x or y; an axis that is too short for the block gives way to another."""
    odds = axis_odds(subject, config, ratio) * (np.array(subject.voxels.shape) >= depth)
    if odds.sum() == 0:
        raise _TooShort(f"{subject.name} is too short for {depth} slices: leave it out or train on lower ratios")
    return int(rng.choice(3, p=odds / odds.sum()))


def _cut(
    voxels: Voxels,
    spacing_mm: tuple[float, float, float],
    axis: int,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> FloatArray:
    """Cut a block of (depth, crop) voxels; z in the plane, now its first axis, is interpolated to the pixel size."""
    depth, crop = size
    pixel = spacing_mm[2]
    step = 1.0 if axis == 0 else min(1.0, pixel / spacing_mm[0])
    rows = min(int(np.ceil((crop - 1) * step)) + 2, voxels.shape[1]) if axis else crop
    shape = (depth, rows, crop)
    if any(wanted > there for wanted, there in zip(shape, voxels.shape, strict=True)):
        raise InvalidVolume(f"a volume of {voxels.shape} voxels is too small for crops of {shape}: lower crop")
    starts = [int(rng.integers(there - wanted + 1)) for wanted, there in zip(shape, voxels.shape, strict=True)]
    cut = tuple(slice(start, start + wanted) for start, wanted in zip(starts, shape, strict=True))
    block = voxels[cut].astype(np.float32)
    if axis == 0:
        return block
    places = np.minimum(np.arange(crop) * step, rows - 1.001)
    below = places.astype(int)
    share = (places - below).astype(np.float32)[:, None]
    return np.asarray(block[:, below] * (1 - share) + block[:, below + 1] * share, dtype=np.float32)
