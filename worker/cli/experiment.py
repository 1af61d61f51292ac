"""The command that compares ways of training."""

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dicom_node.errors import SettingsError
from worker.cli.common import console

if TYPE_CHECKING:
    from sr_engine.evaluation.experiment import Experiment, Report
    from sr_engine.training.progress import Progress as Step


def compare(
    experiment: Annotated[Path, typer.Argument(help="TOML file, see sr_engine/evaluation/experiments.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where the runs are kept.", show_default="var/experiments/NAME")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the figures as JSON.")] = None,
) -> None:
    """Train variants of a run and score them on volumes they never saw; one that was stopped goes on."""
    from sr_engine.evaluation.experiment import run, table  # torch takes seconds: `thinslice status` does without

    wanted = read_experiment(experiment)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        results = list(run(wanted, folder or Path("var/experiments") / experiment.stem, _reporter(bar)))
    typer.echo(table(results))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def read_experiment(path: Path) -> "Experiment":
    """Read an experiment's TOML file.

    Raises
    ------
    SettingsError
        Missing, no TOML, or a key that is unknown or out of its limits.
    """
    from sr_engine.evaluation.experiment import Experiment

    try:
        experiment = Experiment.model_validate(tomllib.loads(path.read_text()))
        for variant in experiment.variants:
            experiment.config(variant, experiment.folds[0])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise SettingsError(f"{path}: {wrong}") from error
    return experiment


def _reporter(bar: Progress) -> "Report":
    tasks: dict[str, TaskID] = {}

    def report(name: str, step: "Step") -> None:
        if name not in tasks:
            tasks[name] = bar.add_task(name, total=step.steps)
        bar.update(tasks[name], completed=step.step)

    return report


COMMANDS = {"compare": compare}
