"""The table in docs/series.md is the specification: each staged folder ends as its row says."""

from pathlib import Path

import pytest

from dicom_node.records import SeriesHeld, StackVerdict, ThickSeries
from dicom_node.series.headers import by_series, read_folder
from dicom_node.series.judge import judge
from tests.promises import Promise, cell, parse, read_table
from tests.unit.dicom_node.series.samples import SETTINGS

ROWS = {folder: outcome for folder, (outcome, _) in read_table().items()}


def promise(verdict: StackVerdict) -> Promise:
    """One verdict in the words of the table."""
    if isinstance(verdict, ThickSeries):
        return Promise("restored", verdict.label, f"{len(verdict.slices)} slices every {verdict.step_mm:.3g} mm")
    return Promise("held" if isinstance(verdict, SeriesHeld) else "skipped", verdict.label, verdict.reason)


def outcomes(folder: Path) -> str:
    """Everything that becomes of a folder as one table cell."""
    headers, refusals = read_folder(folder)
    promises = [promise(verdict) for series in by_series(headers).values() for verdict in judge(series, SETTINGS)]
    return cell(promises + [Promise("refused", "", reason) for _, reason in refusals])


@pytest.mark.parametrize("folder", ROWS)
def test_a_folder_ends_as_the_table_says(shared_data: Path, folder: str):
    assert outcomes(shared_data / folder) == ROWS[folder]


@pytest.mark.parametrize("folder", ROWS)
def test_a_row_can_be_read_back(folder: str):
    assert cell(parse(ROWS[folder]).elements()) == ROWS[folder]


def test_every_staged_folder_is_in_the_table(shared_data: Path):
    staged = [
        path.relative_to(shared_data).as_posix()
        for root in ("dicom", "odd/derived/series")
        for path in (shared_data / root).rglob("*")
        if path.is_dir() and any(child.is_file() for child in path.iterdir())
    ]
    assert sorted(staged) == sorted(ROWS)
