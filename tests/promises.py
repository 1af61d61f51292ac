"""The table in docs/series.md as the tests read it: what becomes of each public folder, in the words of the docs."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs" / "series.md"
ROW = re.compile(r"^\| `(?P<folder>[^`]+)` \| (?P<outcome>.+?) \| (?P<why>.+?) \|$", re.MULTILINE)
OUTCOME = re.compile(r"(?:(?P<count>\d+) × )?\*\*(?P<state>\w+)\*\*(?: \[(?P<label>[^]]+)\])?: (?P<words>.+)")


@dataclass(frozen=True)
class Promise:
    """One outcome of a row: a stack ``restored``, ``held`` or ``skipped``, or a file ``refused``."""

    state: str
    label: str
    words: str

    def __str__(self) -> str:
        """As the table writes it."""
        name = f" [{self.label}]" if self.label else ""
        return f"**{self.state}**{name}: {self.words}"


def read_table() -> dict[str, tuple[str, str]]:
    """Outcome and reason of each folder, by its path below the data."""
    return {row["folder"]: (row["outcome"], row["why"]) for row in ROW.finditer(DOCS.read_text(encoding="utf-8"))}


def cell(promises: Iterable[Promise]) -> str:
    """Outcomes as a table cell writes them: equal ones counted."""
    counted = Counter(promises).items()
    return "<br>".join(f"{count} × {promise}" if count > 1 else str(promise) for promise, count in counted)


def parse(outcome: str) -> Counter[Promise]:
    """The outcomes that a table cell promises, the inverse of ``cell``."""
    promises: Counter[Promise] = Counter()
    for line in outcome.split("<br>"):
        found = OUTCOME.fullmatch(line)
        if found is None:
            raise ValueError(f"docs/series.md: {line!r} is no outcome")
        promises[Promise(found["state"], found["label"] or "", found["words"])] += int(found["count"] or 1)
    return promises
