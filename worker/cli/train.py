"""The commands that make weights: train, train the U-Net of the second stage, and pack DICOM for both."""

import hashlib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dicom_node.errors import InputError, SettingsError
from dicom_node.records import ThickSeries
from dicom_node.series.headers import by_series, read_folder
from dicom_node.series.judge import judge
from dicom_node.series.voxels import load_volume
from dicom_node.settings import SeriesSettings
from sr_engine import nifti
from sr_engine.training.config import TrainingConfig
from worker.cli.common import console

if TYPE_CHECKING:
    from sr_engine.training.heldout import Look
    from sr_engine.training.progress import Progress as Step
    from sr_engine.training.progress import Report

WEIGHTS, PANELS = "weights.safetensors", "panels"
HIGHEST_HU = 3071.0  # of 12 bits; the reader has raised what lies below -1024
ANY_STEP = SeriesSettings(minimum_step_mm=0.1)  # thin series are what training wants
Config = TypeVar("Config", bound=BaseModel)
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where the run is kept.", show_default="var/train/NAME")
]


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's TOML file; see docs/training.md.")],
    output: Output = None,
) -> None:
    """Train a network on thin CT; a run that was stopped goes on where its last checkpoint is."""
    from sr_engine.training.export import export  # torch takes seconds: `thinslice status` does without
    from sr_engine.training.progress import LOG
    from sr_engine.training.readers import read
    from sr_engine.training.teachers import describe_bounds
    from sr_engine.training.train import CHECKPOINT
    from sr_engine.training.train import train as fit

    options = read_config(config, TrainingConfig)
    folder = output or Path("var/train") / config.stem
    subjects, scored = read(options.data)
    pairs = sum(subject.real is not None for subject in subjects)
    console.print(
        f"training {options.network} on {len(subjects)} volumes, {pairs} of them with real thick slices, looking at "
        f"{len(scored)} held out; log in {escape(str(folder / LOG))}"
    )
    bounds = describe_bounds(subjects, options.data)
    for line in bounds:
        console.print(escape(line))
    with training_bar() as bar:
        fit(options, subjects, scored, folder, _reporter(bar, options, folder))
    notes = {"volumes": [subject.name for subject in subjects], "config": options.model_dump(mode="json")}
    if bounds:
        notes["bounds"] = bounds
    card = export(folder / CHECKPOINT, folder / WEIGHTS, options, "0", notes)
    console.print(f"weights in {escape(str(folder / WEIGHTS))}, sha256 {card.sha256[:12]}")


def train_segmenter(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's TOML file; see docs/training.md.")],
    output: Output = None,
) -> None:
    """Train the U-Net that judges slices in the second stage; its labels are made from the CT itself."""
    from sr_engine.training import train_segmenter as room  # as in train
    from sr_engine.training.readers import read

    options = read_config(config, room.SegmenterConfig)
    folder = output or Path("var/train") / config.stem
    subjects, scored = read(options.data)
    with training_bar() as bar:
        task = bar.add_task("training", total=options.steps)

        def report(step: int, loss: float) -> None:
            bar.update(task, completed=step, description=f"Dice loss {loss:.3f}")

        card = room.train_segmenter(options, subjects, scored, folder, report)
    for name, dice in card.dice.items():
        console.print(f"{escape(name)}: " + ", ".join(f"{tissue} {value:.3f}" for tissue, value in dice.items()))
    console.print(f"weights in {escape(str(folder / room.WEIGHTS))}, sha256 {card.sha256[:12]}")


def pack_training(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="DICOM of any number of CT series.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder for the NIfTI volumes.")],
) -> None:
    """Turn DICOM series into NIfTI volumes that train reads; names hold a number per patient, never who it is."""
    headers, refused = read_folder(source)
    if refused:
        console.print(f"[yellow]{len(refused)} files left out[/]: no DICOM image that can be read")
    stacks = []
    for group in by_series(headers).values():
        for verdict in judge(group, ANY_STEP):
            if isinstance(verdict, ThickSeries):
                stacks.append(verdict)
            else:
                console.print(f"[yellow]{len(verdict.slices)} images left out[/]: {escape(verdict.reason)}")
    if not stacks:
        raise InputError(f"{source} holds no CT series that can be packed; the reasons are above")
    if target.exists() and any(target.iterdir()):
        raise InputError(f"{target} is not empty, and patients would be numbered anew: name a new folder")
    target.mkdir(parents=True, exist_ok=True)
    _pack(stacks, target)


def read_config(path: Path, kind: type[Config]) -> Config:
    """Read a training run's TOML file.

    Raises
    ------
    SettingsError
        Missing, no TOML, or a key that is unknown or out of its limits.
    """
    try:
        return kind.model_validate(tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise SettingsError(f"{path}: {wrong}") from error


def training_bar() -> Progress:
    """Return a bar with steps done, time spent and time left."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(elapsed_when_finished=False), console=console)


def _reporter(bar: Progress, options: TrainingConfig, folder: Path) -> "Report":
    task = bar.add_task("training", total=options.optimiser.steps)

    def report(step: "Step") -> None:
        bar.update(task, completed=step.step, description=f"error {step.error_hu:6.1f} HU")
        for look in step.looks:
            bar.console.print(f"step {step.step}: {escape(look.name)} {look.gain_db:+.2f} dB over cubic")
        if step.looks:
            _draw(folder / PANELS / f"step_{step.step:06d}.png", step, step.looks[0], options.network)

    return report


def _draw(path: Path, step: "Step", look: "Look", network: str) -> None:
    """The first held-out volume as a picture; the engine's training room may not see its evaluation room."""
    from sr_engine.evaluation.panel import coronal_panel
    from sr_engine.networks.registry import entry

    coronal_panel(
        path, look.thick, look.restored, look.truth, look.cubic, thin_title=entry(network).title,
        title=f"{look.name}, step {step.step}: {look.gain_db:+.2f} dB over cubic",
    )  # fmt: skip


def _pack(stacks: list[ThickSeries], target: Path) -> None:
    patients = sorted({stack.slices[0].patient_key for stack in stacks}, key=_digest)
    with training_bar() as bar:
        task = bar.add_task("packing", total=sum(len(stack.slices) for stack in stacks))
        for stack in stacks:
            first = stack.slices[0]
            volume = load_volume(stack, ANY_STEP)
            volume.voxels.clip(None, HIGHEST_HU, out=volume.voxels)
            series = _digest(f"{first.series_instance_uid} {stack.label}")
            number = patients.index(first.patient_key) + 1
            nifti.save(target / f"patient_{number:03d}_{series}_{stack.step_mm:.3g}mm.nii.gz", volume)
            bar.advance(task, len(stack.slices))
    console.print(f"{len(stacks)} volumes of {len(patients)} patients in {escape(str(target))}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


COMMANDS = {"train": train, "train-segmenter": train_segmenter, "pack-training": pack_training}
