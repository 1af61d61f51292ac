"""The fault catalogue and docs/reliability.md, written from the tests that are marked with its rows.

``python -m tests.faults.catalogue`` writes the page anew; a house test says when that is due.
"""

import ast
import json
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from dicom_node import crash
from tests.faults.elsewhere import ELSEWHERE, Elsewhere

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PAGE = ROOT / "docs" / "reliability.md"
RESULTS = TESTS / "bench" / "results"

FAULTS = {
    1: "kill -9 of the process that restores",
    2: "kill -9 of a whole worker",
    3: "kill -9 between any two durable steps",
    4: "a worker frozen past its lease, then waking",
    5: "kill -9 of the listener in the middle of an association",
    6: "the line is cut in the middle of an image",
    7: "the spool's disk is full",
    8: "the results' or the database's disk is full",
    9: "the disk fails (EIO) on fsync",
    10: "Redis is killed or flushed",
    11: "Redis is down while images arrive",
    12: "a Redis message comes several times",
    13: "the database restarts in the middle of work",
    14: "SQLite is locked for half a minute",
    15: "power cut",
    16: "the PACS is down",
    17: "the PACS rejects the association",
    18: "the PACS dies after k of n images",
    19: "the PACS answers 0xA700, 0xC000, 0xB000",
    20: "the PACS accepts images, then loses them",
    21: "a commitment report never comes, late, or about something else",
    22: "a PACS without storage commitment",
    23: "an identical series is sent again",
    24: "slices arrive after the series was complete",
    25: "two series interleaved in one association",
    26: "one series from several senders at once",
    27: "one SOP Instance UID with two contents",
    28: "one series UID for two patients or studies",
    29: "a host's clock is an hour off",
    30: "pixel data cut short or of another length",
    31: "a corrupt compressed image; a codec that crashes or hangs",
    32: "a transfer syntax that is not taken",
    33: "not an original CT image; our own output comes back",
    34: "slices missing, doubled, displaced, unevenly spaced, of two phases, too few",
    35: "enhanced multi-frame, big endian, signed values, slope per slice, odd character sets",
    36: "the GPU is out of memory",
    37: "the GPU is lost",
    38: "the weights are missing, damaged or of another version",
    39: "the result is empty, saturated or not a number",
    40: "a job that kills its worker each time",
    41: "a job that hangs",
    42: "settings invalid, unknown key, port in use",
    43: "kill -9 in a migration; an older program on a newer schema; downgrade",
    44: "slow senders, giant PDUs, idle connections, TLS stall",
    45: "fuzzed PDUs and data sets",
    46: "a flood of associations",
    47: "SIGTERM under load",
    48: "retention beside what is not yet delivered",
    49: "an audit row is changed or removed",
    50: "everything at once: a process killed every few seconds, Redis flushed, PACS and database bounced",
}

# Why a row, or a part of it, has no test here.
UNTRIED = {
    15: "One machine cannot cut its own power. Instead the order of syncs before the answer is traced with strace, and "
    "the process is killed at every durable step.",
    29: "Skewed worker clocks only; daylight saving cannot matter, since the ledger's times are UTC.",
    31: "Wrong bits inside a JPEG 2000 or JPEG-LS stream that its codec does not notice cannot be seen: neither format "
    "has a checksum.",
    45: "`make fuzz SECONDS=300` looks for more; odd files go to a whole node (`tests/acceptance/test_odd_files.py`).",
    50: "`make soak SECONDS=600 SEED=1`; one seed replays one plan of actions.",
}


def shown() -> list[Elsewhere]:
    """Every ``@pytest.mark.row(number, happens)`` below tests/faults, then what is shown elsewhere, by row."""
    found = [item for path in sorted((TESTS / "faults").glob("test_*.py")) for item in _in_file(path)]
    return sorted([*found, *ELSEWHERE], key=lambda item: item.row)


def missing() -> list[str]:
    """Tests that are named as being elsewhere, and are not."""
    return [item.test for item in ELSEWHERE if not _exists(item.test)]


