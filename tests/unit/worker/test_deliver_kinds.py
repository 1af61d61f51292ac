"""Every kind of destination has its own state: what befalls one is nothing to the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.derive.manifest import load_series
from dicom_node.ledger import circuits, deliveries, jobs, queries
from dicom_node.ledger.queries import DeliveryView
from dicom_node.send import stow
from tests.servers import free_port
from tests.unit.dicom_node.ledger.rows import claimed, queue
from tests.unit.worker.nodes import open_at
from tests.unit.worker.test_deliver import stored_result
from tests.web_service import Answer, WebService, web_service
from worker.steps.deliver import deliver
from worker.wiring import Node

HASTY = "connect_timeout_s = 2\nresponse_timeout_s = 2\nretry_first_s = 0.001\nretry_longest_s = 0.001\n"
AWAY = '[[send.pacs]]\nname = "away"\nae_title = "AWAY"\nhost = "127.0.0.1"\nport = {}\n'
CLOUD = '[[send.dicomweb]]\nname = "cloud"\nurl = "{}"\n'
FOLDER = '[[send.folder]]\nname = "research"\npath = "{}"\n'


@pytest.fixture
def service() -> Iterator[WebService]:
    with web_service() as running:
        yield running


def restored(node: Node, folder: Path) -> list[str]:
    """A stored result with its deliveries; its SOP Instance UIDs."""
    kept = stored_result(folder)
    job_id = queue(node.database, "a", "2.25.1")
    jobs.restored(node.database, claimed(node.database, job_id), kept, {}, list(node.destinations))
    return [item.sop_instance_uid for item in kept.instances]


def seen(node: Node) -> dict[str, DeliveryView]:
    return {item.destination: item for item in queries.deliveries_of(node.database, 1)}


def test_a_pacs_that_is_away_keeps_nothing_from_a_service_and_a_folder(tmp_path: Path, service: WebService) -> None:
    place = tmp_path / "watched"
    place.mkdir()
    send = HASTY + AWAY.format(free_port()) + CLOUD.format(service.url) + FOLDER.format(place)
    node = open_at(tmp_path, send=send)
    uids = restored(node, tmp_path / "kept")
    for number in (1, 2, 3, 2, 3):
        assert deliver(node, number)
    found = seen(node)
    assert (found["away"].state, found["away"].stored) == ("pending", 0)
    assert "cannot be reached" in found["away"].reason
    for name, by in (("cloud", "QIDO-RS"), ("research", "read back")):
        assert (found[name].state, found[name].verified_by, found[name].stored) == ("verified", by, len(uids))
    assert set(service.held) == set(uids)
    assert sorted(path.stem for path in place.rglob("*.dcm")) == sorted(uids)
    (job,) = queries.jobs(node.database)
    assert job.state == "sending"


def test_a_store_that_was_cut_off_goes_on_with_the_rest(
    tmp_path: Path, service: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stow, "MOST_INSTANCES", 2)
    node = open_at(tmp_path, send=HASTY + CLOUD.format(service.url))
    uids = restored(node, tmp_path / "kept")
    service.on_store = lambda _: Answer(cut=len(service.batches) == 2)
    assert deliver(node, 1)
    assert (seen(node)["cloud"].state, seen(node)["cloud"].stored) == ("pending", 2)
    assert "broke off" in seen(node)["cloud"].reason
    assert circuits.opened(node.database) == []
    service.batches.clear()
    service.on_store = lambda _: Answer()
    assert deliver(node, 1)
    assert [uid for batch in service.batches for uid in batch] == uids[2:]
    assert deliver(node, 1)
    assert seen(node)["cloud"].state == "verified"


def test_what_a_service_lost_is_sent_again(tmp_path: Path, service: WebService) -> None:
    node = open_at(tmp_path, send=HASTY + CLOUD.format(service.url))
    uids = restored(node, tmp_path / "kept")
    assert deliver(node, 1)
    del service.held[uids[1]]
    assert deliver(node, 1)
    assert "cloud lacks 1 instances that it had accepted" in seen(node)["cloud"].reason
    for _ in range(2):
        assert deliver(node, 1)
    assert seen(node)["cloud"].state == "verified"
    assert [service.came[uid] for uid in uids] == [2 if uid == uids[1] else 1 for uid in uids]


def test_a_file_that_was_damaged_is_written_again(tmp_path: Path) -> None:
    node = open_at(tmp_path, send=HASTY + FOLDER.format(tmp_path / "watched"))
    (tmp_path / "watched").mkdir()
    restored(node, tmp_path / "kept")
    assert deliver(node, 1)
    damaged = next((tmp_path / "watched").rglob("*.dcm"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1])
    for _ in range(3):
        assert deliver(node, 1)
    assert (seen(node)["research"].state, damaged.read_bytes()) == ("verified", whole)


def test_one_instance_that_is_refused_is_named_and_the_rest_stays(tmp_path: Path, service: WebService) -> None:
    node = open_at(tmp_path, send=HASTY + CLOUD.format(service.url))
    uids = restored(node, tmp_path / "kept")
    service.on_store = lambda _: Answer(202, failed={uids[0]: 0xC000})
    assert deliver(node, 1)
    found = seen(node)["cloud"]
    assert (found.state, found.stored) == ("parked", len(uids) - 1)
    assert "0xC000" in found.reason


def test_a_service_that_does_not_know_us_waits_for_a_person(tmp_path: Path, service: WebService) -> None:
    (tmp_path / "secret").write_text("old")
    send = HASTY + CLOUD.format(service.url) + 'auth = "bearer"\nsecret_file = "secret"\n'
    node = open_at(tmp_path, send=send)
    restored(node, tmp_path / "kept")
    service.authorization = "Bearer new"
    assert deliver(node, 1)
    assert seen(node)["cloud"].state == "parked"
    assert "it does not accept who we say we are: check auth" in seen(node)["cloud"].reason
    (tmp_path / "secret").write_text("new")
    assert deliveries.retry(node.database, 1, "a new token")
    for _ in range(2):
        assert deliver(node, 1)
    assert seen(node)["cloud"].state == "verified"


def test_a_service_or_folder_that_is_away_is_left_alone_after_a_while(tmp_path: Path) -> None:
    send = HASTY + CLOUD.format(f"http://127.0.0.1:{free_port()}/d") + FOLDER.format(tmp_path / "nowhere")
    node = open_at(tmp_path, send=send.replace("retry_longest_s = 0.001", "circuit_failures = 2"))
    restored(node, tmp_path / "kept")
    for number in (1, 2, 1, 2):
        assert deliver(node, number)
    assert [item.destination for item in circuits.opened(node.database)] == ["cloud", "research"]


def test_a_destination_that_the_settings_name_no_more_is_parked(tmp_path: Path) -> None:
    node = open_at(tmp_path, send=FOLDER.format(tmp_path))
    restored(node, tmp_path / "kept")
    assert deliver(open_at(tmp_path), 1)
    assert "settings name no destination 'research' any more" in seen(node)["research"].reason
    assert load_series(tmp_path / "kept").instances
