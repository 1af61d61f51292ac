"""Files that survive a power cut: written, synced, renamed, and the folder that holds their name synced.

After each of these steps a power cut leaves either nothing or the whole file under its final name.
"""

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def write(content: bytes, path: Path, *, part: Path, modified: datetime) -> None:
    """Put a file under its name for good, replacing one that is there; `part` is its name until it is whole.

    Raises
    ------
    OSError
        Nothing under ``path`` counts as written; ``part`` is gone where the disk still obeys.
    """
    try:
        make_folder(path.parent)
        _write_synced(part, content, modified)
        part.replace(path)
        _sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def make_folder(folder: Path) -> None:
    """Make a folder and its parents for the owner alone (0700); no harm where it exists.

    Its name lives in its parent, so that is synced, even where the folder exists: another thread, or a process killed
    since, may have made it without getting as far as the sync.
    """
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync_folder(folder.parent)


def modified_at(stat: os.stat_result) -> datetime:
    """The ``modified`` that `write` was given, aware, UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=stat.st_mtime_ns // 1000)


def _write_synced(path: Path, content: bytes, modified: datetime) -> None:
    nanoseconds = (modified - _EPOCH) // _MICROSECOND * 1000
    path.touch(mode=0o600, exist_ok=False)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.utime(file.fileno(), ns=(nanoseconds, nanoseconds))
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
