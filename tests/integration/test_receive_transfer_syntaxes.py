"""DCMTK's storescu sends real CT in every transfer syntax; the spool holds exactly what was sent."""

import os
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000Lossless

from dicom_node.receive.spool import Spool
from tests.unit.dicom_node.receive.harness import Recorder, associate, body, running, store

# By its full path: pynetdicom brings another program of the same name.
STORESCU = "/usr/bin/storescu"
REAL = {
    "transcodes_R168/explicit_le/*": "-xe",
    "transcodes_R168/implicit_le/*": "-xi",
    "transcodes_R168/explicit_be/*": "-xb",
    "transcodes_R168/rle/*": "-xr",
    "transcodes_R168/jpeg_lossless_sv1/*": "-xs",
    "transcodes_R168/jpegls_lossless/*": "-xt",
}

pytestmark = pytest.mark.dicom


def storescu(address: tuple[str, int], offer: str, files: list[Path]) -> subprocess.CompletedProcess[str]:
    host, port = address
    command = [STORESCU, "-v", "-R", offer, "-aec", "THINSLICE", "-aet", "SCANNER", host, str(port), *map(str, files)]
    environment = os.environ | {"TCP_NODELAY": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("pattern", "offer"), REAL.items())
def test_real_slices_arrive_byte_for_byte(tmp_path: Path, shared_data: Path, pattern: str, offer: str) -> None:
    sent = sorted((shared_data / "dicom").glob(pattern))
    told = Recorder()
    with running(tmp_path, told.callbacks()) as listener:
        result = storescu(listener.address, offer, sent)
        assert result.returncode == 0, result.stderr + result.stdout
    expected = {dcmread(path, stop_before_pixels=True).SOPInstanceUID: path.read_bytes() for path in sent}
    found = list(Spool(tmp_path, 100).scan())
    assert {each.sop_instance_uid for each in found} == set(expected)
    assert {each.sop_instance_uid for each in told.received} == set(expected)
    for each in found:
        original = expected[each.sop_instance_uid]
        assert body(each.path.read_bytes()) == body(original)
        assert each.transfer_syntax_uid == dcmread(BytesIO(original)).file_meta.TransferSyntaxUID


def test_jpeg_2000_pixels_arrive_as_they_were(tmp_path: Path, shared_data: Path) -> None:
    """DCMTK writes these files' sequence lengths anew on the way, so the pixels alone are compared."""
    sent = sorted((shared_data / "dicom" / "wg04_compressed_CT1_CT2").glob("*_J2KR.dcm"))
    with running(tmp_path) as listener:
        result = storescu(listener.address, "-xv", sent)
        assert result.returncode == 0, result.stderr + result.stdout
    kept = {dcmread(each.path).PixelData for each in Spool(tmp_path, 100).scan()}
    assert kept == {dcmread(path).PixelData for path in sent}


def test_jpeg_2000_that_dcmtk_cannot_read_arrives_byte_for_byte_too(tmp_path: Path, shared_data: Path) -> None:
    sent = sorted((shared_data / "dicom" / "transcodes_R168" / "j2k_lossless").glob("*.dcm"))
    with running(tmp_path) as listener:
        association = associate(listener.address, [JPEG2000Lossless])
        for path in sent:
            uid = dcmread(path, stop_before_pixels=True).SOPInstanceUID
            assert store(association, body(path.read_bytes()), uid, syntax=JPEG2000Lossless) == 0x0000
        association.release()
    kept = {body(each.path.read_bytes()) for each in Spool(tmp_path, 100).scan()}
    assert kept == {body(path.read_bytes()) for path in sent}


def test_deflated_is_refused_and_a_sender_that_can_falls_back_to_explicit(
    tmp_path: Path, shared_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent = sorted((shared_data / "dicom" / "transcodes_R168" / "deflated").glob("*.dcm"))
    with running(tmp_path) as listener:
        result = storescu(listener.address, "-xd", sent)
        assert result.returncode == 0, result.stderr + result.stdout
        assert not associate(listener.address, [DeflatedExplicitVRLittleEndian]).accepted_contexts
    assert "CT Image Storage in Deflated Explicit VR Little Endian" in caplog.text
    found = list(Spool(tmp_path, 100).scan())
    pixels = {dcmread(path).SOPInstanceUID: dcmread(path).PixelData for path in sent}
    assert {each.transfer_syntax_uid for each in found} == {ExplicitVRLittleEndian}
    assert {each.sop_instance_uid: dcmread(each.path).PixelData for each in found} == pixels


def test_a_whole_real_series_arrives_in_one_association(tmp_path: Path, shared_data: Path) -> None:
    sent = sorted((shared_data / "dicom" / "chest_5mm_toshiba_R168").glob("*.dcm"))
    told = Recorder()
    with running(tmp_path, told.callbacks()) as listener:
        result = storescu(listener.address, "-xi", sent)
        assert result.returncode == 0, result.stderr + result.stdout
        series = told.released.get(timeout=10)
    assert len(list(Spool(tmp_path, 100).scan())) == len(sent) == 73
    assert series == {each.series_instance_uid for each in told.received}
    assert len(series) == 1
