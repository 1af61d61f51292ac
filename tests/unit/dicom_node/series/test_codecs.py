"""Compressed frames against DCMTK's encoders, and streams that lie or are cut."""

import subprocess
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import RLELossless

from dicom_node.errors import UnreadableInstance
from dicom_node.series.codecs import frame_size
from dicom_node.series.headers import read_header
from dicom_node.series.voxels import read_slice
from tests.unit.dicom_node.series.samples import SETTINGS, dataset, write


def noise(bits: int, signed: bool) -> np.ndarray:
    """Every value that can occur, in disorder: the worst for a predictor."""
    lowest = -(1 << bits - 1) if signed else 0
    values = np.random.default_rng(bits).integers(lowest, lowest + (1 << bits), (61, 67))
    values[0, :2] = lowest, lowest + (1 << bits) - 1
    return values.astype("<i2" if signed else "<u2")


def compressed(folder: Path, stored: np.ndarray, bits: int, *command: str) -> Path:
    path = write(folder, dataset(stored, BitsStored=bits, HighBit=bits - 1, RescaleIntercept=40000), "plain.dcm")
    made = folder / "compressed.dcm"
    subprocess.run([command[0], *command[1:], str(path), str(made)], check=True, capture_output=True)
    return made


@pytest.mark.dicom
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize(
    "command",
    [
        ("/usr/bin/dcmcjpeg", "+e1"),
        *[("/usr/bin/dcmcjpeg", "+el", "+sv", str(predictor)) for predictor in range(1, 8)],
        ("/usr/bin/dcmcjpls", "+el"),
        ("/usr/bin/dcmcrle",),
    ],
    ids=" ".join,
)
def test_what_dcmtk_compresses_losslessly_comes_back_exactly(
    tmp_path: Path, command: tuple[str, ...], bits: int, signed: bool
):
    """The intercept lifts all values above air, so that the floor hides nothing."""
    stored = noise(bits, signed)
    path = compressed(tmp_path, stored, bits, *command)
    assert dcmread(path).file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(read_slice(read_header(path, ""), SETTINGS), stored + 40000.0)


@pytest.mark.dicom
@pytest.mark.parametrize("command", [("/usr/bin/dcmcjpeg", "+e1"), ("/usr/bin/dcmcjpls", "+el"), ("/usr/bin/dcmcrle",)])
@pytest.mark.parametrize("kept", [0.25, 0.9])
def test_a_cut_stream_is_refused_and_not_filled_with_grey(tmp_path: Path, command: tuple[str, ...], kept: float):
    path = compressed(tmp_path, noise(16, signed=True), 16, *command)
    made = dcmread(path)
    frame = get_frame(made.PixelData, 0, number_of_frames=1)
    made.PixelData = encapsulate([frame[: int(len(frame) * kept)]])
    made.save_as(path)
    with pytest.raises(UnreadableInstance, match="cannot be decoded"):
        read_slice(read_header(path, ""), SETTINGS)


@pytest.mark.parametrize("name", ["jpeg_lossless_sv1", "jpegls_lossless", "j2k_lossless"])
def test_a_frame_that_states_another_size_is_refused(shared_data: Path, name: str):
    """A decoder allocates what the stream says; a header that says less must not open the door to it."""
    path = sorted((shared_data / "dicom/transcodes_R168" / name).iterdir())[0]
    assert frame_size(get_frame(dcmread(path).PixelData, 0, number_of_frames=1)) == (512, 512)
    header = replace(read_header(path, ""), rows=256, columns=1024)
    with pytest.raises(UnreadableInstance, match="the compressed frame is 512 x 512"):
        read_slice(header, SETTINGS)


def test_an_rle_bomb_is_refused_before_it_is_unpacked(tmp_path: Path):
    """Each pair of bytes becomes 128: a megabyte of them would become 64."""
    made = dataset(np.zeros((16, 16), np.int16))
    made.file_meta.TransferSyntaxUID = RLELossless
    bomb = bytes([2, 0, 0, 0, 64, 0, 0, 0, 128, 0, 0, 0]).ljust(64, b"\0") + b"\x81\0" * 500_000
    made.PixelData = encapsulate([bomb])
    path = write(tmp_path, made)
    tracemalloc.start()
    with pytest.raises(UnreadableInstance, match="the compressed frame has 1000064 bytes where 1088 at most"):
        read_slice(read_header(path, ""), SETTINGS)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    "frame", [b"", b"\xff\xd8", b"\xff\xd8\xff\xda\0\0", b"\xff\x4f\xff\x51\0", b"\xff\xd8\xff\xc0" + b"\0" * 20]
)
def test_a_stream_without_a_lossless_frame_header_is_refused(frame: bytes):
    with pytest.raises(ValueError):  # noqa: PT011  numpy and our own sentences
        frame_size(frame)
