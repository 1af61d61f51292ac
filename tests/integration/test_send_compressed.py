"""Derived series, compressed on their way: DCMTK's storescp takes them, its decoders and dciodvfy judge them."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_node.derive.writer import write_series
from dicom_node.destinations import Destination
from dicom_node.records import DerivedSeries, InstanceOutcome
from dicom_node.send.compression import SYNTAXES
from dicom_node.send.scu import store
from dicom_node.settings import DeriveSettings, SendSettings
from tests.judges import dciodvfy_errors
from tests.phantom import chest, write_dicom
from tests.servers import Pacs, find_program, storescp
from tests.unit.dicom_node.derive.samples import thick_series, thin_volume

pytestmark = pytest.mark.dicom
NOW = datetime(2026, 11, 21, tzinfo=UTC)
# storescp's option for what it likes best, and the program of others that decodes it.
DCMTK = {"jpeg-ls": ("+xt", "dcmdjpls"), "jpeg2000": ("+xv", ""), "rle": ("+xr", "dcmdrle")}


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> DerivedSeries:
    """Eleven slices of 64x64."""
    folder = tmp_path_factory.mktemp("derived")
    write_dicom(chest(shape=(11, 64, 64), pixel_mm=5.4).thick, folder / "source")
    thick = thick_series(folder / "source")
    return write_series(thick, thin_volume(thick), "compressed", DeriveSettings(), folder / "out", NOW)


def sent(pacs: Pacs, name: str, derived: DerivedSeries) -> dict[str, Path]:
    """What arrived, by SOP Instance UID."""
    outcomes: list[InstanceOutcome] = []
    destination = Destination(
        pacs.name, pacs.ae_title, pacs.host, pacs.port, storage_commitment=False, compression=name
    )
    store(destination, "THINSLICE", derived.instances, SendSettings(), outcomes.append)
    assert {outcome.status for outcome in outcomes} == {0}
    return {pydicom.dcmread(path).SOPInstanceUID: path for path in (pacs.folder / "received").iterdir()}


@pytest.mark.parametrize("name", DCMTK)
def test_a_pacs_that_prefers_it_gets_every_slice_compressed(name: str, derived: DerivedSeries, tmp_path: Path) -> None:
    option, decoder = DCMTK[name]
    with storescp(tmp_path, takes=option) as pacs:
        arrived = sent(pacs, name, derived)
    assert len(arrived) == len(derived.instances)
    for item in derived.instances:
        path = arrived[item.sop_instance_uid]
        came, stored = pydicom.dcmread(path), pydicom.dcmread(item.path)
        assert came.file_meta.TransferSyntaxUID == SYNTAXES[name]
        assert came.LossyImageCompression == stored.LossyImageCompression == "00"
        assert np.array_equal(came.pixel_array, stored.pixel_array)
        if decoder:
            assert decoded(path, decoder, tmp_path / "decoded.dcm").PixelData == stored.PixelData
    for path in list(arrived.values())[::4]:
        assert dciodvfy_errors(path) == []


def decoded(path: Path, decoder: str, to: Path) -> pydicom.Dataset:
    """By a program of others."""
    subprocess.run([find_program(decoder), str(path), str(to)], check=True, capture_output=True)
    return pydicom.dcmread(to)


def test_a_pacs_that_takes_it_not_gets_every_slice_as_stored(derived: DerivedSeries, tmp_path: Path) -> None:
    with storescp(tmp_path, takes="+xe") as pacs:
        arrived = sent(pacs, "jpeg-ls", derived)
    for item in derived.instances:
        assert pydicom.dcmread(arrived[item.sop_instance_uid]) == pydicom.dcmread(item.path)
