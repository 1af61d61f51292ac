"""From stored values to Hounsfield units on a patient grid."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.tag import Tag

from dicom_node.errors import UnreadableInstance
from dicom_node.records import ThickSeries
from dicom_node.series.headers import by_series, data_set_digest, read_folder, read_header
from dicom_node.series.judge import judge
from dicom_node.series.voxels import affine, load_volume, read_slice
from dicom_node.settings import SeriesSettings
from tests.unit.dicom_node.series.samples import SETTINGS, dataset, write

R168 = "chest_5mm_toshiba_R168"
TRANSCODES = [
    "explicit_be",
    "explicit_le",
    "implicit_le",
    "j2k_lossless",
    "jpeg_lossless_sv1",
    "jpegls_lossless",
    "rle",
]


def hounsfield(folder: Path, stored: np.ndarray, **elements: object) -> np.ndarray:
    path = write(folder, dataset(stored, **elements))
    return read_slice(read_header(path, ""), SETTINGS)


def stack_in(folder: Path) -> ThickSeries:
    (headers,) = by_series(read_folder(folder)[0]).values()
    verdicts = [verdict for verdict in judge(headers, SETTINGS) if isinstance(verdict, ThickSeries)]
    return verdicts[0]


def test_slope_and_intercept_make_hounsfield_units(tmp_path: Path):
    stored = np.array([[0, 100], [1000, 4095]], dtype="<u2")
    np.testing.assert_array_equal(hounsfield(tmp_path, stored), [[-1024, -924], [-24, 3071]])
    half = hounsfield(tmp_path, stored, RescaleSlope="0.5", RescaleIntercept="-1000")
    np.testing.assert_array_equal(half, [[-1000, -950], [-500, 1047.5]])
    assert half.dtype == np.float32


def test_signed_values_keep_their_sign(tmp_path: Path):
    stored = np.array([[-1000, -1], [0, 2000]], dtype="<i2")
    np.testing.assert_array_equal(hounsfield(tmp_path, stored, RescaleIntercept=0), stored)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_those_stored_are_ignored(tmp_path: Path, signed: bool):
    """Old scanners kept overlays there."""
    clean = np.array([[1, -2], [2047, -2048]]) if signed else np.array([[0, 1], [4095, 2048]])
    dirty = ((clean & 0xFFF) | 0x5000).astype("<u2")
    elements = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": int(signed), "RescaleIntercept": 1024}
    np.testing.assert_array_equal(hounsfield(tmp_path, dirty, **elements), clean + 1024)


def test_nothing_is_thinner_than_air(tmp_path: Path):
    stored = np.array([[-3024, -2048], [-1025, -1024]], dtype="<i2")
    np.testing.assert_array_equal(hounsfield(tmp_path, stored, RescaleIntercept=0), np.full((2, 2), -1024))


@pytest.mark.parametrize(
    ("kind", "padding", "limit"),
    [("<u2", 63536, None), ("<u2", 60000, 65535), ("<i2", -2000, None), ("<i2", 3000, 3100)],
)
def test_padding_becomes_air_even_where_it_is_bright(tmp_path: Path, kind: str, padding: int, limit: int | None):
    """PixelPaddingValue is written as US or SS; only its bits count (PS3.3 C.7.5.1.1.2)."""
    stored = np.array([[padding, limit or padding], [1000, 1500]], dtype=kind)
    made = dataset(stored)
    made.add_new(Tag("PixelPaddingValue"), "US", padding & 0xFFFF)
    if limit is not None:
        made.add_new(Tag("PixelPaddingRangeLimit"), "US", limit & 0xFFFF)
    result = read_slice(read_header(write(tmp_path, made), ""), SETTINGS)
    np.testing.assert_array_equal(result, [[-1024, -1024], [-24, 476]])


@pytest.mark.parametrize("length", [0, 2, 798, 802, 8000])
def test_pixel_data_of_the_wrong_length_are_refused(tmp_path: Path, length: int):
    made = dataset(np.zeros((20, 20), dtype="<i2"), PixelData=bytes(length))
    with pytest.raises(UnreadableInstance, match="pixel data"):
        read_slice(read_header(write(tmp_path, made), ""), SETTINGS)


def test_a_size_above_the_limit_is_refused_before_decoding(tmp_path: Path):
    header = read_header(write(tmp_path, dataset()), "")
    with pytest.raises(UnreadableInstance, match="30 x 40 x 1 pixels exceed the limit"):
        read_slice(header, SeriesSettings(maximum_pixels=1199))
    assert read_slice(header, SeriesSettings(maximum_pixels=1200)).shape == (30, 40)


def test_a_second_patient_behind_the_pixels_is_refused(tmp_path: Path):
    path = write(tmp_path, dataset())
    header = read_header(path, "")
    path.write_bytes(path.read_bytes() + b"\x10\x00\x20\x00LO\x06\x00SECOND")
    with pytest.raises(UnreadableInstance, match="second patient"):
        read_slice(header, SETTINGS)


def test_the_affine_puts_every_voxel_where_the_header_says(shared_data: Path):
    """PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1, on a decubitus series: rows and columns swapped, not square."""
    stack = stack_in(shared_data / "odd/derived/series/28_decubitus")
    stack = replace(stack, slices=tuple(replace(made, pixel_spacing=(2.0, 3.0)) for made in stack.slices))
    matrix = affine(stack)
    for index, made in enumerate(stack.slices):
        row, column = 5, 7
        right, down = np.array(made.orientation[:3]), np.array(made.orientation[3:])
        expected = np.array(made.position) + right * 3.0 * column + down * 2.0 * row
        np.testing.assert_allclose((matrix @ [index, row, column, 1])[:3], expected, atol=1e-9)


def test_a_real_series_becomes_a_volume(shared_data: Path):
    """14 slices of GE chest CT with padding -2000 and -3024."""
    stack = stack_in(shared_data / "dicom/chest_2.5mm_ge_lung_CMB-CRC-MSB-01068_part")
    steps: list[tuple[int, int]] = []
    volume = load_volume(stack, SETTINGS, lambda done, total: steps.append((done, total)))
    assert volume.voxels.shape == (14, 512, 512)
    assert volume.spacing_mm == (2.5, 0.898438, 0.898438)
    assert volume.slice_thickness_mm == 2.5
    assert volume.voxels.min() == -1024
    assert steps == [(index, 14) for index in range(1, 15)]
    for index, made in enumerate(stack.slices):
        np.testing.assert_allclose(volume.position_mm(index), made.position, atol=1e-6)


def test_each_slice_has_its_own_slope_and_intercept(shared_data: Path):
    """The stored values are those of slope 1 throughout, so the odd slices must come out scaled."""
    volume = load_volume(stack_in(shared_data / "odd/derived/series/20_rescale_differs_per_slice"), SETTINGS)
    plain = load_volume(stack_in(shared_data / "odd/derived/series/00_good_5mm"), SETTINGS)
    body = plain.voxels[1] > -900
    np.testing.assert_allclose(
        np.median(volume.voxels[1][body]), np.median(plain.voxels[1][body] + 1024) * 1.1 - 1124, atol=2
    )
    np.testing.assert_allclose(np.median(volume.voxels[2]), np.median(plain.voxels[2]), atol=2)


def test_a_damaged_slice_is_named_by_its_place(shared_data: Path):
    stack = stack_in(shared_data / "odd/derived/series/35_one_corrupt_slice")
    with pytest.raises(UnreadableInstance) as caught:
        load_volume(stack, SETTINGS)
    assert str(caught.value) == "slice 4 of 10 (z=15): pixel data of 8092 bytes where 8192 are needed"


@pytest.mark.parametrize("name", TRANSCODES)
def test_every_lossless_transcode_gives_identical_voxels(shared_data: Path, name: str):
    originals = {made.sop_instance_uid: made for made in read_folder(shared_data / "dicom" / R168)[0]}
    headers, refusals = read_folder(shared_data / "dicom/transcodes_R168" / name)
    assert (len(headers), refusals) == (3, [])
    for made in headers:
        expected = read_slice(originals[made.sop_instance_uid], SETTINGS)
        np.testing.assert_array_equal(read_slice(made, SETTINGS), expected)


@pytest.mark.parametrize("image", ["CT1", "CT2"])
def test_the_nema_samples_agree_across_their_lossless_codecs(shared_data: Path, image: str):
    folder = shared_data / "dicom/wg04_compressed_CT1_CT2"
    decoded = []
    for codec in ("RLE", "JPLL", "JLSL", "J2KR"):
        path = folder / f"{image}_{codec}.dcm"
        decoded.append(read_slice(read_header(path, data_set_digest(path)), SETTINGS))
    for other in decoded[1:]:
        np.testing.assert_array_equal(other, decoded[0])
    for codec in ("J2KI", "JLSN"):
        with pytest.raises(UnreadableInstance, match="is not read: send uncompressed or losslessly compressed"):
            read_header(folder / f"{image}_{codec}.dcm", "")
