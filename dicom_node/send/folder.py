"""Writing derived series into a folder, for what watches it: each file appears whole, or not at all."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dicom_node import durable
from dicom_node.destinations import FolderDestination
from dicom_node.errors import DestinationError, StorageError
from dicom_node.records import DerivedInstance, DerivedSeries, InstanceOutcome
from dicom_node.settings import SendSettings
from dicom_node.status import SUCCESS


def store(
    destination: FolderDestination,
    _calling_ae: str,
    instances: Sequence[DerivedInstance],
    _settings: SendSettings,
    on_outcome: Callable[[InstanceOutcome], None],
) -> None:
    """Write instances, each as ``series UID/instance UID.dcm``: part file, fsync, rename, fsync of the folder.

    The same instance written twice is there once.

    Raises
    ------
    DestinationError
        The folder is not there, or cannot be written: outcomes so far were reported, the rest can be written later.
    StorageError
        A stored file cannot be read.
    """
    for instance in instances:
        try:
            content = instance.path.read_bytes()
        except OSError as error:
            raise StorageError(f"{instance.path} cannot be read: {error.strerror}") from error
        _must_exist(destination)
        path = _place(destination, instance)
        try:
            durable.write(content, path, part=path.with_suffix(".part"))
        except OSError as error:
            raise _trouble(destination, "written", error) from error
        on_outcome(InstanceOutcome(instance.sop_instance_uid, SUCCESS))


def held(
    destination: FolderDestination, _calling_ae: str, result: DerivedSeries, _settings: SendSettings
) -> frozenset[str]:
    """SOP Instance UIDs of a result whose files, read back, are what was written. DestinationError as from `store`."""
    _must_exist(destination)
    try:
        return frozenset(
            item.sop_instance_uid for item in result.instances if _digest(_place(destination, item)) == item.sha256
        )
    except OSError as error:
        raise _trouble(destination, "read back", error) from error


def echo(destination: FolderDestination, _calling_ae: str, _settings: SendSettings) -> None:
    """Write a file and remove it. DestinationError where that cannot be done."""
    _must_exist(destination)
    try:
        with tempfile.TemporaryFile(dir=destination.path) as probe:
            probe.write(b"0")
    except OSError as error:
        raise _trouble(destination, "written", error) from error


def _place(destination: FolderDestination, instance: DerivedInstance) -> Path:
    """Where an instance goes; both UIDs are ours, and say nothing of the patient."""
    return destination.path / instance.series_instance_uid / f"{instance.sop_instance_uid}.dcm"


def _digest(path: Path) -> str:
    """sha256 of a file; empty where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _must_exist(destination: FolderDestination) -> None:
    """A folder that is not there may be a disk that is not mounted: making it would fill the disk below."""
    if not destination.path.is_dir():
        raise DestinationError(f"folder {destination.name}: {destination.path} is not there: mount it, or make it")


def _trouble(destination: FolderDestination, done: str, error: OSError) -> DestinationError:
    return DestinationError(
        f"folder {destination.name}: {destination.path} cannot be {done} ({error.strerror}): give this node's user "
        "the right to, or make room there"
    )
