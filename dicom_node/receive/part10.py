"""One instance as bytes: what is read of it at the door, and the Part 10 file made of it.

The data set is never decoded as a whole here. Only four UIDs are read, as raw bytes, because every value that is
converted is a value that can be crafted; the pixels are looked at for their length alone. What is kept is what came.
"""

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID
from pynetdicom.dsutils import create_file_meta, encode_file_meta

from dicom_node.errors import UnreadableInstance
from dicom_node.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

PREAMBLE = bytes(128) + b"DICM"  # zeros: a preamble as sent may be an executable's head (CVE-2019-11687)
META_GROUP = 2
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA = Tag("PixelData")
_IDENTITY_TAGS: list[BaseTag | int] = [
    Tag(keyword) for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
]
# Digits and dots up to 64 (PS3.5 9.1). Leading zeros in a component are forbidden too, but scanners send them.
_UID = re.compile(rb"[0-9.]{1,64}")


@dataclass(frozen=True)
class Identity:
    """Which instance this is, by its data set, and how it is encoded."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str


class _PixelSearch:
    """A ``stop_when`` for pydicom that stops at the pixels and notes whether they are all there."""

    def __init__(self, data_set: BytesIO, size: int) -> None:
        self.data_set = data_set
        self.size = size
        self.found = False
        self.complete = False

    def __call__(self, tag: BaseTag, _vr: str | None, length: int) -> bool:
        if tag < _PIXEL_DATA:
            return False
        self.found = tag == _PIXEL_DATA
        self.complete = length == _UNDEFINED_LENGTH or length <= self.size - self.data_set.tell()
        return True


def read_identity(data_set: bytes, transfer_syntax_uid: str) -> Identity:
    """Read the four UIDs of an encoded data set, and see that it reaches to the last byte of its pixels.

    A data set that ends before its pixels do was cut on the way: told now, the sender can send it again.

    Raises
    ------
    UnreadableInstance
        The bytes are no data set, a UID is missing or malformed, or the pixels are missing or cut short.
        The sentence repeats nothing of what was sent.
    """
    syntax = UID(transfer_syntax_uid)
    stream = BytesIO(data_set)
    pixels = _PixelSearch(stream, len(data_set))
    try:
        header = read_dataset(
            stream, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=pixels, specific_tags=_IDENTITY_TAGS
        )
    except Exception as error:  # broken bytes raise anything, RecursionError included
        raise _unparsable(error) from error
    identity = _identity(header, transfer_syntax_uid)
    if not pixels.found:
        raise UnreadableInstance(
            "the data set ends before PixelData: it was cut short or holds no image; send it again"
        )
    if not pixels.complete:
        raise UnreadableInstance("PixelData is cut short: fewer bytes came than its length says; send it again")
    return identity


def encode_file(
    data_set: bytes, *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, calling_ae: str
) -> bytes:
    """Part 10 file (PS3.10 7.1): zero preamble, our File Meta Information, the bytes as sent."""
    meta = create_file_meta(
        sop_class_uid=UID(sop_class_uid),
        sop_instance_uid=UID(sop_instance_uid),
        transfer_syntax=UID(transfer_syntax_uid),
        implementation_uid=UID(IMPLEMENTATION_CLASS_UID),
        implementation_version=IMPLEMENTATION_VERSION_NAME,
    )
    meta.SourceApplicationEntityTitle = calling_ae
    return PREAMBLE + encode_file_meta(meta) + data_set


def read_file(path: Path) -> tuple[Identity, str]:
    """Identity and sender's AE title of a file that `encode_file` made, without reading its pixels.

    Raises
    ------
    UnreadableInstance
        The file is not what `encode_file` made: the disk has damaged it.
    OSError
        The file cannot be read.
    """
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=_IDENTITY_TAGS)
        syntax = str(header.file_meta.TransferSyntaxUID)
        calling_ae = str(header.file_meta.get("SourceApplicationEntityTitle", ""))
    except OSError:
        raise
    except Exception as error:  # broken bytes raise anything, RecursionError included
        raise _unparsable(error) from error
    return _identity(header, syntax), calling_ae


def split_file(content: bytes) -> tuple[Dataset, bytes]:
    """File Meta Information and encoded data set of a Part 10 file (PS3.10 7.1) that came whole.

    Raises
    ------
    UnreadableInstance
        It is no Part 10 file.
    """
    stream = BytesIO(content)
    stream.seek(len(PREAMBLE))
    if content[128 : len(PREAMBLE)] != PREAMBLE[128:]:
        raise UnreadableInstance("what came is no DICOM file (DICM is missing): check the server")
    try:
        meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != META_GROUP)
        for element in meta:  # converted now, so that a broken one is found here
            _ = element.value
    except Exception as error:  # broken bytes raise anything
        raise _unparsable(error) from error
    return meta, content[stream.tell() :]


def _unparsable(error: Exception) -> UnreadableInstance:
    return UnreadableInstance(
        f"the data set cannot be parsed ({type(error).__name__}): check how the sender encodes it, then send it again"
    )


def _identity(header: Dataset, transfer_syntax_uid: str) -> Identity:
    return Identity(
        sop_class_uid=_uid(header, "SOPClassUID"),
        sop_instance_uid=_uid(header, "SOPInstanceUID"),
        study_instance_uid=_uid(header, "StudyInstanceUID"),
        series_instance_uid=_uid(header, "SeriesInstanceUID"),
        transfer_syntax_uid=transfer_syntax_uid,
    )


def _uid(header: Dataset, keyword: str) -> str:
    """The value as text, from the raw bytes: pydicom's conversion would warn with the value in the warning."""
    # keep_deferred: else pydicom converts an element of length zero, and raises what it likes at an odd VR.
    element = header.get_item(keyword, keep_deferred=True)
    value = None if element is None else element.value
    if not value:
        raise UnreadableInstance(f"{keyword} is missing or empty: the sender must fill it")
    # NUL pads a UID to even length (PS3.5 6.2); some senders pad with a space.
    stripped = value.rstrip(b"\0 ") if isinstance(value, bytes) else b""
    if not _UID.fullmatch(stripped):
        raise UnreadableInstance(f"{keyword} is not a UID (digits and dots, 64 at most): the sender must mend it")
    return stripped.decode("ascii")
