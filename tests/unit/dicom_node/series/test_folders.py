"""The table in docs/series.md is the specification: each staged folder ends as its row says."""

import re
from collections import Counter
from pathlib import Path

import pytest

from dicom_node.records import SeriesHeld, StackVerdict, ThickSeries
from dicom_node.series.headers import by_series, read_folder
from dicom_node.series.judge import judge
from tests.unit.dicom_node.series.samples import SETTINGS

DOCS = Path(__file__).parents[4] / "docs" / "series.md"
ROW = re.compile(r"^\| `(?P<folder>[^`]+)` \| (?P<outcome>.+?) \| (?P<why>.+?) \|$", re.MULTILINE)
ROWS = {row["folder"]: row["outcome"] for row in ROW.finditer(DOCS.read_text(encoding="utf-8"))}


def outcome(verdict: StackVerdict) -> str:
    """One verdict as the table writes it."""
    name = f" [{verdict.label}]" if verdict.label else ""
    if isinstance(verdict, ThickSeries):
        return f"**restored**{name}: {len(verdict.slices)} slices every {verdict.step_mm:.3g} mm"
    state = "held" if isinstance(verdict, SeriesHeld) else "skipped"
    return f"**{state}**{name}: {verdict.reason}"


def outcomes(folder: Path) -> str:
    """Everything that becomes of a folder as one table cell."""
    headers, refusals = read_folder(folder)
    lines = [outcome(verdict) for series in by_series(headers).values() for verdict in judge(series, SETTINGS)]
    lines += [f"**refused**: {reason}" for _, reason in refusals]
    return "<br>".join(f"{count} × {line}" if count > 1 else line for line, count in Counter(lines).items())


@pytest.mark.parametrize("folder", ROWS)
def test_a_folder_ends_as_the_table_says(shared_data: Path, folder: str):
    assert outcomes(shared_data / folder) == ROWS[folder]


def test_every_staged_folder_is_in_the_table(shared_data: Path):
    staged = [
        path.relative_to(shared_data).as_posix()
        for root in ("dicom", "odd/derived/series")
        for path in (shared_data / root).rglob("*")
        if path.is_dir() and any(child.is_file() for child in path.iterdir())
    ]
    assert sorted(staged) == sorted(ROWS)
