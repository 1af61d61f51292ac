"""Anchors: the newest row's number and hash, written now and then into a file outside the database.

A chain shows what was changed or removed in it, but not that its end was cut off, nor that all of it was written anew.
A line of this file does: ``<number> <hash> <time>``. Kept on another disk, or copied elsewhere, it serves best.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dicom_node import durable
from dicom_node.errors import StorageError
from dicom_node.ledger import trail
from dicom_node.ledger.database import Database

LINE = re.compile(r"(?P<seq>[1-9]\d{0,18}) (?P<hash>[0-9a-f]{64}) (?P<at>\S{10,40})")


@dataclass(frozen=True)
class Anchor:
    """A row as it was at some moment, in the words of the file."""

    seq: int
    hash: str
    at: str


class Anchors:
    """The file of anchors; it is only ever added to, by several processes where there are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: tuple[int, datetime] | None = None

    def drop(self, database: Database, now: datetime, every_s: float = 0.0) -> bool:
        """Write down the newest row. False where there is no newer one, or the last anchor is younger than ``every_s``.

        Raises
        ------
        StorageError
            The file cannot be written.
        LedgerError
            The trail cannot be read.
        """
        if self._last is not None and now - self._last[1] < timedelta(seconds=every_s):
            return False
        newest = trail.head(database)
        if newest is None or (self._last is not None and newest.seq == self._last[0]):
            return False
        self._append(f"{newest.seq} {newest.hash} {now.astimezone(UTC).isoformat(timespec='seconds')}\n")
        self._last = (newest.seq, now)
        return True

    def __iter__(self) -> Iterator[Anchor | None]:
        """Every anchor in the order they were written; None for a line that is none, as a power cut leaves one."""
        try:
            with self.path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    found = LINE.fullmatch(line.strip())
                    if found or line.strip():
                        yield Anchor(int(found["seq"]), found["hash"], found["at"]) if found else None
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"the anchors in {self.path} cannot be read: {error.strerror}") from error

    def _append(self, line: str) -> None:
        """Add one line in one write; one that a power cut left half is ended first."""
        try:
            durable.make_folder(self.path.parent)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                os.write(descriptor, (b"\n" if torn else b"") + line.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageError(f"no anchor can be written to {self.path}: {error.strerror}") from error
