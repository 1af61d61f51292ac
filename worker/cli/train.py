"""The commands that make weights: train, and pack a run's result."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dicom_node.errors import SettingsError
from sr_engine.training.config import TrainingConfig
from worker.cli.common import console

if TYPE_CHECKING:
    from sr_engine.training.train import Progress as Step
    from sr_engine.training.train import Report

WEIGHTS = "weights.safetensors"


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The run's TOML file; see docs/training.md.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the run is kept.", show_default="var/train/NAME")
    ] = None,
) -> None:
    """Train a network on thin CT; a run that was stopped goes on where its last checkpoint is."""
    from sr_engine.training.export import export  # torch takes seconds: `thinslice status` does without
    from sr_engine.training.pairs import read_folder
    from sr_engine.training.train import CHECKPOINT, LOG
    from sr_engine.training.train import train as fit

    options = read_config(config)
    folder = output or Path("var/train") / config.stem
    subjects, scored = read_folder(options.data)
    console.print(
        f"training {options.network} on {len(subjects)} volumes, looking at {len(scored)} held out; "
        f"log in {escape(str(folder / LOG))}"
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(elapsed_when_finished=False), console=console) as bar:
        fit(options, subjects, scored, folder, _reporter(bar, options.optimiser.steps))
    card = export(
        folder / CHECKPOINT, folder / WEIGHTS, options, "0",
        {"volumes": [subject.name for subject in subjects], "config": options.model_dump(mode="json")},
    )  # fmt: skip
    console.print(f"weights in {escape(str(folder / WEIGHTS))}, sha256 {card.sha256[:12]}")


def read_config(path: Path) -> TrainingConfig:
    """Read a training run's TOML file.

    Raises
    ------
    SettingsError
        Missing, no TOML, or a key that is unknown or out of its limits.
    """
    try:
        return TrainingConfig.model_validate(tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise SettingsError(f"{path}: {wrong}") from error


def _reporter(bar: Progress, steps: int) -> "Report":
    task = bar.add_task("training", total=steps)

    def report(step: "Step") -> None:
        bar.update(task, completed=step.step, description=f"error {step.error_hu:6.1f} HU")
        for name, gain in step.gains_db.items():
            bar.console.print(f"step {step.step}: {escape(name)} {gain:+.2f} dB over cubic")

    return report


COMMANDS = {"train": train}
