"""STOW-RS against services that behave as scripted."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from dicom_node.destinations import WebDestination
from dicom_node.errors import DestinationError, DestinationRefused, StorageError
from dicom_node.records import DerivedSeries, InstanceOutcome
from dicom_node.send import stow
from dicom_node.settings import SendSettings
from tests import servers
from tests.unit.dicom_node.send.slices import uids_of
from tests.web_service import Answer, WebService

SETTINGS = SendSettings(connect_timeout_s=3, response_timeout_s=3)


def store(
    service: WebService, result: DerivedSeries, settings: SendSettings = SETTINGS, first: int = 0
) -> list[InstanceOutcome]:
    """What was reported; errors as they come, with what was reported before them."""
    outcomes: list[InstanceOutcome] = []
    try:
        stow.store(WebDestination("cloud", service.url), "NODE", result.instances[first:], settings, outcomes.append)
    except DestinationError as error:
        error.add_note(str([outcome.status for outcome in outcomes]))
        raise
    return outcomes


def test_the_bytes_on_disk_are_the_bytes_that_arrive(service: WebService, result: DerivedSeries) -> None:
    assert store(service, result) == [InstanceOutcome(uid, 0) for uid in uids_of(result)]
    assert service.held == {item.sop_instance_uid: item.path.read_bytes() for item in result.instances}
    assert service.said[0]["Accept"] == "application/dicom+json"


def test_every_instance_has_its_own_outcome(service: WebService, result: DerivedSeries) -> None:
    """202: some stored; one with a warning, one refused for good, one for now, one there before, one not named."""
    uids = uids_of(result)
    failed = {uids[1]: 0xC000, uids[2]: 0xA700, uids[3]: 0x0111, uids[4]: None}
    service.on_store = lambda _: Answer(202, failed=failed, warned={uids[0]: 0xB000})
    outcomes = store(service, result)
    assert [outcome.status for outcome in outcomes] == [0xB000, 0xC000, 0xA700, 0x0111, None, 0]
    assert [outcome.stored for outcome in outcomes] == [True, False, False, True, False, True]


def test_a_service_that_refuses_everything_says_so_of_each(service: WebService, result: DerivedSeries) -> None:
    service.on_store = lambda uids: Answer(409, failed=dict.fromkeys(uids, 0x0122))
    assert {outcome.status for outcome in store(service, result)} == {0x0122}


def test_all_stored_needs_no_details_but_anything_less_does(service: WebService, result: DerivedSeries) -> None:
    service.on_store = lambda _: Answer(200, body=b"<NativeDicomModel/>")
    assert {outcome.status for outcome in store(service, result)} == {0}
    for status, body in ((202, b""), (409, b"conflict"), (409, b'{"00081198": {"vr": "SQ", "Value": [{}]}}')):
        service.on_store = lambda _, status=status, body=body: Answer(status, body=body)
        with pytest.raises(DestinationError, match=f"HTTP {status} and does not say of which"):
            store(service, result)


def test_a_list_with_one_answer_is_read_too(service: WebService, result: DerivedSeries) -> None:
    uid = uids_of(result)[0]
    failed = [{"00081198": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [uid]}}]}}]
    service.on_store = lambda _: Answer(409, body=json.dumps(failed).encode())
    assert store(service, result)[0] == InstanceOutcome(uid, 0x0110)


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (400, DestinationRefused, "HTTP 400: it does not understand"),
        (401, DestinationRefused, "HTTP 401: it does not accept who we say we are"),
        (403, DestinationRefused, "HTTP 403: we may not do this"),
        (404, DestinationRefused, "HTTP 404: there is no such service: check url"),
        (415, DestinationRefused, "HTTP 415"),
        (422, DestinationRefused, "HTTP 422"),
        (408, DestinationError, "HTTP 408"),
        (429, DestinationError, "HTTP 429"),
        (500, DestinationError, "HTTP 500"),
        (501, DestinationRefused, "HTTP 501"),
        (503, DestinationError, "HTTP 503"),
    ],
)
def test_statuses_say_what_to_do(
    service: WebService, result: DerivedSeries, status: int, kind: type[DestinationError], sentence: str
) -> None:
    service.on_store = lambda _: Answer(status)
    with pytest.raises(DestinationError, match=sentence) as failure:
        store(service, result)
    assert type(failure.value) is kind
    assert len(service.batches) == 1  # nobody but the clock tries again


def test_a_body_that_is_too_large_is_halved(service: WebService, result: DerivedSeries) -> None:
    service.on_store = lambda uids: Answer(413 if len(uids) > 2 else 200)
    assert {outcome.status for outcome in store(service, result)} == {0}
    assert [len(batch) for batch in service.batches] == [6, 3, 1, 1, 1, 1, 1, 1]
    service.on_store = lambda _: Answer(413)
    with pytest.raises(DestinationRefused, match="no body as large as one instance: raise its limit"):
        store(service, result)


def test_batches_are_bounded_and_a_resume_sends_the_rest(
    service: WebService, result: DerivedSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault row 18: what was answered is known, and the batch that was cut off comes twice at most."""
    monkeypatch.setattr(stow, "MOST_INSTANCES", 2)
    service.on_store = lambda _: Answer(cut=len(service.batches) == 2)
    with pytest.raises(DestinationError, match="broke off") as failure:
        store(service, result)
    assert failure.value.retryable
    assert failure.value.__notes__ == ["[0, 0]"]
    store(service, result, first=2)
    assert list(map(service.came.get, uids_of(result))) == [1, 1, 2, 2, 1, 1]
    assert Counter(map(len, service.batches)) == {2: 4}


def test_a_service_that_never_answers_is_given_up_in_time(service: WebService, result: DerivedSeries) -> None:
    service.on_store = lambda _: Answer(hang=True)
    with pytest.raises(DestinationError, match="does not answer in time"):
        store(service, result, SETTINGS.model_copy(update={"response_timeout_s": 0.3}))


def test_a_service_that_is_not_there_is_named_with_its_address(result: DerivedSeries) -> None:
    away = WebService(url=f"http://127.0.0.1:{servers.free_port()}/dicom-web")
    with pytest.raises(DestinationError, match=f"cloud \\({away.url}\\) cannot be reached: check") as failure:
        store(away, result)
    assert failure.value.retryable


def test_a_caller_that_fails_ends_it(service: WebService, result: DerivedSeries) -> None:
    def fail(_: InstanceOutcome) -> None:
        raise StorageError("down")

    with pytest.raises(StorageError, match="down"):
        stow.store(WebDestination("cloud", service.url), "NODE", result.instances, SETTINGS, fail)


def test_a_lost_file_is_a_storage_error_and_nothing_to_send_needs_no_service(
    service: WebService, result: DerivedSeries
) -> None:
    result.instances[0].path.unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        store(service, result)
    assert store(WebService(url="http://127.0.0.1:1"), replace(result, instances=())) == []
