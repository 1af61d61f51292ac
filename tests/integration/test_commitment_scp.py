"""Scanners ask this node for storage commitment and are told by a report: pynetdicom's SCU, and Orthanc."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import MRImageStorage
from typer.testing import CliRunner

from dicom_node.ledger import chain, queries
from dicom_node.ledger.queries import CommitmentRequestView
from dicom_node.settings import LedgerSettings, PeerSettings, ReceiveSettings, SendSettings, SeriesSettings
from sr_engine.settings import EngineSettings
from tests import servers
from tests.certificates import make_certificates
from tests.faults.kit.requestor import Requestor, requestor
from tests.phantom import chest, write_dicom
from tests.processes import HOST, free_port
from tests.unit.dicom_node.receive.harness import ct_slice, send
from tests.waiting import until
from worker.cli.main import app
from worker.clock import Clock
from worker.embedded import LocalBell
from worker.receiving import Receiver
from worker.settings import Settings, WorkerSettings
from worker.wiring import Node, open_node, prepare

ALL_STORED, SOME_FAILED = 1, 2
SUCCESS, PROCESSING_FAILURE, UNKNOWN, CLASS_CONFLICT, RESOURCE_LIMITATION = 0x0000, 0x0110, 0x0112, 0x0119, 0x0213
UIDS = [ct_slice(number).SOPInstanceUID for number in (1, 2, 3)]


def settings_for(
    folder: Path, *scanners: Requestor, wait_s: float = 60, send_settings: SendSettings | None = None
) -> Settings:
    peers = tuple(
        PeerSettings(ae_title=item.ae_title, host=HOST, port=item.port, tls=item.tls is not None) for item in scanners
    )
    receive = ReceiveSettings(
        port=free_port(), storage_commitment=True, commitment_wait_s=wait_s, peers=peers, spool=folder / "spool"
    )
    return Settings(
        receive=receive,
        series=SeriesSettings(quiet_s=3600, quiet_released_s=3600),
        engine=EngineSettings(network="cubic"),
        send=send_settings or SendSettings(retry_first_s=0.2, retry_longest_s=0.3),
        ledger=LedgerSettings(url=f"sqlite:///{folder}/ledger.sqlite"),
        worker=WorkerSettings(results=folder / "results", tick_s=0.05),
    )


@contextmanager
def running(settings: Settings) -> Iterator[Node]:
    """A node's listener and clock, in this process."""
    prepare(settings)
    node = open_node(settings, "node")
    receiver, clock = Receiver(node), Clock(node, LocalBell(node))
    receiver.start()
    clock.start()
    try:
        yield node
    finally:
        receiver.stop()
        clock.stop()
        with node.database.reading() as connection:
            assert chain.first_bad_row(connection) is None


def port(node: Node) -> int:
    assert node.settings.receive.port is not None
    return node.settings.receive.port


def store(node: Node, *numbers: int) -> None:
    slices = [ct_slice(number) for number in numbers]
    assert send((HOST, port(node)), *slices) == [SUCCESS] * len(numbers)


def seen(node: Node) -> CommitmentRequestView:
    (found,) = queries.commitment_requests(node.database)
    return found


def until_entered(node: Node, count: int) -> None:
    def look() -> bool:
        return sum(item.instances for item in queries.find_series(node.database, "")) == count

    until(f"{count} images in the ledger", look, limit_s=30)


def until_seen(node: Node, state: str) -> CommitmentRequestView:
    def look() -> CommitmentRequestView | None:
        return seen(node) if seen(node).state == state else None

    return until(f"a request that is {state}", look, limit_s=30)


def test_what_was_stored_is_committed_to_in_a_report_on_an_association_of_its_own(tmp_path: Path) -> None:
    with requestor() as scanner, running(settings_for(tmp_path, scanner)) as node:
        store(node, 1, 2, 3)
        assert scanner.ask(port(node), UIDS, "2.25.77") == SUCCESS
        until_seen(node, "reported")
    (report,) = scanner.reports
    assert (report.transaction, report.event_type, report.failed) == ("2.25.77", ALL_STORED, {})
    assert sorted(report.stored) == sorted(UIDS)
    assert report.as_scp


def test_a_scanner_that_says_nothing_of_roles_is_told_too(tmp_path: Path) -> None:
    with requestor(grants=False) as scanner, running(settings_for(tmp_path, scanner)) as node:
        store(node, 1)
        assert scanner.ask(port(node), UIDS[:1]) == SUCCESS
        until_seen(node, "reported")
    (report,) = scanner.reports
    assert not report.as_scp


