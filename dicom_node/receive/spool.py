"""The spool: the durable fact of what was received. Promise P1 is kept here.

    <root>/incoming/<owner>~<random>.part                            being written; worthless once its owner is dead
    <root>/series/<h(SeriesInstanceUID)>/<h(SOPInstanceUID)>-<sha256 of the data set>.dcm
    <root>/quarantine/<sha256>.dcm and .json                         what could not be read, and why
    <root>/quarantine/<sha256>-<sha256>.json                         two contents under one SOPInstanceUID

`h` is the first half of a sha256 in hex: no name comes from the sender, so none can lead out of the folder or tell
who the patient is. `durable` writes: after a power cut a file is there whole, under its final name, or not at all.

The same instance with the same bytes lands on the same name, so sending again changes nothing. The same
SOPInstanceUID with other bytes lands beside it: nothing is overwritten, and the series is held by those who read it.
"""

import json
import logging
import re
import shutil
from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from dicom_node import durable
from dicom_node.errors import SettingsError, StorageError, UnreadableInstance
from dicom_node.receive.part10 import Identity, encode_file, read_file
from dicom_node.records import ReceivedInstance

log = logging.getLogger(__name__)

_NAME = re.compile(r"[0-9a-f]{32}-[0-9a-f]{64}")
# No image takes this long to write: past it a half-written file is dead, whoever began it on whatever host.
_ABANDONED = timedelta(hours=1)


