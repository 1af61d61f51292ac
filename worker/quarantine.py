"""What a person may do with a file that could not be read: try it again, take it out to look at it, or remove it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from dicom_node import crash
from dicom_node.errors import InputError, StorageError
from dicom_node.ledger import handling
from dicom_node.receive import door, quarantine
from dicom_node.receive.quarantine import Item
from worker.acts import Outcome
from worker.receiving import enter
from worker.wiring import Node

WARNING = "The file may name a patient: keep it as you keep the patient's images."


def retry(node: Node, item: Item, reason: str) -> Outcome:
    """Receive it again, as when it came: after an upgrade, or once a setting was changed."""
    spool = node.settings.receive.spool
    try:
        received = door.try_again(node.spool, quarantine.arrival_of(spool, item), datetime.now(UTC))
    except InputError as error:
        return Outcome(done=False, said=f"It stays in quarantine: {error}.")
    crash.point("quarantine.stored")
    enter(node, [received])
    crash.point("quarantine.entered")
    handling.quarantine(node.database, "retried", item.name, reason)
    quarantine.remove(spool, item)
    return Outcome(done=True, said="it can be read now, and goes the way of every image")


def remove(node: Node, item: Item, reason: str) -> Outcome:
    """Remove it for good."""
    handling.quarantine(node.database, "removed", item.name, reason)
    crash.point("quarantine.noted")
    quarantine.remove(node.settings.receive.spool, item)
    return Outcome(done=True, said="it is removed from quarantine")


def taken_out(node: Node, item: Item, reason: str) -> Path:
    """The file, for someone who takes a copy of it; that they do is in the audit trail."""
    path = quarantine.file_of(node.settings.receive.spool, item)
    if not path.is_file():
        raise InputError("the file is no longer in quarantine")
    handling.quarantine(node.database, "exported", item.name, reason)
    return path


def export(node: Node, item: Item, target: Path, reason: str) -> Path:
    """Copy it to a file of that name, or into that folder.

    Raises
    ------
    InputError
        It is there already.
    StorageError
        It cannot be written.
    """
    final = target / neutral_name(item) if target.is_dir() else target
    if final.exists():
        raise InputError(f"{final} is there already; name another")
    source = taken_out(node, item, reason)
    try:
        shutil.copyfile(source, final)
        final.chmod(0o600)
    except OSError as error:
        raise StorageError(f"{final} cannot be written ({error.strerror}); name another") from error
    return final


def neutral_name(item: Item) -> str:
    """A file name that tells nothing of what is in it."""
    return f"quarantine-{item.name[:16]}.dcm"
