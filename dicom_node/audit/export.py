"""The audit trail as a file that proves itself: JSON lines or CSV of rows with their hashes."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from dicom_node.audit.check import Told, Verdict, follow
from dicom_node.errors import InputError
from dicom_node.ledger.chain import AuditRow, Chain

COLUMNS = tuple(field.name for field in fields(AuditRow))
# The detail of a row may name every image of a series that came with other content.
LONGEST_FIELD = 16 * 1024 * 1024


class Form(StrEnum):
    """What an export is written as."""

    JSONL = "jsonl"
    CSV = "csv"


def lines(rows: Iterable[AuditRow], form: Form) -> Iterator[str]:
    """The lines of an export, each with its end."""
    if form is Form.CSV:
        yield _csv_line(COLUMNS)
    for row in rows:
        values = asdict(row) | {"at": row.at.astimezone(UTC).isoformat(timespec="microseconds")}
        yield _csv_line(values.values()) if form is Form.CSV else f"{json.dumps(values, ensure_ascii=False)}\n"


def verify_file(path: Path, told: Told = lambda _seq: None) -> Verdict:
    """Follow the rows of an export; what came before its first row is taken from that row's own word.

    Raises
    ------
    InputError
        The file is no export, or cannot be read; the line is named.
    """
    return follow(_read(path), Chain(previous=None), told)


def _read(path: Path) -> Iterator[AuditRow]:
    read = 0
    try:
        with path.open(encoding="utf-8", newline="") as file:
            is_csv = file.read(1) != "{"
            file.seek(0)
            for values in _csv_rows(file) if is_csv else map(json.loads, file):
                at = datetime.fromisoformat(values["at"])
                yield AuditRow(**{**values, "at": at, "seq": int(values["seq"])})
                read += 1
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError, csv.Error) as error:
        raise InputError(f"{path} is no export of an audit trail: what follows row {read} of it is none") from error


def _csv_rows(file: Iterable[str]) -> Iterator[dict[str, str]]:
    csv.field_size_limit(LONGEST_FIELD)
    return iter(csv.DictReader(file, strict=True))


def _csv_line(values: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue()
