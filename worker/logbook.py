"""Reads back what the processes of this machine logged: the last lines about a series, and the last warnings."""

import json
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from worker.log_files import SUFFIX, files_of
from worker.settings import WorkerSettings

# Of each kind of process this much is looked through for a page; `thinslice log` looks through everything.
PAGE_BYTES = 1_000_000
BLOCK = 1 << 16
BAD = frozenset({"warning", "error", "critical"})
# What stands elsewhere, or in the file alone: a traceback is for who maintains the program.
APART = ("event", "level", "timestamp", "process", "host", "pid", "exception")


@dataclass(frozen=True)
class LogLine:
    """One line: what was said, by which process, and with which numbers."""

    at: datetime
    level: str
    event: str
    process: str
    host: str
    pid: int
    numbers: dict[str, str]

    @property
    def is_bad(self) -> bool:
        """A warning or worse."""
        return self.level in BAD


def about(
    settings: WorkerSettings, series_id: int, job_ids: Set[int], limit: int, most_bytes: int | None = PAGE_BYTES
) -> list[LogLine]:
    """The last lines about a series or its jobs, oldest first."""
    wanted = [f'"series": {series_id}', *(f'"job": {number}' for number in job_ids)]

    def is_about(fields: dict[str, object]) -> bool:
        return fields.get("series") == series_id or fields.get("job") in job_ids

    return _last(settings, [text.encode() for text in wanted], is_about, limit, most_bytes)


def warnings(settings: WorkerSettings, limit: int, most_bytes: int | None = PAGE_BYTES) -> list[LogLine]:
    """The last warnings of every process, oldest first."""
    wanted = [f'"level": "{level}"'.encode() for level in BAD]
    return _last(settings, wanted, lambda fields: fields.get("level") in BAD, limit, most_bytes)


def _last(
    settings: WorkerSettings,
    wanted: list[bytes],
    fits: Callable[[dict[str, object]], bool],
    limit: int,
    most_bytes: int | None,
) -> list[LogLine]:
    """The last lines that hold one of these texts and fit, of all kinds of processes together."""
    if settings.logs is None:
        return []
    found = []
    for newest in settings.logs.glob(f"*{SUFFIX}"):
        files = files_of(settings.logs, newest.name.removesuffix(SUFFIX), settings.log_files)
        of_process = (
            line
            for raw in _backwards(files, most_bytes)
            if any(text in raw for text in wanted) and (line := _line(raw, fits)) is not None
        )
        found += [line for line, _ in zip(of_process, range(limit), strict=False)]
    return sorted(found, key=lambda line: line.at)[-limit:]


def _backwards(files: list[Path], most_bytes: int | None) -> Iterator[bytes]:
    """Lines of files, the last one first, until so much is read."""
    left = most_bytes
    for path in files:
        try:
            with path.open("rb") as file:
                rest, at = b"", file.seek(0, 2)
                while at > 0 and (left is None or left > 0):
                    size = min(BLOCK, at)
                    at = file.seek(at - size)
                    lines = (file.read(size) + rest).split(b"\n")
                    rest = lines[0] if at else b""
                    yield from reversed(lines[1:] if at else lines)
                    left = None if left is None else left - size
        except OSError:  # moved aside at this moment, or not there
            continue


def _line(raw: bytes, fits: Callable[[dict[str, object]], bool]) -> LogLine | None:
    """A line that fits; None also for one that was cut short or is no line of ours."""
    try:
        fields = json.loads(raw)
        if not isinstance(fields, dict) or not fits(fields):
            return None
        at = datetime.fromisoformat(str(fields["timestamp"]))
        numbers = {key: str(value) for key, value in fields.items() if key not in APART}
        level, event, process, host = (str(fields.get(key, "")) for key in ("level", "event", "process", "host"))
        return LogLine(at, level, event, process, host, int(fields.get("pid", 0)), numbers)
    except (ValueError, KeyError, TypeError):
        return None
