"""Every damaged, hostile or unusual file that is staged: a named refusal or a good image, never a crash or a hang."""

import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.errors import UnreadableInstance
from dicom_node.records import SeriesSkipped
from dicom_node.series.headers import data_set_digest, read_header
from dicom_node.series.judge import judge
from dicom_node.series.voxels import read_slice
from tests.unit.dicom_node.series.samples import SETTINGS

# What becomes of the files whose fate must not change unnoticed; the start of the sentence.
FATES = {
    "000_good_reference": "image",
    "001_empty_file": "this is no DICOM file",
    "003_preamble_only": "the file meta information names no transfer syntax",
    "007_truncated_in_pixels": "pixel data of 4096 bytes where 8192 are needed",
    "020_claims_jpeg2000_but_raw": "the pixel data cannot be decoded",
    "023_unknown_transfer_syntax": "transfer syntax 1.2.3.4.5.6.7.8.9 is not read",
    "027_deflate_bomb_256MiB": "transfer syntax Deflated Explicit VR Little Endian is not read",
    "030_missing_PixelData": "there is no pixel data",
    "030_missing_SOPInstanceUID": "SOPInstanceUID is missing",
    "042_pixelspacing_text": "PixelSpacing is not 2 numbers",
    "051_decimal_comma": "SliceThickness is not a number",
    "055_rows_cols_65535": "65535 x 65535 x 1 pixels exceed the limit",
    "057_frames_2147483647": "64 x 64 x 2147483647 pixels exceed the limit",
    "059_pixel_too_long": "pixel data of 8320 bytes where 8192 are needed",
    "061_bits_12_garbage_high": "image",
    "064_monochrome1": "PhotometricInterpretation is MONOCHROME1, not MONOCHROME2",
    "080_patientid_long": "image",
    "082_sopuid_path_traversal": "SOPInstanceUID is not a valid UID",
    "089_bad_vr": "Rows or Columns is missing or zero",
    "091_tags_out_of_order": "the data set names a second patient",
    "092b_nested_3000_deep_undefined_length": "the data set cannot be parsed (RecursionError)",
    "000360": "transfer syntax JPEG 2000 Image Compression is not read",
    "J2K_pixelrep_mismatch": "image",
    "DICOMDIR": "a DICOMDIR is an index of files, not an image",
    "zipMR": "this is no DICOM file",
}


def fate(path: Path) -> str:
    """Read, judge and decode one file; the refusal's sentence, or ``image``."""
    try:
        header = read_header(path, data_set_digest(path))
        (verdict,) = judge([header], SETTINGS)
        assert isinstance(verdict, SeriesSkipped)  # one slice is never restored
        pixels = read_slice(header, SETTINGS)
    except UnreadableInstance as refusal:
        return str(refusal)
    assert pixels.shape == (header.rows, header.columns)
    assert pixels.min() >= -1024
    return "image"


@pytest.fixture(scope="module")
def fates(shared_data: Path) -> Iterator[dict[str, str]]:
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for folder, _, names in os.walk(shared_data / "odd"):
            for name in names:
                start = time.monotonic()
                found[f"{Path(folder).name}/{Path(name).stem}"] = fate(Path(folder) / name)
                assert time.monotonic() - start < 10, f"{name} took too long"
        yield found


def test_every_odd_file_has_a_fate(fates: dict[str, str]):
    assert len(fates) > 500
    assert all(sentence and "\n" not in sentence and len(sentence) < 200 for sentence in fates.values())


@pytest.mark.parametrize(("name", "sentence"), FATES.items())
def test_an_odd_file_is_named_for_what_it_is(fates: dict[str, str], name: str, sentence: str):
    (found,) = [fate for key, fate in fates.items() if key.split("/")[1] == name]
    assert found.startswith(sentence)


def test_no_fate_quotes_the_patient(fates: dict[str, str]):
    text = "".join(fates.values())
    assert "SYNTH-001" not in text
    assert "Synthetic" not in text
