"""The spool's quarantine as people see it: which files could not be read, from whom, when and why.

An item is named by the hex digests that its files are named by: nothing else is looked for, so that no name leads out
of the folder.
"""

import heapq
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dicom_node import durable
from dicom_node.errors import InputError, StorageError
from dicom_node.receive.door import Arrival
from dicom_node.receive.part10 import split_file

FOLDER = "quarantine"
NAME = re.compile(r"[0-9a-f]{64}(-[0-9a-f]{64})?")
DAMAGED = "its note is damaged"


@dataclass(frozen=True)
class Item:
    """One item of the quarantine.

    Attributes
    ----------
    name : str
        sha256 of the file, hex; of a conflict, those of its two contents, joined by a dash.
    reason : str
        One sentence for people.
    size : int or None
        Bytes of the file; None where there is none: of a conflict the two files lie with their series.
    received_at : datetime
        Aware, UTC.
    """

    name: str
    reason: str
    calling_ae: str
    peer_ip: str
    received_at: datetime
    size: int | None

    @property
    def is_conflict(self) -> bool:
        """Whether it only notes that two contents came under one UID."""
        return "-" in self.name


def newest(spool: Path, most: int) -> tuple[list[Item], int]:
    """The newest items, and how many there are."""
    try:
        with os.scandir(spool / FOLDER) as entries:
            notes = [(entry.stat().st_mtime_ns, entry.name) for entry in entries if _is_note(entry.name)]
    except OSError as error:
        raise StorageError(f"the quarantine cannot be read ({error.strerror}): mend the spool's disk") from error
    names = [Path(name).stem for _, name in heapq.nlargest(most, notes)]
    return [item for name in names if (item := _item(spool, name)) is not None], len(notes)


def find(spool: Path, name: str) -> Item:
    """One item. InputError where there is none of that name."""
    found = _item(spool, name) if NAME.fullmatch(name) else None
    if found is None:
        raise InputError("there is no such file in quarantine; `thinslice quarantine list` shows them")
    return found


def by_prefix(spool: Path, prefix: str) -> Item:
    """The one item whose name begins so. InputError where there is none, or more than one."""
    plain = prefix.lower()
    folder = spool / FOLDER
    stems = [path.stem for path in folder.glob("*.json")] if re.fullmatch(r"[0-9a-f-]{4,129}", plain) else []
    found = [stem for stem in stems if stem.startswith(plain) and NAME.fullmatch(stem)]
    if len(found) > 1 and plain not in found:
        raise InputError(f"{len(found)} files in quarantine begin with {plain}; give more of the digest")
    return find(spool, plain if plain in found else "".join(found))


def file_of(spool: Path, item: Item) -> Path:
    """Where its bytes lie. InputError for a conflict, which has none of its own."""
    if item.is_conflict:
        raise InputError("a conflict has no file of its own: both images lie with their series")
    return spool / FOLDER / f"{item.name}.dcm"


def arrival_of(spool: Path, item: Item) -> Arrival:
    """The instance as it came, to be tried again.

    Raises
    ------
    UnreadableInstance
        Its File Meta Information cannot be read either.
    StorageError
        The disk cannot be read.
    """
    try:
        meta, data_set = split_file(file_of(spool, item).read_bytes())
    except OSError as error:
        raise StorageError(f"the file cannot be read ({error.strerror}): mend the spool's disk") from error
    kind = str(meta.get("MediaStorageSOPClassUID", ""))
    return Arrival(
        data_set,
        transfer_syntax_uid=str(meta.get("TransferSyntaxUID", "")),
        context_class_uid=kind,
        sop_class_uid=kind,
        sop_instance_uid=str(meta.get("MediaStorageSOPInstanceUID", "")),
        calling_ae=item.calling_ae or str(meta.get("SourceApplicationEntityTitle", "")),
        peer_ip=item.peer_ip,
    )


def remove(spool: Path, item: Item) -> None:
    """Remove it for good: the file first, so that none is left without its note. StorageError where the disk fails."""
    folder = spool / FOLDER
    try:
        for ending in (".dcm", ".json"):
            (folder / f"{item.name}{ending}").unlink(missing_ok=True)
        durable.sync_folder(folder)
    except OSError as error:
        raise StorageError(f"it cannot be removed ({error.strerror}): mend the spool's disk") from error


def _is_note(name: str) -> bool:
    return name.endswith(".json") and NAME.fullmatch(name.removesuffix(".json")) is not None


def _item(spool: Path, name: str) -> Item | None:
    note, content = (spool / FOLDER / f"{name}{ending}" for ending in (".json", ".dcm"))
    try:
        stat, told = note.stat(), _told(note)
        size = content.stat().st_size if content.exists() else None
    except OSError:  # removed since it was listed
        return None
    words = {key: str(told.get(key, "")) for key in ("calling_ae", "peer_ip")}
    at = durable.modified_at(stat).astimezone(UTC)
    return Item(name, str(told.get("reason", DAMAGED)), **words, received_at=at, size=size)


def _told(note: Path) -> dict[str, object]:
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