def test_images_that_come_a_moment_after_the_request_are_waited_for(tmp_path: Path) -> None:
    with requestor() as scanner, running(settings_for(tmp_path, scanner)) as node:
        store(node, 1)
        assert scanner.ask(port(node), UIDS) == SUCCESS
        time.sleep(0.5)
        assert (seen(node).state, scanner.reports) == ("waiting", [])
        store(node, 2, 3)
        until_seen(node, "reported")
    assert [report.event_type for report in scanner.reports] == [ALL_STORED]


def test_what_is_not_here_contradicts_or_has_another_class_fails_with_its_reason(tmp_path: Path) -> None:
    with requestor() as scanner, running(settings_for(tmp_path, scanner, wait_s=1)) as node:
        store(node, 1, 2)
        send((HOST, port(node)), ct_slice(2, PatientName="Other"))
        until_entered(node, 3)
        assert scanner.ask(port(node), UIDS) == SUCCESS
        until_seen(node, "reported")
        assert scanner.ask(port(node), UIDS[:1], "2.25.2", MRImageStorage) == SUCCESS
        until("the second report", lambda: len(scanner.reports) == 2, limit_s=30)
    partial, other = scanner.reports
    assert (partial.event_type, partial.stored) == (SOME_FAILED, (UIDS[0],))
    assert partial.failed == {UIDS[1]: PROCESSING_FAILURE, UIDS[2]: UNKNOWN}
    assert (other.event_type, other.stored, other.failed) == (SOME_FAILED, (), {UIDS[0]: CLASS_CONFLICT})


def test_an_image_whose_file_is_gone_is_not_committed_to(tmp_path: Path) -> None:
    with requestor() as scanner, running(settings_for(tmp_path, scanner, wait_s=0)) as node:
        store(node, 1)
        until_entered(node, 1)
        for path in node.settings.receive.spool.glob("series/*/*.dcm"):
            path.unlink()
        assert scanner.ask(port(node), UIDS[:1]) == SUCCESS
        until_seen(node, "reported")
    assert scanner.reports[0].failed == {UIDS[0]: UNKNOWN}


def test_asking_twice_makes_one_request_and_asking_after_the_report_another_report(tmp_path: Path) -> None:
    with requestor() as scanner, running(settings_for(tmp_path, scanner)) as node:
        assert [scanner.ask(port(node), UIDS[:1]) for _ in range(2)] == [SUCCESS] * 2
        store(node, 1)
        until_seen(node, "reported")
        assert len(scanner.reports) == 1
        assert scanner.ask(port(node), UIDS[:1]) == SUCCESS
        until("a second report", lambda: len(scanner.reports) == 2, limit_s=30)
    assert scanner.reports[0] == scanner.reports[1]


def test_a_scanner_that_is_away_is_told_when_it_is_back(tmp_path: Path) -> None:
    with requestor() as scanner, running(settings_for(tmp_path, scanner)) as node:
        scanner.stop()
        store(node, 1)
        assert scanner.ask(port(node), UIDS[:1]) == SUCCESS
        until("a try that failed", lambda: "cannot be reached" in seen(node).reason, limit_s=30)
        scanner.start()
        until_seen(node, "reported")
    assert len(scanner.reports) == 1


def test_a_scanner_that_never_takes_it_is_given_up_visibly_and_a_person_tries_again(tmp_path: Path) -> None:
    impatient = SendSettings(retry_first_s=0.1, retry_longest_s=0.1, attempts=2)
    with requestor(answer=PROCESSING_FAILURE) as scanner:
        settings = settings_for(tmp_path, scanner, send_settings=impatient)
        with running(settings) as node:
            store(node, 1)
            assert scanner.ask(port(node), UIDS[:1]) == SUCCESS
            parked = until_seen(node, "parked")
            assert parked.reason == "scanner SCANNER answered the storage commitment report with status 0x0110"
            assert len(scanner.reports) == 2
            assert "parked" in admin(settings, "commitments")
            assert "SCANNER was not told of its storage commitment" in admin(settings, "status")
            scanner.answer = SUCCESS
            assert "decided and reported again" in admin(settings, "report", "1")
            until_seen(node, "reported")
            assert "SCANNER" not in admin(settings, "status")
            assert "There is no commitment request 9" in admin(settings, "report", "9")


def test_a_scanner_that_knows_no_such_transaction_is_not_told_again(tmp_path: Path) -> None:
    with requestor(answer=UNKNOWN) as scanner, running(settings_for(tmp_path, scanner)) as node:
        store(node, 1)
        assert scanner.ask(port(node), UIDS[:1]) == SUCCESS
        until_seen(node, "parked")
    assert len(scanner.reports) == 1


