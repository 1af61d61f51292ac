"""Files sent as they are, broken or not: their bytes as a C-STORE's data set, by a sender that looks at nothing."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import UID, CTImageStorage
from pynetdicom import AE, build_context
from pynetdicom.association import Association

from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES
from tests.unit.dicom_node.receive.harness import associate, body, store

MADE_UP_UID = "1.2.3.4"


@dataclass(frozen=True)
class Raw:
    """A file as its own meta describes it, as far as that can be read."""

    content: bytes
    sop_class: str
    sop_instance: str
    syntax: str

    @property
    def is_wanted(self) -> bool:
        """A CT image in a transfer syntax that the node takes."""
        return self.sop_class == CTImageStorage and self.syntax in TRANSFER_SYNTAXES

    @property
    def has_context(self) -> bool:
        """SOP class and transfer syntax are UIDs, so that a sender could offer them."""
        return UID(self.sop_class).is_valid and UID(self.syntax).is_valid


def read_raw(path: Path) -> Raw:
    """Cut a file into its data set and what a sender would say of it."""
    try:
        header = dcmread(path, force=True, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
        syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
        instance = str(header.get("SOPInstanceUID", ""))
        sop_class = str(header.get("SOPClassUID", ""))
    except Exception:  # noqa: BLE001 that is what makes it odd
        syntax = instance = sop_class = ""
    usable = 0 < len(instance) <= 64 and instance.isascii()
    return Raw(body(path.read_bytes()), sop_class, instance if usable else MADE_UP_UID, syntax)


def odd_files(data: Path) -> list[Path]:
    """Every file below ``odd``, in the order of its name."""
    files = sorted(each for each in (data / "odd").rglob("*") if each.is_file() and each.suffix != ".py")
    if len(files) < 500:
        raise ValueError(f"{data / 'odd'} holds {len(files)} files only")
    return files


class RawSender:
    """Sends as CT Image Storage over one association, which is made anew where the node has ended it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._association: Association | None = None

    def send(self, raw: Raw) -> int | None:
        """The status for one file, sent in its own transfer syntax where the node takes that; None without answer."""
        if self._association is None or not self._association.is_established:
            self._association = associate(self._address)
        syntax = raw.syntax if raw.syntax in TRANSFER_SYNTAXES else TRANSFER_SYNTAXES[0]
        return store(self._association, raw.content, raw.sop_instance, syntax=syntax)

    def release(self) -> None:
        """End the association in good order."""
        if self._association is not None:
            self._association.release()


@contextmanager
def raw_sender(address: tuple[str, int]) -> Iterator[RawSender]:
    """A sender that releases its association at the end."""
    sender = RawSender(address)
    try:
        yield sender
    finally:
        sender.release()


def accepted(address: tuple[str, int], pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Which pairs of SOP class and transfer syntax the node accepts when they are offered."""
    unique = sorted(set(pairs))
    taken = []
    for start in range(0, len(unique), 128):  # PS3.8 9.3.2.2: odd context IDs up to 255
        contexts = [build_context(*pair) for pair in unique[start : start + 128]]
        association = AE("SCANNER").associate(*address, ae_title="THINSLICE", contexts=contexts)
        taken += [(str(each.abstract_syntax), str(each.transfer_syntax[0])) for each in association.accepted_contexts]
        if association.is_established:
            association.release()
    return taken
