"""Images go compressed where the PACS takes it: the same pixels under the same UIDs; nothing else changes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, evt

from dicom_node.destinations import Destination
from dicom_node.errors import DestinationRefused, StorageError
from dicom_node.records import DerivedInstance, DerivedSeries, InstanceOutcome
from dicom_node.send.compression import SYNTAXES, compressed, has_pixels
from dicom_node.send.scu import store
from dicom_node.settings import SendSettings
from tests.servers import free_port
from tests.unit.dicom_node.send.slices import result_of

SETTINGS = SendSettings(connect_timeout_s=3, response_timeout_s=3)
PLAIN = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


@pytest.fixture
def result(tmp_path: Path) -> DerivedSeries:
    """Slices of 40x48 pixels: openjpeg takes none below 32."""
    pixels = np.random.default_rng(5).integers(-1024, 3000, (40, 48)).astype("<i2")
    return result_of(tmp_path / "slices", Rows=40, Columns=48, PixelData=pixels.tobytes())


@contextmanager
def pacs(**takes: Sequence[str]) -> Iterator[tuple[Callable[..., Destination], list[Dataset]]]:
    """A PACS that takes CT images and reports in these syntaxes; what came, with its file meta."""
    arrived: list[Dataset] = []

    def keep(event: evt.Event) -> int:
        data_set = event.dataset
        data_set.file_meta = event.file_meta
        arrived.append(data_set)
        return 0

    entity = AE(ae_title="FAKEPACS")
    entity.add_supported_context(CTImageStorage, list(takes["images"]))
    entity.add_supported_context(ComprehensiveSRStorage, list(takes.get("reports", PLAIN)))
    port = free_port()
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    try:
        yield lambda name: Destination("archive", "FAKEPACS", "127.0.0.1", port, False, compression=name), arrived
    finally:
        server.shutdown()


def send(destination: Destination, instances: Sequence[DerivedInstance]) -> list[InstanceOutcome]:
    outcomes: list[InstanceOutcome] = []
    store(destination, "NODE", instances, SETTINGS, outcomes.append)
    return outcomes


def report_in(folder: Path) -> DerivedInstance:
    """An instance without pixels."""
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.SOPClassUID, data_set.SOPInstanceUID = ComprehensiveSRStorage, "2.25.77"
    data_set.save_as(folder / "report.dcm", enforce_file_format=True)
    return DerivedInstance(ComprehensiveSRStorage, "2.25.77", "2.25.7", folder / "report.dcm", "")


@pytest.mark.parametrize("name", SYNTAXES)
def test_images_go_compressed_where_the_pacs_takes_it(result: DerivedSeries, name: str) -> None:
    with pacs(images=[SYNTAXES[name], *PLAIN]) as (destination, arrived):
        assert all(outcome.stored for outcome in send(destination(name), result.instances))
    for item, came in zip(result.instances, arrived, strict=True):
        stored = pydicom.dcmread(item.path)
        assert came.file_meta.TransferSyntaxUID == SYNTAXES[name]
        assert np.array_equal(came.pixel_array, stored.pixel_array)
        assert [element.keyword for element in came if element != stored[element.tag]] == ["PixelData"]
        assert came.keys() == stored.keys()


@pytest.mark.parametrize(("takes", "gets"), [(PLAIN, ExplicitVRLittleEndian), (PLAIN[1:], ImplicitVRLittleEndian)])
def test_else_they_go_as_ever(result: DerivedSeries, takes: list[str], gets: str) -> None:
    with pacs(images=takes) as (destination, arrived):
        assert all(outcome.stored for outcome in send(destination("jpeg-ls"), result.instances))
    assert {came.file_meta.TransferSyntaxUID for came in arrived} == {gets}
    assert [came.PixelData for came in arrived] == [pydicom.dcmread(item.path).PixelData for item in result.instances]


def test_a_pacs_that_takes_nothing_else_gets_them_compressed(result: DerivedSeries) -> None:
    with pacs(images=[JPEG2000Lossless]) as (destination, arrived):
        assert [outcome.status for outcome in send(destination("jpeg2000"), result.instances)] == [0] * 6
        assert len(arrived) == 6


def test_nothing_is_compressed_unless_asked_for(result: DerivedSeries) -> None:
    with pacs(images=[JPEGLSLossless, RLELossless, *PLAIN]) as (destination, arrived):
        send(destination("none"), result.instances)
    assert {came.file_meta.TransferSyntaxUID for came in arrived} == {ExplicitVRLittleEndian}


def test_what_is_no_image_stays_plain(result: DerivedSeries, tmp_path: Path) -> None:
    report = report_in(tmp_path)
    assert not has_pixels(report.path)
    with pacs(images=[JPEGLSLossless, *PLAIN], reports=[JPEGLSLossless, *PLAIN]) as (destination, arrived):
        send(destination("jpeg-ls"), [report, *result.instances])
    syntaxes = [came.file_meta.TransferSyntaxUID for came in arrived]
    assert syntaxes == [ExplicitVRLittleEndian, *[JPEGLSLossless] * 6]


@pytest.mark.parametrize("name", SYNTAXES)
@pytest.mark.parametrize(("signed", "bits"), [(0, 12), (0, 16), (1, 12), (1, 16)])
def test_every_depth_and_sign_is_exact(result: DerivedSeries, name: str, signed: int, bits: int) -> None:
    """Noise over the whole range, the ends included, decoded from what was encoded."""
    path = result.instances[0].path
    image = pydicom.dcmread(path)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    kind = "<i2" if signed else "<u2"
    pixels = np.random.default_rng(7).integers(low, high + 1, (image.Rows, image.Columns)).astype(kind)
    pixels[0, :2] = low, high
    image.PixelRepresentation, image.BitsStored, image.HighBit = signed, bits, bits - 1
    image.LossyImageCompression = "01"
    image.PixelData = pixels.tobytes()
    image.save_as(path)
    sent = compressed(path, SYNTAXES[name])
    assert np.array_equal(sent.pixel_array, pixels)
    assert (sent.SOPInstanceUID, sent.LossyImageCompression) == (image.SOPInstanceUID, "01")
    assert not has_pixels(_saved(sent, path)), "what is compressed already is left alone"


def _saved(image: Dataset, path: Path) -> Path:
    image.save_as(path)
    return path


def test_an_image_that_an_encoder_makes_nothing_of_goes_plain(tmp_path: Path) -> None:
    tiny = result_of(tmp_path / "tiny")
    with pacs(images=[JPEG2000Lossless, *PLAIN]) as (destination, arrived):
        assert all(outcome.stored for outcome in send(destination("jpeg2000"), tiny.instances))
    assert {came.file_meta.TransferSyntaxUID for came in arrived} == {ExplicitVRLittleEndian}
    with (
        pacs(images=[JPEG2000Lossless]) as (destination, arrived),
        pytest.raises(DestinationRefused, match="only compressed, which one of these cannot be"),
    ):
        send(destination("jpeg2000"), tiny.instances)


def test_a_damaged_file_is_named(result: DerivedSeries) -> None:
    gone = replace(result.instances[0], path=result.folder / "gone.dcm")
    with pytest.raises(StorageError, match=r"gone\.dcm cannot be read"):
        send(Destination("archive", "X", "127.0.0.1", 1, False, compression="rle"), [gone])