def test_a_scanner_that_does_not_answer_holds_up_neither_the_clock_nor_another_scanner(tmp_path: Path) -> None:
    with requestor() as slow, requestor(ae_title="CT2") as quick:
        slow.ready.clear()
        with running(settings_for(tmp_path, slow, quick)) as node:
            store(node, 1)
            assert slow.ask(port(node), UIDS[:1], "2.25.1") == SUCCESS
            until_seen(node, "reporting")
            assert quick.ask(port(node), UIDS[:1], "2.25.2") == SUCCESS
            until("the quick one's report", lambda: quick.reports, limit_s=30)
            assert slow.reports == []
            slow.ready.set()
            until("the slow one's report", lambda: slow.reports, limit_s=30)


def test_while_the_ledger_is_away_the_scanner_is_told_to_ask_again(tmp_path: Path) -> None:
    with requestor() as scanner, running(settings_for(tmp_path, scanner)) as node:
        rename(node, "commitment_request", "away")
        assert scanner.ask(port(node), UIDS[:1]) == RESOURCE_LIMITATION
        rename(node, "away", "commitment_request")
        store(node, 1)
        assert scanner.ask(port(node), UIDS[:1]) == SUCCESS
        until_seen(node, "reported")


def test_a_refused_request_is_in_the_audit_trail(tmp_path: Path) -> None:
    with requestor() as scanner, running(settings_for(tmp_path, scanner)) as node:
        assert scanner.ask(port(node), []) == 0x0115
        rows = until("an audit row", lambda: queries.audit_of(node.database, [HOST]), limit_s=30)
    assert json.loads(rows[0].detail)["reason"] == "its storage commitment request: it names no instance"


def test_a_report_by_tls(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    by_tls = SendSettings(retry_first_s=0.2, tls=certificates.of("node"))
    with requestor(tls=certificates.of("SCANNER")) as scanner:
        with running(settings_for(tmp_path, scanner, send_settings=by_tls)) as node:
            store(node, 1)
            assert scanner.ask(port(node), UIDS[:1]) == SUCCESS
            until_seen(node, "reported")
        assert len(scanner.reports) == 1


@pytest.mark.dicom
def test_orthanc_as_the_scanner_gets_its_report(tmp_path: Path) -> None:
    images = write_dicom(chest(shape=(21, 64, 64), pixel_mm=5.4).thick, tmp_path / "input", seed=4711)
    node_port = free_port()
    with servers.orthanc(tmp_path / "orthanc", node_port=node_port) as orthanc:
        scanner = Requestor(orthanc.ae_title, orthanc.port)
        settings = settings_for(tmp_path, scanner, wait_s=0)
        settings = settings.model_copy(update={"receive": settings.receive.model_copy(update={"port": node_port})})
        with running(settings) as node:
            ids = [post(f"{orthanc.url}/instances", image.read_bytes())["ID"] for image in images]
            post(f"{orthanc.url}/modalities/node/store", json.dumps({"Resources": ids[:3]}).encode())
            until_entered(node, 3)
            assert commitment(orthanc.url, ids[:3])["Status"] == "Success"
            partial = commitment(orthanc.url, ids)
    assert partial["Status"] == "Failure"
    assert len(partial["Success"]) == 3
    assert {item["FailureReason"] for item in partial["Failures"]} == {UNKNOWN}


def commitment(url: str, ids: list[str]) -> dict[str, Any]:
    """Have Orthanc ask for storage commitment, and its view of the report."""
    asked = post(f"{url}/modalities/node/storage-commitment", json.dumps({"Resources": ids}).encode())
    return until("Orthanc has its report", lambda: settled(f"{url}{asked['Path']}"), limit_s=60)


def settled(url: str) -> dict[str, Any] | None:
    with urllib.request.urlopen(url, timeout=10) as answer:
        report: dict[str, Any] = json.load(answer)
    return None if report["Status"] == "Pending" else report


def post(url: str, body: bytes) -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def rename(node: Node, table: str, name: str) -> None:
    """Take a table away from the ledger, or give it back."""
    with node.database.transaction() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {name}")


def admin(settings: Settings, *arguments: str) -> str:
    """What a command says to an admin of that ledger."""
    config = Path(settings.receive.spool).parent / "settings.toml"
    config.write_text(f'[ledger]\nurl = "{settings.ledger.url}"\n[receive]\nspool = "{settings.receive.spool}"\n')
    runner = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"})
    return runner.invoke(app, [*arguments, "--config", str(config)]).output
