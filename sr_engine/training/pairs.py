"""Training pairs: crops of thin volumes and the thick slices simulated from them.

Few patients must teach much, so any axis can be the through-plane one: pixels of 0.5 to 1 mm averaged along x or y show
true fine detail even where the slices are thick. The plane then has z as one of its axes, which is interpolated to the
pixel size.

Everything drawn depends on (seed, step) alone, so a run that was cut goes on as if it had not been.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sr_engine import nifti
from sr_engine.errors import InvalidVolume
from sr_engine.networks.contract import Sampling, SliceContract
from sr_engine.training.config import DataConfig
from sr_engine.training.simulate import SliceProfile, thicken
from sr_engine.volume import FloatArray

TRIES = 6  # how often a flat crop is drawn again


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
    """

    name: str
    voxels: npt.NDArray[np.int16]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Batch:
    """Pairs of one ratio: ``thick`` (B, slices_in, H, W) and ``thin`` (B, slices_out, H, W), float32, HU."""

    thick: Tensor
    thin: Tensor
    ratio: int
    sampling: Sampling


def read_folder(config: DataConfig) -> tuple[list[Subject], list[Subject]]:
    """Read all volumes of a folder; return those that teach, and those that are held out and scored.

    Raises
    ------
    InvalidVolume
        A file is not a volume, none is left to teach, or a name in ``held_out`` fits no file.
    """
    paths = sorted(path for path in config.folder.glob("*") if path.name.endswith(nifti.ENDINGS))
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
    return [_read(path) for path in teach], [_read(path) for path in scored]


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
    """
    rng = np.random.default_rng(key)
    odds = np.asarray(config.ratio_weights) / np.sum(config.ratio_weights)
    contract = contracts[int(rng.choice(config.ratios, p=odds))]
    pairs = [_pair(subjects[int(rng.integers(len(subjects)))], config, contract, rng) for _ in range(batch)]
    thick, thin, distances = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
    return Batch(thick, thin, contract.ratio, Sampling(*distances.unbind(1)))


def _read(path: Path) -> Subject:
    volume = nifti.load(path)
    return Subject(path.name.split(".nii")[0], np.rint(volume.voxels).astype(np.int16), volume.spacing_mm)


def _pair(
    subject: Subject, config: DataConfig, contract: SliceContract, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Thick and thin slices, and distances in mm as in :class:`Sampling`."""
    ratio, count = contract.ratio, contract.slices_in
    profile = _profile(config, rng)
    weights = profile.weights(ratio)
    reach = len(weights) // 2
    depth = (count - 1) * ratio + 1 + 2 * reach
    axis = _through_axis(subject, config, depth, rng)
    block = _crop(subject, config, axis, depth, rng)
    thick = thicken(block, ratio, weights, reach, count)
    if rng.random() < config.noise_share:
        thick += rng.normal(0, rng.uniform(0, config.noise_hu), thick.shape).astype(np.float32)
    if rng.random() < config.edge_share:
        outer, inner = ((0, 1), (-1, -2))[rng.integers(2)]
        thick[outer] = thick[inner]
    start = reach + contract.first_out
    step_mm = subject.spacing_mm[axis] * ratio
    distances = np.array([step_mm, profile.width * step_mm, subject.spacing_mm[2]], np.float32)
    return thick, np.ascontiguousarray(block[start : start + contract.slices_out]), distances


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
    for turned in range(3):
        if rng.random() < 0.5:
            block = np.flip(block, turned)
    if rng.random() < 0.5:
        block = block.transpose(0, 2, 1)
    return np.ascontiguousarray(block)


def _through_axis(subject: Subject, config: DataConfig, depth: int, rng: np.random.Generator) -> int:
    """Choose z, or else x or y; an axis that is too short for the block gives way to another."""
    share = config.thin_share if subject.spacing_mm[0] <= config.thin_mm else config.coarse_share
    odds = np.array([share, (1 - share) / 2, (1 - share) / 2]) * (np.array(subject.voxels.shape) >= depth)
    if odds.sum() == 0:
        raise InvalidVolume(f"{subject.name} is too short for {depth} slices: leave it out or train on lower ratios")
    return int(rng.choice(3, p=odds / odds.sum()))


def _cut(
    voxels: npt.NDArray[np.int16],
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
