"""Files that survive a power cut: written, synced, renamed, and the folder that holds their name synced.

After each of these steps a power cut leaves either nothing or the whole file under its final name.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from dicom_node import crash

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def write(content: bytes, path: Path, *, part: Path, modified: datetime | None = None) -> None:
    """Put a file under its name for good, replacing one that is there; `part` is its name until it is whole.

    Raises
    ------
    OSError
        Nothing under ``path`` counts as written; ``part`` is gone where the disk still obeys.
    """
    try:
        make_folder(path.parent)
        write_synced(part, content, modified)
        crash.point("spool.part-written")
        part.replace(path)
        crash.point("spool.renamed")
        sync_folder(path.parent)
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
    sync_folder(folder.parent)


def modified_at(stat: os.stat_result) -> datetime:
    """The ``modified`` that `write` was given, aware, UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=stat.st_mtime_ns // 1000)


def write_synced(path: Path, content: bytes, modified: datetime | None = None) -> None:
    """Write a file for the owner alone (0600). Its bytes are on disk on return, its name after `sync_folder`."""
    with synced(path) as file:
        file.write(content)
        file.flush()
        if modified is not None:
            nanoseconds = (modified - _EPOCH) // _MICROSECOND * 1000
            os.utime(file.fileno(), ns=(nanoseconds, nanoseconds))


@contextmanager
def synced(path: Path) -> Iterator[BinaryIO]:
    """Open a file for the owner alone (0600) to write into. Its bytes are on disk on leaving, as by `write_synced`."""
    path.touch(mode=0o600)
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
