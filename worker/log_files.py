"""The log as files, for the console and `thinslice log`: one for each kind of process, bounded and rotated."""

import fcntl
import io
import os
from logging import Formatter, LogRecord
from logging.handlers import WatchedFileHandler
from pathlib import Path

import structlog

from worker import log
from worker.settings import WorkerSettings

SUFFIX = ".jsonl"


class LogFile(WatchedFileHandler):
    """Appends lines to a file that several processes share; whoever makes it too long moves it aside.

    A line that cannot be written is lost, and nothing else: the log on standard error has it.

    Parameters
    ----------
    count : int
        Files that are kept, the one that is written among them.
    """

    def __init__(self, folder: Path, process: str, limit_bytes: int, count: int) -> None:
        self._path, self._limit_bytes, self._count = folder / f"{process}{SUFFIX}", limit_bytes, count
        super().__init__(self._path, encoding="utf-8")
        self.name = process
        self.setFormatter(Formatter("%(message)s"))

    def emit(self, record: LogRecord) -> None:
        """Write a line."""
        try:
            super().emit(record)
            if self._path.stat().st_size > self._limit_bytes:
                self._move_aside()
        except OSError:
            self.handleError(record)

    def handleError(self, record: LogRecord) -> None:  # noqa: N802 (logging's name)
        """Let it go."""

    def _open(self) -> io.TextIOWrapper:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8")

    def _move_aside(self) -> None:
        """One process at a time, and only a file that is still too long. The others notice at their next line."""
        with (self._path.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._path.stat().st_size > self._limit_bytes:
                names = files_of(self._path.parent, self.name or "", self._count)
                for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
                    newer.replace(older) if newer.exists() else None
                if self._count == 1:
                    self._path.unlink()


def files_of(folder: Path, process: str, count: int) -> list[Path]:
    """Files of a kind of process, the newest first, whether they are there or not."""
    return [folder / f"{process}{SUFFIX}{f'.{number}' if number else ''}" for number in range(count)]


def begin(settings: WorkerSettings, process: str) -> None:
    """Have this process log as the settings say, under its name."""
    if settings.logs is None:
        log.configure(settings.log_format)
        return
    try:
        kept = LogFile(settings.logs, process, int(settings.log_mb * 1_000_000), settings.log_files)
    except OSError as error:
        log.configure(settings.log_format)
        structlog.get_logger().warning("log lines are not kept for the console", reason=error.strerror or str(error))
    else:
        log.configure(settings.log_format, kept=kept)