class Spool:
    """Instances on disk, under ``root``. Safe to share between threads and processes.

    Parameters
    ----------
    root : Path
        Made with its parents where absent, for the owner alone (0700).
    disk_full_percent : float
        Filling of the disk, as df shows it, past which nothing more is taken.
    owner : str
        Name of the process that writes, with slashes, for `clean` to ask whether it lives.

    Raises
    ------
    SettingsError
        The folder cannot be made or written.
    """

    def __init__(self, root: Path, disk_full_percent: float, owner: str = "") -> None:
        self._root = root
        self._owner = owner
        self._incoming = root / "incoming"
        self._series = root / "series"
        self._quarantine = root / "quarantine"
        self._disk_full_percent = disk_full_percent
        try:
            for folder in (self._incoming, self._series, self._quarantine):
                durable.make_folder(folder)
        except OSError as error:
            raise SettingsError(
                f"the spool folder {root} cannot be made ({error.strerror}): "
                "choose another [receive].spool or mend its rights"
            ) from error

    def store(
        self, data_set: bytes, identity: Identity, *, calling_ae: str, peer_ip: str, now: datetime
    ) -> ReceivedInstance:
        """Put an encoded data set on disk for good. On return nothing short of losing the disk can lose it.

        Parameters
        ----------
        data_set : bytes
            The data set exactly as sent, in ``identity.transfer_syntax_uid``.
        now : datetime
            Aware; kept as the file's modification time, so that `scan` finds it again.

        Raises
        ------
        StorageError
            The disk is past its watermark, full or failing; nothing was kept that counts.
        """
        content = encode_file(
            data_set,
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=identity.sop_instance_uid,
            transfer_syntax_uid=identity.transfer_syntax_uid,
            calling_ae=calling_ae,
        )
        digest = sha256(data_set).hexdigest()
        path = (
            self._series / _hashed(identity.series_instance_uid) / f"{_hashed(identity.sop_instance_uid)}-{digest}.dcm"
        )
        self._write(content, path, now)
        return _received(identity, path, len(content), calling_ae, peer_ip, now)

    def quarantine(
        self, content: bytes, reason: str, *, calling_ae: str, peer_ip: str, transfer_syntax_uid: str, now: datetime
    ) -> Path:
        """Keep bytes that cannot be read, with the reason beside them; the same bytes are kept once.

        Parameters
        ----------
        content : bytes
            What goes into the .dcm file.
        reason : str
            One sentence for a person. It is shown and logged: it must not repeat what was sent.

        Raises
        ------
        StorageError
            As `store`.
        """
        path = self._quarantine / f"{sha256(content).hexdigest()}.dcm"
        note = {
            "reason": reason,
            "calling_ae": calling_ae,
            "peer_ip": peer_ip,
            "transfer_syntax_uid": transfer_syntax_uid,
            "received_at": now.isoformat(),
        }
        self._write(content, path, now)
        self._write(json.dumps(note, indent=2).encode(), path.with_suffix(".json"), now)
        return path

    def note_conflict(self, instance: ReceivedInstance, earlier_sha256: str) -> Path:
        """Write into quarantine that an instance came with other content under a known UID; both stay where they are.

        Raises
        ------
        StorageError
            As `store`.
        """
        later = instance.path
        earlier = later.with_name(f"{later.stem.partition('-')[0]}-{earlier_sha256}.dcm")
        note = {
            "reason": "conflict: one SOP Instance UID came with two different contents; both are kept",
            "earlier": str(earlier.relative_to(self._root)),
            "later": str(later.relative_to(self._root)),
            "earlier_sha256": earlier_sha256,
            "later_sha256": instance.sha256,
            "calling_ae": instance.calling_ae,
            "peer_ip": instance.peer_ip,
            "received_at": instance.received_at.isoformat(),
        }
        path = self._quarantine / f"{earlier_sha256}-{instance.sha256}.json"
        self._write(json.dumps(note, indent=2).encode(), path, instance.received_at)
        return path

    def scan(self, known: Container[str] = ()) -> Iterator[ReceivedInstance]:
        """Everything that `store` ever acknowledged and nobody has purged, rebuilt from the disk alone.

        A file that the disk has damaged goes to quarantine instead. The digest is the one in the file's name.

        Parameters
        ----------
        known : container of str
            Paths to leave out, unread.

        Raises
        ------
        StorageError
            The disk cannot be read.
        """
        for path in sorted(self._series.glob("*/*.dcm")):
            if str(path) in known:
                continue
            if not _NAME.fullmatch(path.stem):
                log.warning("a file that is not ours lies in the spool, left alone, in %s", path.parent)
                continue
            try:
                instance = _rebuilt(path)
            except FileNotFoundError:  # purged since it was listed
                continue
            except UnreadableInstance as error:
                self._set_aside(path, str(error))
                continue
            except OSError as error:
                raise StorageError(f"the spool cannot be read ({error.strerror}): mend the disk") from error
            yield instance

    def clean(self, is_gone: Callable[[str], bool], now: datetime) -> int:
        """Remove what a crash left half written, and say how much.

        Parameters
        ----------
        is_gone : callable
            Whether the owner of that name is certainly dead: what a live one writes stays.
        now : datetime
            Aware. What an owner of another host left goes once it is an hour old.
        """
        dead = [part for part in self._incoming.glob("*.part") if self._is_dead(part, is_gone, now)]
        for part in dead:
            part.unlink(missing_ok=True)
        return len(dead)

    def _part(self) -> Path:
        owner = f"{self._owner.replace('/', '~')}~" if self._owner else ""
        return self._incoming / f"{owner}{uuid4().hex}.part"

    def _is_dead(self, part: Path, is_gone: Callable[[str], bool], now: datetime) -> bool:
        owner = part.stem.rpartition("~")[0].replace("~", "/")
        try:
            touched = datetime.fromtimestamp(part.stat().st_ctime, UTC)  # its modification time is its receipt
        except FileNotFoundError:  # finished since it was listed
            return False
        return bool(owner and is_gone(owner)) or touched < now - _ABANDONED

    def _set_aside(self, path: Path, reason: str) -> None:
        log.error("an instance in the spool is damaged, moved to quarantine: %s: %s", path.name, reason)
        self.quarantine(
            path.read_bytes(),
            reason,
            calling_ae="",
            peer_ip="",
            transfer_syntax_uid="",
            now=durable.modified_at(path.stat()),
        )
        path.unlink()

    def _write(self, content: bytes, path: Path, now: datetime) -> None:
        try:
            self._refuse_past_watermark(len(content))
            durable.write(content, path, part=self._part(), modified=now)
        except OSError as error:
            raise StorageError(
                f"the spool cannot be written ({error.strerror}): free space or mend the disk, then send again"
            ) from error

    def _refuse_past_watermark(self, size: int) -> None:
        disk = shutil.disk_usage(self._root)
        # used / (used + free) is the figure of df: blocks reserved for root are neither.
        percent = 100 * (disk.used + size) / (disk.used + disk.free)
        if percent > self._disk_full_percent:
            raise StorageError(
                f"the spool's disk is {percent:.1f} % full, more than [receive].disk_full_percent = "
                f"{self._disk_full_percent:g} allows: free space, then send again"
            )


def _hashed(uid: str) -> str:
    return sha256(uid.encode()).hexdigest()[:32]


def _received(
    identity: Identity, path: Path, size: int, calling_ae: str, peer_ip: str, received_at: datetime
) -> ReceivedInstance:
    return ReceivedInstance(
        sop_instance_uid=identity.sop_instance_uid,
        sop_class_uid=identity.sop_class_uid,
        series_instance_uid=identity.series_instance_uid,
        study_instance_uid=identity.study_instance_uid,
        transfer_syntax_uid=identity.transfer_syntax_uid,
        path=path,
        size=size,
        sha256=path.stem.rpartition("-")[2],
        calling_ae=calling_ae,
        peer_ip=peer_ip,
        received_at=received_at,
    )


def _rebuilt(path: Path) -> ReceivedInstance:
    identity, calling_ae = read_file(path)
    stat = path.stat()
    return _received(identity, path, stat.st_size, calling_ae, "", durable.modified_at(stat))
