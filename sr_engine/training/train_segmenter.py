"""Training the segmentation U-Net: axial crops, labels from :mod:`sr_engine.training.tissue`, Dice loss, Adam.

As in the RDST paper (arXiv 2302.11184, IV-A): Adam, the rate halved at half and at three quarters of the run.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from sr_engine.allocator import keep_freed_memory
from sr_engine.errors import InvalidVolume
from sr_engine.training.config import DataConfig, Table
from sr_engine.training.segmenter import Segmenter, SegmenterCard, save
from sr_engine.training.subjects import Subject
from sr_engine.training.tissue import TISSUES, Labels, label_tissues
from sr_engine.volume import FloatArray

LOG, WEIGHTS = "log.csv", "segmenter.safetensors"
SCORED_EVERY = 4  # slices; neighbours look alike


class SegmenterConfig(Table):
    """One training run of the U-Net; keys of its TOML file.

    Attributes
    ----------
    steps, batch, crop : int
        Length of the run, crops per step, rows and columns of a crop.
    rate : float
        First learning rate of Adam.
    seed, threads : int
        Decides weights and crops; 0 threads leaves torch's own number.
    device : str
        As torch names it.
    data : DataConfig
        Folder, layout and held-out volumes; how slices are simulated does not matter here.
    """

    steps: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)] = 4
    crop: Annotated[int, Field(ge=16)] = 160
    rate: Annotated[float, Field(gt=0)] = 1e-4
    seed: int = 1
    threads: Annotated[int, Field(ge=0)] = 0
    device: str = "cpu"
    data: DataConfig


@dataclass(frozen=True)
class Labelled:
    """A volume (HU, float32) with its labels, both (slices, rows, columns)."""

    name: str
    voxels: FloatArray
    labels: Labels


Report = Callable[[int, float], None]


def train_segmenter(
    config: SegmenterConfig,
    subjects: Sequence[Subject],
    scored: Sequence[Subject],
    folder: Path,
    report: Report | None = None,
) -> SegmenterCard:
    """Train a U-Net and write weights, card and log into ``folder``.

    Parameters
    ----------
    config : SegmenterConfig
        The run.
    subjects, scored : sequence of Subject
        Volumes that teach, and held-out volumes for the card's Dice; volumes without lung are left out.
    folder : Path
        Where everything goes.
    report : callable, optional
        Called with (step, Dice loss) after every step.

    Raises
    ------
    InvalidVolume
        No volume shows lung, or one is smaller than the crop.
    EngineError
        MONAI is not installed.
    """
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    teach, card = labelled(subjects), SegmenterCard()
    if not teach:
        raise InvalidVolume("no volume shows lung: add a whole chest to the folder or hold out fewer")
    segmenter = Segmenter(card).to(config.device)  # says so where MONAI is missing
    with (folder / LOG).open("w", newline="") as file:
        log = csv.writer(file)
        log.writerow(("step", "dice_loss"))
        for step, loss in enumerate(_fit(segmenter, teach, config), 1):
            log.writerow((step, f"{loss:.4f}"))
            if report is not None:
                report(step, loss)
    dice = {item.name: dice_of(segmenter.eval(), item) for item in labelled(scored)}
    notes = {"volumes": [item.name for item in teach], "config": config.model_dump(mode="json", exclude={"data"})}
    return save(folder / WEIGHTS, segmenter, card.model_copy(update={"dice": dice, "training": notes}))


def _fit(segmenter: Segmenter, teach: Sequence[Labelled], config: SegmenterConfig) -> Iterator[float]:
    """Take every step in turn, yielding its loss."""
    from monai.losses.dice import DiceLoss  # takes seconds, and only training needs it

    optimiser = torch.optim.Adam(segmenter.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [config.steps // 2, config.steps * 3 // 4], 0.5)
    measure = DiceLoss(softmax=True, to_onehot_y=True, batch=True)  # over all crops: one alone may lack a class
    for step in range(config.steps):
        slices, labels = (side.to(config.device) for side in draw(teach, config, step))
        loss = measure(segmenter(slices), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        yield float(loss.detach())


def labelled(subjects: Sequence[Subject]) -> list[Labelled]:
    """Label volumes; those without lung (a part of the chest, or a phantom of something else) are left out."""
    both = [(subject, subject.voxels.astype(np.float32)) for subject in subjects]
    items = [Labelled(item.name, voxels, label_tissues(voxels, item.spacing_mm)) for item, voxels in both]
    return [item for item in items if (item.labels == TISSUES.index("lung")).any()]


def draw(items: Sequence[Labelled], config: SegmenterConfig, step: int) -> tuple[Tensor, Tensor]:
    """Slices (N, crop, crop) in HU and labels (N, 1, crop, crop), a function of (seed, step); flipped and turned."""
    rng = np.random.default_rng((config.seed, step))
    crops = [_crop(items[int(rng.integers(len(items)))], config.crop, rng) for _ in range(config.batch)]
    slices, labels = (torch.from_numpy(np.stack(side)) for side in zip(*crops, strict=True))
    return slices, labels.unsqueeze(1)


def _crop(item: Labelled, crop: int, rng: np.random.Generator) -> tuple[FloatArray, Labels]:
    if min(item.voxels.shape[1:]) < crop:
        raise InvalidVolume(f"{item.name} with {item.voxels.shape} voxels is too small for crops of {crop}: lower crop")
    plane = int(rng.integers(len(item.voxels)))
    top, left = (int(rng.integers(size - crop + 1)) for size in item.voxels.shape[1:])
    cut, turns = (plane, slice(top, top + crop), slice(left, left + crop)), int(rng.integers(4))
    flip = -1 if rng.random() < 0.5 else 1
    voxels, labels = (np.rot90(side[cut], turns)[:, ::flip] for side in (item.voxels, item.labels))
    return np.ascontiguousarray(voxels), np.ascontiguousarray(labels)


@torch.no_grad()
def dice_of(segmenter: Segmenter, item: Labelled) -> dict[str, float]:
    """Dice of every class over every fourth slice of a volume; a class that is in neither counts 1."""
    device = next(segmenter.parameters()).device
    found = [
        segmenter(torch.from_numpy(plane[None]).to(device)).argmax(1)[0].cpu().numpy()
        for plane in item.voxels[::SCORED_EVERY]
    ]
    guess, truth = np.stack(found), item.labels[::SCORED_EVERY]
    figures = {}
    for value, name in enumerate(TISSUES):
        sizes = int((guess == value).sum() + (truth == value).sum())
        both = int(((guess == value) & (truth == value)).sum())
        figures[name] = round(2 * both / sizes, 4) if sizes else 1.0
    return figures