def page() -> str:
    """The text of docs/reliability.md."""
    by_row: dict[int, list[Elsewhere]] = defaultdict(list)
    for item in shown():
        by_row[item.row].append(item)
    rows = [_table_row(number, fault, by_row[number]) for number, fault in FAULTS.items()]
    covered = sum(1 for number in FAULTS if by_row[number])
    return HEAD.format(covered=covered, total=len(FAULTS)) + "\n".join(rows) + "\n" + _seen() + _places()


def _table_row(number: int, fault: str, items: list[Elsewhere]) -> str:
    happens = list(dict.fromkeys(item.happens for item in items))
    tests = list(dict.fromkeys(f"`{item.test}`" for item in items))
    if number in UNTRIED:
        happens.append(f"*{UNTRIED[number]}*")
    return f"| {number} | {fault} | {'<br>'.join(happens) or '*no test yet*'} | {'<br>'.join(tests)} |"


def _exists(test: str) -> bool:
    path, _, function = test.partition("::")
    file = TESTS / path
    return file.is_file() and f"def {function}(" in file.read_text(encoding="utf-8")


def _in_file(path: Path) -> Iterator[Elsewhere]:
    text = path.read_text(encoding="utf-8")
    where = path.relative_to(TESTS).as_posix()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.row":
                    number, happens = (ast.literal_eval(argument) for argument in mark.args)
                    yield Elsewhere(number, happens, f"{where}::{node.name}")


def _seen() -> str:
    recovery = json.loads((RESULTS / "recovery.json").read_text(encoding="utf-8"))
    settings = ", ".join(f"`{name}` {value:g}" for name, value in recovery["settings"].items())
    rows = [
        f"| {row['what']} | {row['noticed_by']} | {statistics.median(row['seconds']):.1f} | {max(row['seconds']):.1f} |"
        for row in recovery["rows"]
    ]
    soaks = (RESULTS / "soak.txt").read_text(encoding="utf-8").strip()
    return SEEN.format(settings=settings, rows="\n".join(rows), soaks=soaks)


def _places() -> str:
    names = "\n".join(f"- `{place}`" for place in crash.POINTS)
    return f"\n## Crash points\n\n{POINTS}\n{names}\n"


HEAD = """# What happens when something breaks

Written from the tests by `python -m tests.faults.catalogue`; do not edit. {covered} of {total} rows are tried by at
least one test. `make test-faults` runs them all; a representative part is in `make test`.

After each fault, once the node is at rest, these must hold (`tests/faults/kit/invariants.py`):

- **I1** every image that was answered 0x0000 is on disk, or was purged after the PACS had confirmed its result;
- **I2** every job has ended in a named state, with a reason for people unless it is verified;
- **I3** the PACS holds one derived series per job, of the right number of images, and nothing else;
- **I4** the audit trail's hash chain is whole;
- **I5** no half-written file and no claim on a job or delivery is left;
- **I6** no patient is named in a log, a file name or the ledger's words.

Three programs go further: `make soak SECONDS=600 SEED=1` kills, freezes, flushes and bounces parts of the production
wiring at random while senders push series; `make mutation` removes one safeguard at a time and shows the tests that
notice; `make bench-recovery` measures how long a job waits after its worker was killed.

| # | fault | what happens | tests |
|---|---|---|---|
"""

SEEN = """
## What was seen

On two cores, 2026-11-21: `make test-faults` 355 passed in 34:42, `make mutation` 16 of 16 removals noticed.
Seconds from kill -9 to the next claim of its job, with the settings that the program comes with ({settings}):

| killed | noticed by | median | longest |
|---|---|---|---|
{rows}

`make fuzz SECONDS=300`: 3.7 million inputs, nothing broke; twenty minutes of compressed frames alone: 63,358, nothing.
Earlier runs found a UID of no length and a commitment report that cannot be read, which were answered as faults of
ours. Both are kept in `tests/fuzz/found`.

Five soaks of ten minutes, two at a time, the last beside a bench:

```
{soaks}
```
"""

POINTS = """The process kills itself with SIGKILL at each of these places, one after the other, and is started again
(`tests/faults/test_crash_matrix.py`; `THINSLICE_CRASH=place:file` arms one by hand):
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
