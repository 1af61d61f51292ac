"""The command that compares ways of training."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID

from worker.cli.train import read_config, training_bar

if TYPE_CHECKING:
    from sr_engine.evaluation.experiment import Report
    from sr_engine.training.progress import Progress as Step


def compare(
    experiment: Annotated[Path, typer.Argument(help="TOML file, see sr_engine/evaluation/experiments.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where the runs are kept.", show_default="var/experiments/NAME")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the figures as JSON.")] = None,
) -> None:
    """Train variants of a run and score them on volumes they never saw; one that was stopped goes on."""
    from sr_engine.evaluation.experiment import Experiment, run, table  # torch takes seconds: `status` does without

    wanted = read_config(experiment, Experiment)
    with training_bar() as bar:
        results = list(run(wanted, folder or Path("var/experiments") / experiment.stem, _reporter(bar)))
    typer.echo(table(results))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def _reporter(bar: Progress) -> "Report":
    tasks: dict[str, TaskID] = {}

    def report(name: str, step: "Step") -> None:
        if name not in tasks:
            tasks[name] = bar.add_task(name, total=step.steps)
        bar.update(tasks[name], completed=step.step)

    return report


COMMANDS = {"compare": compare}
