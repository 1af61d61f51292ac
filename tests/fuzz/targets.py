"""What is fuzzed: each takes bytes from nowhere, and only an error that the program raises on purpose may come out."""

import io
import math
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom.encaps import encapsulate, get_frame
from pydicom.filereader import read_dataset
from pydicom.uid import CTImageStorage, JPEGLossless, JPEGLosslessSV1
from pynetdicom import pdu

from dicom_node.errors import InputError, NodeError, RequestRefused, SettingsError, UnreadableInstance
from dicom_node.receive.commitment import parse_request
from dicom_node.receive.part10 import encode_file, read_identity, split_file
from dicom_node.records import SliceHeader, ThickSeries
from dicom_node.retrieve.parts import parts
from dicom_node.send.commitment import parse_report
from dicom_node.series.codecs import PLUGINS
from dicom_node.series.headers import read_header
from dicom_node.series.judge import judge
from dicom_node.series.rules import TEXTS, why_not
from dicom_node.series.voxels import read_slice
from dicom_node.settings import RuleSettings, SeriesSettings
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES
from tests.unit.dicom_node.receive.harness import ct_slice, encoded
from tests.unit.dicom_node.series.samples import dataset, header, write
from worker.settings import load

SERIES = SeriesSettings(maximum_pixels=512 * 512)
COMPRESSED = tuple(PLUGINS)
FRAME = 32  # rows and columns of a fuzzed frame
RULE = RuleSettings.model_validate({"name": "all"} | {key: ["*a*b*", "*"] for key in TEXTS})
Target = Callable[[bytes], None]


def ingest(content: bytes) -> None:
    """A data set from the line: identity, the file made of it, its header, and its pixels where they are native."""
    syntax = str(TRANSFER_SYNTAXES[content[0] % len(TRANSFER_SYNTAXES)]) if content else ""
    try:
        identity = read_identity(content[1:], syntax)
    except UnreadableInstance:
        return
    file = encode_file(
        content[1:],
        sop_class_uid=identity.sop_class_uid,
        sop_instance_uid=identity.sop_instance_uid,
        transfer_syntax_uid=syntax,
        calling_ae="FUZZ",
    )
    part10(file)


def part10(content: bytes) -> None:
    """A file that somebody names: header, and pixels where they are native."""
    path = _folder() / "file.dcm"
    path.write_bytes(content)
    try:
        header = read_header(path, "")
        judge([header], SERIES)
        why_not(RULE, ThickSeries("", (header,), 5.0, (0.0, 0.0, 1.0), 5.0), "")
        if header.transfer_syntax_uid in TRANSFER_SYNTAXES[:2]:
            read_slice(header, SERIES)
    except InputError:
        pass


def geometry(content: bytes) -> None:
    """Slices at any place: every one ends in exactly one verdict."""
    headers = list(_headers(content))
    verdicts = judge(headers, SERIES)
    if headers and not verdicts:
        raise AssertionError("slices without a verdict")


def report(content: bytes) -> None:
    """A storage commitment result."""
    try:
        data_set = read_dataset(io.BytesIO(content[1:]), is_implicit_VR=True, is_little_endian=True)
    except Exception:  # noqa: BLE001 pynetdicom's to answer, before it is ours
        return
    with suppress(NodeError):
        parse_report(data_set, content[0] if content else None)


def request(content: bytes) -> None:
    """A storage commitment request."""
    try:
        data_set = read_dataset(io.BytesIO(content), is_implicit_VR=True, is_little_endian=True)
    except Exception:  # noqa: BLE001 answered as unreadable before it comes so far
        return
    with suppress(RequestRefused):
        parse_request(data_set, "FUZZ")


def settings(content: bytes) -> None:
    """A settings file."""
    path = _folder() / "settings.toml"
    path.write_bytes(content)
    with suppress(SettingsError):
        load(path)


def protocol_data_unit(content: bytes) -> None:
    """A PDU as the listener's library decodes it: it may refuse it in any way, but not hang or fill the memory."""
    kinds = {1: pdu.A_ASSOCIATE_RQ, 4: pdu.P_DATA_TF, 5: pdu.A_RELEASE_RQ, 7: pdu.A_ABORT_RQ}
    if len(content) < 6 or content[0] not in kinds:
        return
    with suppress(Exception):  # pynetdicom catches it in the same way, and ends the connection
        unit = kinds[content[0]]()
        unit.decode(bytearray(content))
        unit.to_primitive()


def codec(content: bytes) -> None:
    """A compressed frame in an honest header: what a decoder makes of it, or a refusal."""
    if not content:
        return
    syntax = COMPRESSED[content[0] % len(COMPRESSED)]
    image = dataset(np.zeros((FRAME, FRAME), "<i2"))
    image.PixelData = encapsulate([content[1:] or bytes(2)])
    image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
    image.file_meta.TransferSyntaxUID = syntax
    path = write(_folder(), image, "compressed.dcm")
    with suppress(InputError):
        read_slice(read_header(path, ""), SERIES)


