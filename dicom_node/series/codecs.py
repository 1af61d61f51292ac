"""Which decoder reads which transfer syntax, and how large a compressed frame says it is.

JPEG Lossless is decoded by imagecodecs' ``jpegsof3``: exact for all seven predictors, signed and unsigned, 12 to 16
bits (tested against DCMTK), and it refuses a cut stream, where libjpeg-turbo and liblj92 return a grey rest.
"""

import imagecodecs
import numpy as np
from pydicom.pixels.decoders.base import DecodeRunner, JPEGLosslessDecoder, JPEGLosslessSV1Decoder
from pydicom.uid import JPEG2000Lossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

# Which of pydicom's decoding plugins reads a compressed transfer syntax.
PLUGINS: dict[str, str] = {
    RLELossless: "pydicom",
    JPEGLossless: "imagecodecs",
    JPEGLosslessSV1: "imagecodecs",
    JPEGLSLossless: "pyjpegls",
    JPEG2000Lossless: "pylibjpeg",
}
# pydicom's plugin interface asks for this name.
DECODER_DEPENDENCIES = {JPEGLossless: ("imagecodecs",), JPEGLosslessSV1: ("imagecodecs",)}

_J2K_START = b"\xff\x4f\xff\x51"  # SOC, SIZ (ISO 15444-1 A.5.1)
_JPEG_START = b"\xff\xd8"
_FRAME_MARKERS = {0xC3, 0xF7}  # lossless JPEG (ISO 10918-1 B.2.2) and JPEG-LS (ISO 14495-1 C.2.2)
_SCAN_MARKER = 0xDA


def is_available(_uid: str) -> bool:
    """Answer pydicom's question whether the JPEG Lossless decoder can run."""
    return bool(imagecodecs.JPEGSOF3.available)


def decode_jpeg_lossless(source: bytes, _runner: DecodeRunner) -> bytes:
    """Decode one JPEG Lossless frame to little endian 16-bit words (PS3.5 8.2.1, 10.2, 10.3)."""
    return np.asarray(imagecodecs.jpegsof3_decode(source), dtype="<u2").tobytes()


def frame_size(frame: bytes) -> tuple[int, int]:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 frame itself states.

    A decoder allocates what the stream says, not what the header says, so the two are compared before decoding.

    Raises
    ------
    ValueError
        None of these, or cut before its frame header.
    """
    if frame.startswith(_J2K_START):
        numbers = np.frombuffer(frame, dtype=">u4", count=4, offset=8).tolist()  # Xsiz, Ysiz, XOsiz, YOsiz
        return numbers[1] - numbers[3], numbers[0] - numbers[2]
    if frame.startswith(_JPEG_START):
        return _jpeg_frame_size(frame)
    raise ValueError("the compressed frame is neither JPEG nor JPEG 2000")


def _jpeg_frame_size(frame: bytes) -> tuple[int, int]:
    place = len(_JPEG_START)
    while place + 9 <= len(frame) and frame[place] == 0xFF and frame[place + 1] != _SCAN_MARKER:
        if frame[place + 1] in _FRAME_MARKERS:
            return int.from_bytes(frame[place + 5 : place + 7]), int.from_bytes(frame[place + 7 : place + 9])
        place += 2 + int.from_bytes(frame[place + 2 : place + 4])
    raise ValueError("the JPEG stream has no lossless frame header")


def _register() -> None:
    for decoder in (JPEGLosslessDecoder, JPEGLosslessSV1Decoder):
        if "imagecodecs" not in decoder.available_plugins:
            decoder.add_plugin("imagecodecs", (__name__, "decode_jpeg_lossless"))


_register()
