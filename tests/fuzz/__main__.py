"""Feed the program what nobody would send: ``make fuzz SECONDS=300``.

Each target runs under atheris, guided by what its inputs reach, in a process of its own with a limit on memory and on
the time of one input; then mutated conversations are sent to a real listener. Prints a line for each; exit code 1 when
something crashed, hung or leaked. Inputs that reached something new are kept in var/fuzz/corpus, where the next run
begins; one that broke something lies in var/fuzz: mend it, then keep it in tests/fuzz/found.
"""

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.conversations import converse
from tests.fuzz.targets import TARGETS, seeds

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BROKEN = ROOT / "var" / "fuzz"
CORPUS = BROKEN / "corpus"
MEMORY_MB, ONE_INPUT_S, LONGEST = 1024, 10, 8192


@dataclass(frozen=True)
class Outcome:
    """What became of one target."""

    name: str
    inputs: int
    kept: int
    memory_mb: int
    broke: str

    def __str__(self) -> str:
        """As the table shows it."""
        return f"{self.name:<14} {self.inputs:>10} {self.kept:>7} {self.memory_mb:>7} MB  {self.broke or 'nothing'}"


def main() -> int:
    """Run every target for its share of the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument(
        "--targets", nargs="*", choices=[*TARGETS, "conversations"], default=[*TARGETS, "conversations"]
    )
    options = parser.parse_args()
    share = max(options.seconds // len(options.targets), 1)
    BROKEN.mkdir(parents=True, exist_ok=True)
    _say(f"{'target':<14} {'inputs':>10} {'corpus':>7} {'memory':>10}  broke")
    outcomes = []
    for name in options.targets:
        outcomes.append(_conversations(share) if name == "conversations" else _fuzzed(name, share))
        _say(str(outcomes[-1]))
    _say(f"{sum(outcome.inputs for outcome in outcomes)} inputs")
    return 1 if any(outcome.broke for outcome in outcomes) else 0


def _fuzzed(name: str, seconds: int) -> Outcome:
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    command = [sys.executable, "-m", "tests.fuzz.run", name, str(corpus)]
    found = HERE / "found" / name
    limits = [f"-rss_limit_mb={MEMORY_MB}", f"-timeout={ONE_INPUT_S}", f"-max_len={LONGEST}"]
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={BROKEN}/{name}-", "-print_final_stats=1"]
    more = [str(found)] if found.is_dir() else []
    done = subprocess.run([*command, *more, *limits, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    broke = "" if done.returncode == 0 else _first_word(done.stderr)
    return Outcome(
        name,
        _figure(done.stderr, "number_of_executed_units"),
        len(list(corpus.iterdir())),
        _figure(done.stderr, "peak_rss_mb"),
        broke,
    )


def _conversations(seconds: int) -> Outcome:
    inputs, memory_mb, broke = converse(seconds)
    return Outcome("conversations", inputs, 0, memory_mb, broke)


def _figure(said: str, name: str) -> int:
    found = re.search(rf"stat::{name}:\s+(\d+)", said)
    return int(found[1]) if found else 0


def _first_word(said: str) -> str:
    """What libFuzzer says of the end: the exception, or its own summary."""
    lines = [line for line in said.splitlines() if "Uncaught" in line or "ERROR" in line or "Error" in line]
    return " ".join(lines[:2]) or said[-200:]


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 this program's output


if __name__ == "__main__":
    sys.exit(main())
