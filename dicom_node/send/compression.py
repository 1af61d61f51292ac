"""Lossless compression of what is sent (PS3.5 8.2), one instance at a time in memory; stored files stay as they are."""

from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

# What [[send.pacs]] compression names.
SYNTAXES: dict[str, UID] = {"jpeg-ls": JPEGLSLossless, "jpeg2000": JPEG2000Lossless, "rle": RLELossless}
HEADER_BYTES = 4096


def has_pixels(path: Path) -> bool:
    """Whether a stored instance is an image with native Pixel Data, and not for example a report. OSError as it comes.

    Float Pixel Data has no lossless syntax of these (PS3.5 8.2).
    """
    header = dcmread(path, defer_size=HEADER_BYTES)
    return "PixelData" in header and not header.file_meta.TransferSyntaxUID.is_compressed


def compressed(path: Path, syntax: str) -> Dataset:
    """A stored image in a compressed transfer syntax: the same SOP Instance UID, the same pixels, nothing else changed.

    OSError where the file cannot be read.
    """
    image = dcmread(path)
    image.compress(UID(syntax), generate_instance_uid=False)
    return image
