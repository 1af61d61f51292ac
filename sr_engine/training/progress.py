"""What a run tells whoever watches: a record per step, and its line in the log."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sr_engine.training.heldout import Look

LOG = "log.csv"


@dataclass(frozen=True)
class Progress:
    """One step, for whoever watches.

    Attributes
    ----------
    step, steps : int
        Steps done and in all.
    error_hu : float
        Mean absolute error of this step's predictions.
    gradient : float
        Gradient norm before clipping.
    rate : float
        Learning rate of this step.
    looks : tuple of Look
        The middle of each held-out volume restored by the moving average, where this step looked at them.
    """

    step: int
    steps: int
    error_hu: float
    gradient: float
    rate: float
    looks: tuple[Look, ...] = ()

    @property
    def gains_db(self) -> dict[str, float]:
        """PSNR over cubic interpolation, by name of the volume."""
        return {look.name: look.gain_db for look in self.looks}


Report = Callable[[Progress], None]


def log(path: Path, progress: Progress) -> None:
    """Append a line; a step that is done again after a kill stands there twice, the later one counts."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        lines = csv.writer(file)
        if fresh:
            lines.writerow(("step", "error_hu", "gradient", "rate", "gains_db"))
        gains = " ".join(f"{name}={gain:+.3f}" for name, gain in progress.gains_db.items())
        lines.writerow(
            (progress.step, f"{progress.error_hu:.3f}", f"{progress.gradient:.4f}", f"{progress.rate:.3e}", gains)
        )
