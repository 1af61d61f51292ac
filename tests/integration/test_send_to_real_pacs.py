"""Derived series in real PACSs: DCMTK's storescp, pynetdicom's qrscp, Debian's Orthanc."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from dicom_node.derive.writer import write_series
from dicom_node.destinations import Destination
from dicom_node.errors import DestinationRefused
from dicom_node.records import CommitmentReport, DerivedSeries, InstanceOutcome
from dicom_node.send.commitment import parse_report, request
from dicom_node.send.query import stored_instances
from dicom_node.send.scu import echo, store
from dicom_node.settings import DeriveSettings, SendSettings
from tests.servers import Pacs
from tests.unit.dicom_node.derive.samples import thick_series, thin_volume, write_source

SETTINGS = SendSettings(connect_timeout_s=10, response_timeout_s=30)
NODE = "THINSLICE"


@pytest.fixture
def derived(tmp_path: Path, request: pytest.FixtureRequest) -> DerivedSeries:
    """Sixteen derived slices with UIDs of this test's own."""
    thick = thick_series(write_source(tmp_path / "source"))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return write_series(thick, thin_volume(thick), request.node.nodeid, DeriveSettings(), tmp_path / "out", now)


def destination_of(pacs: Pacs) -> Destination:
    return Destination(pacs.name, pacs.ae_title, pacs.host, pacs.port, storage_commitment=True)


def send(destination: Destination, derived: DerivedSeries) -> list[InstanceOutcome]:
    outcomes: list[InstanceOutcome] = []
    store(destination, NODE, derived.instances, SETTINGS, outcomes.append)
    return outcomes


def held_by(destination: Destination, derived: DerivedSeries) -> frozenset[str]:
    return stored_instances(destination, NODE, derived.study_instance_uid, derived.series_instance_uid, SETTINGS)


@contextmanager
def listening(port: int) -> Iterator[tuple[list[CommitmentReport], threading.Event]]:
    """Our node's side of storage commitment: it only hears reports."""
    reports: list[CommitmentReport] = []
    heard = threading.Event()

    def hear(event: evt.Event) -> tuple[int, None]:
        reports.append(parse_report(event.event_information, event.event_type))
        heard.set()
        return 0, None

    entity = AE(ae_title=NODE)
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, hear)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield reports, heard
    finally:
        server.shutdown()


@pytest.mark.dicom
def test_storescp_receives_every_slice_bit_by_bit(storescp_server: Pacs, derived: DerivedSeries) -> None:
    destination = destination_of(storescp_server)
    echo(destination, NODE, SETTINGS)
    assert [outcome.status for outcome in send(destination, derived)] == [0] * 16
    received = {pydicom.dcmread(path).SOPInstanceUID: path for path in (storescp_server.folder / "received").iterdir()}
    for instance in derived.instances:
        arrived = pydicom.dcmread(received[instance.sop_instance_uid])
        assert arrived == pydicom.dcmread(instance.path)


@pytest.mark.dicom
def test_storescp_offers_no_query(storescp_server: Pacs, derived: DerivedSeries) -> None:
    with pytest.raises(DestinationRefused, match="does not accept"):
        held_by(destination_of(storescp_server), derived)


@pytest.mark.dicom
@pytest.mark.parametrize("server", ["qrscp_server", "orthanc_server"])
def test_a_query_confirms_what_was_sent_however_often(
    server: str, derived: DerivedSeries, request: pytest.FixtureRequest
) -> None:
    """Sent twice, it is there once (promise P4)."""
    destination = destination_of(request.getfixturevalue(server))
    assert held_by(destination, derived) == frozenset()
    for _ in range(2):
        assert all(outcome.stored for outcome in send(destination, derived))
    assert held_by(destination, derived) == {instance.sop_instance_uid for instance in derived.instances}


@pytest.mark.dicom
def test_orthanc_commits_to_what_it_has_and_names_what_it_lost(orthanc_server: Pacs, derived: DerivedSeries) -> None:
    """Fault row 20: accepted, then lost; a second send heals it."""
    destination = destination_of(orthanc_server)
    send(destination, derived)
    lost = derived.instances[4]
    _delete(orthanc_server, lost.sop_instance_uid)
    with listening(orthanc_server.node_port) as (reports, heard):
        request(destination, NODE, "1.2.3.1", derived.instances, SETTINGS)
        assert heard.wait(20)
        heard.clear()
        send(destination, derived)
        request(destination, NODE, "1.2.3.2", derived.instances, SETTINGS)
        assert heard.wait(20)
    assert [report.transaction_uid for report in reports] == ["1.2.3.1", "1.2.3.2"]
    assert [uid for uid, _ in reports[0].failed] == [lost.sop_instance_uid]
    assert (len(reports[1].stored), reports[1].failed) == (16, ())


def _delete(orthanc: Pacs, sop_instance_uid: str) -> None:
    found = _asked(orthanc, "POST", "/tools/lookup", sop_instance_uid)
    (identifier,) = [row["ID"] for row in json.loads(found) if row["Type"] == "Instance"]
    _asked(orthanc, "DELETE", f"/instances/{identifier}")


def _asked(orthanc: Pacs, method: str, path: str, body: str | None = None) -> bytes:
    connection = HTTPConnection(orthanc.url.removeprefix("http://"), timeout=10)
    connection.request(method, path, body)
    with connection.getresponse() as answer:
        assert answer.status == 200
        return answer.read()
