"""QIDO-RS against services that behave as scripted."""

from dataclasses import replace

import pytest

from dicom_node.destinations import WebDestination
from dicom_node.errors import DestinationError, DestinationRefused
from dicom_node.records import DerivedSeries
from dicom_node.send import qido
from dicom_node.settings import SendSettings
from tests.unit.dicom_node.send.slices import uids_of
from tests.web_service import Answer, WebService

SETTINGS = SendSettings(connect_timeout_s=3, response_timeout_s=3)


def held(service: WebService, result: DerivedSeries) -> frozenset[str]:
    return qido.held(WebDestination("cloud", service.url), "NODE", result, SETTINGS)


@pytest.mark.parametrize("page", [1000, 6, 4, 1])
def test_every_page_is_asked_for(service: WebService, result: DerivedSeries, page: int) -> None:
    service.held, service.page = dict.fromkeys(uids_of(result), b""), page
    assert held(service, result) == set(uids_of(result))
    study, series = result.study_instance_uid, result.series_instance_uid
    asked = f"/dicom-web/studies/{study}/series/{series}/instances?includefield=SOPInstanceUID"
    assert service.queries[0] == asked


def test_a_service_that_knows_no_pages_is_not_asked_for_ever(service: WebService, result: DerivedSeries) -> None:
    service.held, service.page, service.heeds_offset = dict.fromkeys(uids_of(result), b""), 4, False
    assert len(held(service, result)) == 4
    assert len(service.queries) == 2


def test_every_series_of_a_result_is_asked_about(service: WebService, result: DerivedSeries) -> None:
    other = replace(result.instances[0], series_instance_uid="2.25.9")
    held(service, replace(result, instances=(*result.instances, other)))
    assert ["2.25.9" in query for query in service.queries] == [False, True]


def test_nothing_there_is_no_error(service: WebService, result: DerivedSeries) -> None:
    assert held(service, result) == frozenset()
    service.on_query = Answer(200, body=b"[]")
    assert held(service, result) == frozenset()


@pytest.mark.parametrize("body", [b"<html>", b'["x"]', b"[{}]", b'[{"00080018": {"vr": "UI"}}]', b"7"])
def test_an_answer_that_is_no_list_of_instances_proves_nothing(
    service: WebService, result: DerivedSeries, body: bytes
) -> None:
    service.on_query = Answer(200, body=body)
    with pytest.raises(DestinationError, match=r"cloud.*(cannot be read|no list of instances)"):
        held(service, result)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, DestinationRefused), (404, DestinationRefused), (503, DestinationError)]
)
def test_a_query_that_fails_says_so_at_once(
    service: WebService, result: DerivedSeries, status: int, kind: type[DestinationError]
) -> None:
    service.on_query = Answer(status)
    with pytest.raises(DestinationError, match=f"HTTP {status}") as failure:
        held(service, result)
    assert type(failure.value) is kind
    assert len(service.queries) == 1


def test_echo_asks_for_nobodys_instance(service: WebService) -> None:
    qido.echo(WebDestination("cloud", service.url), "NODE", SETTINGS)
    assert "SOPInstanceUID=2.25." in service.queries[0]
    service.authorization = "Basic somebody"
    with pytest.raises(DestinationRefused, match="does not accept who we say we are"):
        qido.echo(WebDestination("cloud", service.url), "NODE", SETTINGS)
