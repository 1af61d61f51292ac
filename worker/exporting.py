"""A stored result in a person's hands: as a stream of a zip file, or copied to a folder. The audit trail says so."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from dicom_node.derive.manifest import load_series
from dicom_node.errors import InputError, StorageError
from dicom_node.ledger import handling, queries
from dicom_node.ledger.queries import JobView
from dicom_node.records import DerivedSeries
from worker.wiring import Node

CHUNK = 1 << 20
# The moment of every file in a zip: nothing is told by it.
NO_MOMENT = (1980, 1, 1, 0, 0, 0)


class _Sink:
    """What a zip file is written into, and taken from piece by piece: it is never whole in memory."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep it until it is taken."""
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing to flush."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def results_of(node: Node, series_id: int) -> list[JobView]:
    """Jobs of a series whose result is on this node, without those that were replaced. InputError: there is none."""
    found = [job for job in queries.jobs_of(node.database, series_id) if job.result and job.state != "superseded"]
    if not found:
        raise InputError(f"series {series_id} has no result on this node")
    return found


def taken_out(node: Node, job: JobView, to: str, reason: str) -> DerivedSeries:
    """The result of a job, whole, for someone who takes a copy of it.

    Raises
    ------
    InputError
        It has none on this node.
    StorageError
        It is damaged.
    """
    if not job.result or not Path(job.result).is_dir():
        raise InputError(f"the result of job {job.id} is no longer on this node")
    result = load_series(Path(job.result))
    handling.result(node.database, job.id, len(result.instances), to, reason)
    return result


def zipped(result: DerivedSeries) -> Iterator[bytes]:
    """A zip file of the result's instances (PS3.10 files), piece by piece."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:  # type: ignore[call-overload] # needs no more than write and flush
        for instance in result.instances:
            entry = ZipInfo(instance.path.name, NO_MOMENT)
            with instance.path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while piece := source.read(CHUNK):
                    target.write(piece)
                    yield sink.take()
    yield sink.take()


def copy_to(node: Node, jobs: Sequence[JobView], folder: Path, reason: str) -> int:
    """Copy results into a folder, each into one of its own where there are several; returns how many files.

    Raises
    ------
    InputError
        The folder cannot be used.
    StorageError
        A result is damaged, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            raise InputError(f"{folder} is not empty; name a new folder")
        return sum(_copy(node, job, folder if len(jobs) == 1 else folder / f"job-{job.id}", reason) for job in jobs)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written ({error.strerror}); name another") from error


def _copy(node: Node, job: JobView, folder: Path, reason: str) -> int:
    result = taken_out(node, job, "a folder", reason)
    folder.mkdir(exist_ok=True, mode=0o700)
    for instance in result.instances:
        shutil.copyfile(instance.path, folder / instance.path.name)
    return len(result.instances)
