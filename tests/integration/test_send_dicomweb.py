"""Derived series in Orthanc by its DICOMweb plugin: STOW-RS, then QIDO-RS."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import pydicom
import pytest
from dicomweb_client import DICOMwebClient

from dicom_node.derive.writer import write_series
from dicom_node.destinations import WebDestination
from dicom_node.errors import DestinationRefused
from dicom_node.records import DerivedSeries, InstanceOutcome
from dicom_node.send import qido, stow
from dicom_node.settings import DeriveSettings, SendSettings
from tests.servers import Pacs, orthanc
from tests.unit.dicom_node.derive.samples import thick_series, thin_volume, write_source

pytestmark = pytest.mark.dicom
SETTINGS = SendSettings()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    with orthanc(tmp_path_factory.mktemp("orthanc"), plugins=["DicomWeb"]) as pacs:
        yield pacs


@pytest.fixture
def derived(tmp_path: Path, request: pytest.FixtureRequest) -> DerivedSeries:
    """Thirty-one derived slices with UIDs of this test's own: two batches."""
    thick = thick_series(write_source(tmp_path / "source", count=7))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return write_series(thick, thin_volume(thick), request.node.nodeid, DeriveSettings(), tmp_path / "out", now)


def test_orthanc_holds_what_was_stored_however_often(service: Pacs, derived: DerivedSeries) -> None:
    """Promise P4: sent twice, it is there once, and what is there is what was sent."""
    destination = WebDestination("cloud", f"{service.url}/dicom-web")
    qido.echo(destination, "NODE", SETTINGS)
    assert qido.held(destination, "NODE", derived, SETTINGS) == frozenset()
    for _ in range(2):
        outcomes: list[InstanceOutcome] = []
        stow.store(destination, "NODE", derived.instances, SETTINGS, outcomes.append)
        assert [outcome.status for outcome in outcomes] == [0] * 31
    assert qido.held(destination, "NODE", derived, SETTINGS) == {item.sop_instance_uid for item in derived.instances}
    client = DICOMwebClient(destination.url)
    uids = derived.study_instance_uid, derived.series_instance_uid
    for item in derived.instances[::10]:
        assert client.retrieve_instance(*uids, item.sop_instance_uid) == pydicom.dcmread(item.path)


def test_a_wrong_root_is_the_admins_business(service: Pacs, derived: DerivedSeries) -> None:
    wrong = WebDestination("cloud", f"{service.url}/elsewhere")
    with pytest.raises(DestinationRefused, match="there is no such service: check url"):
        qido.echo(wrong, "NODE", SETTINGS)
    with pytest.raises(DestinationRefused, match="HTTP 40"):
        stow.store(wrong, "NODE", derived.instances, SETTINGS, lambda _: None)
    with urlopen(f"{service.url}/system", timeout=10) as answer:
        assert answer.status == 200