def multipart(content: bytes) -> None:
    """A WADO-RS body: its parts, and what is read of the file in each."""
    if not content:
        return
    size = content[0] + 1
    chunks = (content[start : start + size] for start in range(1, len(content), size))
    with suppress(EOFError, UnreadableInstance):
        for part in parts(chunks, b"edge", 4096):
            split_file(part)


TARGETS: dict[str, Target] = {
    "ingest": ingest,
    "part10": part10,
    "geometry": geometry,
    "report": report,
    "request": request,
    "settings": settings,
    "pdu": protocol_data_unit,
    "codec": codec,
    "multipart": multipart,
}


def seeds(name: str) -> Iterator[bytes]:
    """Good inputs to begin from."""
    yield from SEEDS[name]()


def _image_seeds() -> Iterator[bytes]:
    for number, syntax in enumerate(TRANSFER_SYNTAXES[:2]):
        yield bytes([number]) + encoded(ct_slice(rows=2), syntax)


def _file_seeds() -> Iterator[bytes]:
    for seed in _image_seeds():
        image, syntax = ct_slice(rows=2), str(TRANSFER_SYNTAXES[seed[0]])
        uid = image.SOPInstanceUID
        names = {"sop_class_uid": CTImageStorage, "sop_instance_uid": uid}
        yield encode_file(seed[1:], **names, transfer_syntax_uid=syntax, calling_ae="FUZZ")


def _multipart_seeds() -> Iterator[bytes]:
    for file in _file_seeds():
        yield b"\x40--edge\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--edge--"


def _codec_seeds() -> Iterator[bytes]:
    image = dataset(np.arange(FRAME * FRAME, dtype="<i2").reshape(FRAME, FRAME))
    for number, syntax in enumerate(COMPRESSED):
        if syntax in (JPEGLossless, JPEGLosslessSV1):
            frame = imagecodecs.ljpeg_encode(image.pixel_array.view("<u2"))
        else:
            packed = deepcopy(image)
            packed.compress(syntax, generate_instance_uid=False)
            frame = get_frame(packed.PixelData, 0, number_of_frames=1)
        yield bytes([number]) + frame


def _report_seeds() -> Iterator[bytes]:
    element = struct.pack("<HHL", 0x0008, 0x1195, 4) + b"1.2\0"
    item = struct.pack("<HHL", 0x0008, 0x1155, 4) + b"1.3\0"
    for kind, tag in ((1, 0x1199), (2, 0x1198)):
        sequence = struct.pack("<HHLHHL", 0x0008, tag, 8 + len(item), 0xFFFE, 0xE000, len(item)) + item
        yield bytes([kind]) + element + sequence


def _request_seeds() -> Iterator[bytes]:
    transaction, sop_class, instance = (
        struct.pack("<HHL", 0x0008, element, 4) + uid
        for element, uid in ((0x1195, b"1.2\0"), (0x1150, b"1.4\0"), (0x1155, b"1.3\0"))
    )
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 24) + sop_class + instance
    yield transaction + struct.pack("<HHL", 0x0008, 0x1199, len(item)) + item


def _pdu_seeds() -> Iterator[bytes]:
    name = b"1.2.840.10008.3.1.1.1"
    head = struct.pack(">HH", 1, 0) + b"THINSLICE".ljust(16) + b"SCANNER".ljust(16) + bytes(32)
    body = head + struct.pack(">BBH", 0x10, 0, len(name)) + name
    yield struct.pack(">BBL", 1, 0, len(body)) + body
    yield struct.pack(">BBLLBB", 4, 0, 10, 6, 1, 3) + b"data"
    yield struct.pack(">BBLL", 7, 0, 4, 0)


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "ingest": _image_seeds,
    "part10": _file_seeds,
    "geometry": lambda: iter([b"".join(struct.pack("<4f", 0, 0, 5.0 * z, 5.0) for z in range(6))]),
    "report": _report_seeds,
    "request": _request_seeds,
    "settings": lambda: iter([Path("settings.toml").read_bytes()]),
    "pdu": _pdu_seeds,
    "codec": _codec_seeds,
    "multipart": _multipart_seeds,
}


def _headers(content: bytes) -> Iterator[SliceHeader]:
    """A slice for every 16 bytes: position and thickness as they are, infinite ones left out."""
    for number in range(min(len(content) // 16, 64)):
        x, y, z, thickness = struct.unpack_from("<4f", content, number * 16)
        known = all(map(math.isfinite, (x, y, z)))
        yield header(
            0.0,
            sop_instance_uid=f"1.2.{number}",
            position=(x, y, z) if known else None,
            problems=() if known else ("ImagePositionPatient is missing",),  # as the reader says of such
            slice_thickness=thickness if math.isfinite(thickness) else None,
            acquisition_number=content[number] % 3,
        )


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="thinslice-fuzz-"))
