"""Train variants of a run at equal cost and score them on volumes they never saw.

``thinslice compare EXPERIMENT.toml`` fits every variant once per fold and scores it on the volumes held out there.
What is done is kept, so a stopped experiment goes on. The file::

    folds = [["patient_1"], ["patient_2"]]    # beginnings of the names of volumes held out together

    [base]                                    # a training run as in sr_engine/training/config.py, without held_out
    network = "residual_cnn"
    ...

    [variants.all]                            # what differs from the base, by name
    [variants.z_axis_only]
    data = { thin_share = 1, coarse_share = 1 }
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sr_engine.evaluation.tables import markdown
from sr_engine.training.config import TrainingConfig
from sr_engine.training.heldout import gains_db
from sr_engine.training.progress import Progress
from sr_engine.training.readers import read
from sr_engine.training.train import train

RESULT = "result.json"
Report = Callable[[str, Progress], None]


class Experiment(BaseModel):
    """What is compared; see the module's text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: Annotated[tuple[tuple[str, ...], ...], Field(min_length=1)]
    base: dict[str, Any]
    variants: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _every_run_can_be_told(self) -> Self:
        for variant in self.variants:
            self.config(variant, self.folds[0])
        return self

    def config(self, variant: str, fold: Sequence[str]) -> TrainingConfig:
        """Return the run of one variant in one fold; volumes that the variant holds out itself are not scored."""
        fields = merged(self.base, self.variants[variant])
        data = {**fields["data"], "scored": tuple(fold)}
        data["held_out"] = (*fold, *data.get("held_out", ()))
        return TrainingConfig.model_validate({**fields, "data": data})


@dataclass(frozen=True)
class Result:
    """One variant in one fold.

    Attributes
    ----------
    variant : str
        Its name.
    gains_db : dict
        PSNR over cubic interpolation by volume: middle of the volume at ratio 5, see ``training.heldout``.
    parameters, steps : int
        Size of the network and length of the run.
    cpu_s : float
        Processor time of the fit; of the last part where it was stopped in between.
    """

    variant: str
    gains_db: dict[str, float]
    parameters: int
    steps: int
    cpu_s: float


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Lay ``changes`` over ``base``; tables are merged, everything else is replaced."""
    both = {key: merged(base[key], value) for key, value in changes.items() if isinstance(base.get(key), dict)}
    return {**base, **changes, **both}


def run(experiment: Experiment, folder: Path, report: Report) -> Iterator[Result]:
    """Fit and score what is not done yet; yields the results of all.

    Parameters
    ----------
    experiment : Experiment
        What is compared.
    folder : Path
        Where the runs and their results are kept.
    report : callable
        Called with a run's name and its progress after every step.

    Raises
    ------
    EngineError
        As :func:`sr_engine.training.train.train` and :func:`sr_engine.training.readers.read`.
    """
    for number, fold in enumerate(experiment.folds, 1):
        for variant in experiment.variants:
            place = folder / f"{variant}-{number}"
            if not (place / RESULT).exists():
                result = _fit(variant, experiment.config(variant, fold), place, report)
                (place / RESULT).write_text(json.dumps(asdict(result)))
            yield Result(**json.loads((place / RESULT).read_text()))


def table(results: Sequence[Result]) -> str:
    """Markdown: a line per variant, a column per held-out volume, and the mean."""
    volumes = list(dict.fromkeys(volume for result in results for volume in result.gains_db))
    headings = ("variant", "parameters", "steps", "CPU s", *(name[:16] for name in volumes), "mean gain dB")
    lines = []
    for variant in dict.fromkeys(result.variant for result in results):
        own = [result for result in results if result.variant == variant]
        gains = {name: gain for result in own for name, gain in result.gains_db.items()}
        cells = [f"{gains[name]:+.2f}" if name in gains else "" for name in volumes]
        cost = f"{sum(result.cpu_s for result in own) / len(own):.0f}"
        mean = f"{sum(gains.values()) / len(gains):+.2f}"
        lines.append((variant, f"{own[0].parameters:,}", str(own[0].steps), cost, *cells, mean))
    return markdown(headings, lines)


def _fit(variant: str, config: TrainingConfig, place: Path, report: Report) -> Result:
    subjects, scored = read(config.data)
    start = time.process_time()
    network = train(config, subjects, [], place, lambda step: report(place.name, step))
    spent = time.process_time() - start
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Result(variant, gains_db(network, scored), parameters, config.optimiser.steps, spent)
