"""A clock as a process of its own: ``python -m tests.unit.worker.one_clock <settings> <log of bells> <seconds>``."""

import sys
import time
from pathlib import Path

from worker.clock import Clock
from worker.settings import load
from worker.wiring import open_node


class WritingBell:
    """Writes down what it is rung for."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def restore(self, job_id: int, priority: int = 0) -> None:
        self._write(f"job {job_id} {priority}")

    def deliver(self, delivery_id: int, priority: int = 0) -> None:
        self._write(f"delivery {delivery_id} {priority}")

    def _write(self, line: str) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def main(settings: Path, log: Path, seconds: float) -> None:
    clock = Clock(open_node(load(settings), "clock"), WritingBell(log))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        clock.tick()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
