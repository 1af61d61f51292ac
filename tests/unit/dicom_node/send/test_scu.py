"""C-ECHO, C-STORE, C-FIND and commitment against PACSs that behave as scripted."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError, DestinationRefused, InputError, StorageError
from dicom_node.records import CommitmentReport, DerivedInstance, InstanceOutcome
from dicom_node.send.commitment import parse_report, request
from dicom_node.send.query import stored_instances
from dicom_node.send.scu import echo, failure_is_permanent, store
from dicom_node.settings import SendSettings
from tests import servers
from tests.faults.kit.pacs import reference
from tests.unit.dicom_node.derive.samples import write_source

SETTINGS = SendSettings(connect_timeout_s=3, response_timeout_s=3)
Handlers = Sequence[tuple[object, Callable[..., object]]]


@pytest.fixture
def instances(tmp_path: Path) -> list[DerivedInstance]:
    """Six CT slices on disk."""
    paths = sorted(write_source(tmp_path / "slices", count=6).iterdir())
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    return [
        DerivedInstance(header.SOPClassUID, header.SOPInstanceUID, header.SeriesInstanceUID, path, "")
        for header, path in zip(headers, paths, strict=True)
    ]


@contextmanager
def pacs(
    handlers: Handlers = (), contexts: Sequence[tuple[str, list[str]]] = ((CTImageStorage, [ExplicitVRLittleEndian]),)
) -> Iterator[tuple[Destination, AE]]:
    """A PACS that does what its handlers say."""
    entity = AE(ae_title="FAKEPACS")
    for abstract_syntax, transfer_syntaxes in contexts:
        entity.add_supported_context(abstract_syntax, transfer_syntaxes)
    port = servers.free_port()
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=list(handlers))
    try:
        yield Destination("archive", "FAKEPACS", "127.0.0.1", port, storage_commitment=True), entity
    finally:
        server.shutdown()


def answering(*statuses: int) -> Handlers:
    """A C-STORE handler that answers one status after the other."""
    queue = iter(statuses)
    return [(evt.EVT_C_STORE, lambda _: next(queue))]


def test_every_status_of_every_instance_is_reported(instances: list[DerivedInstance]) -> None:
    """Fault row 19: retry, fail or warn per instance, never the last status for all."""
    statuses = [0x0000, 0xB000, 0xA700, 0xC000, 0xA900, 0x0000]
    outcomes: list[InstanceOutcome] = []
    with pacs(answering(*statuses)) as (destination, _):
        store(destination, "NODE", instances, SETTINGS, outcomes.append)
    assert [outcome.status for outcome in outcomes] == statuses
    assert [outcome.sop_instance_uid for outcome in outcomes] == [one.sop_instance_uid for one in instances]
    assert [outcome.stored for outcome in outcomes] == [True, True, False, False, False, True]


def test_the_bytes_on_disk_are_the_bytes_that_arrive(instances: list[DerivedInstance]) -> None:
    arrived: list[bytes] = []

    def keep(event: evt.Event) -> int:
        arrived.append(event.request.DataSet.getvalue())
        return 0

    with pacs([(evt.EVT_C_STORE, keep)]) as (destination, _):
        store(destination, "NODE", instances, SETTINGS, lambda _: None)
    for one, content in zip(instances, arrived, strict=True):
        assert one.path.read_bytes().endswith(content)


def test_a_pacs_that_takes_only_implicit_vr_gets_implicit_vr(instances: list[DerivedInstance]) -> None:
    arrived: list[Dataset] = []

    def keep(event: evt.Event) -> int:
        assert event.context.transfer_syntax == ImplicitVRLittleEndian
        arrived.append(event.dataset)
        return 0

    with pacs([(evt.EVT_C_STORE, keep)], [(CTImageStorage, [ImplicitVRLittleEndian])]) as (destination, _):
        store(destination, "NODE", instances, SETTINGS, lambda _: None)
    assert [one.PixelData for one in arrived] == [pydicom.dcmread(one.path).PixelData for one in instances]


def test_a_pacs_that_dies_midway_leaves_the_outcomes_so_far(instances: list[DerivedInstance]) -> None:
    """Fault row 18: the caller resumes with the rest."""
    outcomes: list[InstanceOutcome] = []
    seen: list[str] = []

    def die_at_the_fourth(event: evt.Event) -> int:
        seen.append(event.request.AffectedSOPInstanceUID)
        if len(seen) == 4:
            event.assoc.abort()
        return 0

    with pacs([(evt.EVT_C_STORE, die_at_the_fourth)]) as (destination, _):
        with pytest.raises(DestinationError, match="slice 4 of 6") as failure:
            store(destination, "NODE", instances, SETTINGS, outcomes.append)
        assert failure.value.retryable
        stored = {outcome.sop_instance_uid for outcome in outcomes if outcome.stored}
        rest = [one for one in instances if one.sop_instance_uid not in stored]
        store(destination, "NODE", rest, SETTINGS, outcomes.append)
    assert [outcome.status for outcome in outcomes] == [0, 0, 0, None, 0, 0, 0]
    assert len(rest) == 3


def test_a_pacs_that_never_answers_is_given_up_in_time(instances: list[DerivedInstance]) -> None:
    outcomes: list[InstanceOutcome] = []

    def sleep(_: evt.Event) -> int:
        time.sleep(2)
        return 0

    started = time.monotonic()
    with pacs([(evt.EVT_C_STORE, sleep)]) as (destination, _):
        hasty = SETTINGS.model_copy(update={"response_timeout_s": 0.5})
        with pytest.raises(DestinationError, match="broke off"):
            store(destination, "NODE", instances, hasty, outcomes.append)
        assert time.monotonic() - started < 2
    assert outcomes == [InstanceOutcome(instances[0].sop_instance_uid, None)]


def test_a_caller_that_fails_ends_the_association(instances: list[DerivedInstance]) -> None:
    """A ledger that is down must not keep a PACS waiting."""

    def fail(_: InstanceOutcome) -> None:
        raise StorageError("down")

    with pacs(answering(0, 0)) as (destination, entity):
        with pytest.raises(StorageError, match="down"):
            store(destination, "NODE", instances, SETTINGS, fail)
        time.sleep(0.3)
        assert entity.active_associations == []


def test_a_lost_file_is_a_storage_error(instances: list[DerivedInstance]) -> None:
    instances[0].path.unlink()
    with pacs(answering(0)) as (destination, _), pytest.raises(StorageError, match="cannot be read"):
        store(destination, "NODE", instances, SETTINGS, lambda _: None)


def test_nothing_to_send_needs_no_pacs() -> None:
    store(Destination("archive", "X", "127.0.0.1", 1, storage_commitment=False), "NODE", [], SETTINGS, lambda _: None)


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (None, False),
        (0x0000, False),
        (0xB000, False),
        (0xA700, False),
        (0xA701, False),
        (0x0110, False),
        (0x0111, False),
        (0xA900, True),
        (0xA9FF, True),
        (0xC000, True),
        (0xCFFF, True),
        (0x0122, True),
        (0x0124, True),
    ],
)
def test_failures_that_may_pass_are_told_from_those_that_will_not(status: int | None, permanent: bool) -> None:
    assert failure_is_permanent(status) is permanent


def test_echo_succeeds() -> None:
    with pacs(contexts=[(Verification, [ExplicitVRLittleEndian])]) as (destination, _):
        echo(destination, "NODE", SETTINGS)


def test_an_unreachable_pacs_is_named_with_its_address() -> None:
    port = servers.free_port()
    destination = Destination("archive", "FAKEPACS", "127.0.0.1", port, storage_commitment=False)
    with pytest.raises(DestinationError, match=f"archive .*127.0.0.1:{port}.* cannot be reached") as failure:
        echo(destination, "NODE", SETTINGS)
    assert not isinstance(failure.value, DestinationRefused)


def test_a_pacs_that_does_not_know_our_ae_title_is_an_admins_business() -> None:
    """Fault row 17."""
    with pacs(contexts=[(Verification, [ExplicitVRLittleEndian])]) as (destination, entity):
        entity.require_calling_aet = ["OTHER"]
        with pytest.raises(DestinationRefused, match="does not know our AE title NODE") as failure:
            echo(destination, "NODE", SETTINGS)
    assert not failure.value.retryable


def test_a_wrong_ae_title_of_the_pacs_is_an_admins_business() -> None:
    with pacs(contexts=[(Verification, [ExplicitVRLittleEndian])]) as (destination, entity):
        entity.require_called_aet = True
        wrong = Destination("archive", "WRONG", destination.host, destination.port, storage_commitment=False)
        with pytest.raises(DestinationRefused, match="its AE title is not WRONG"):
            echo(wrong, "NODE", SETTINGS)


def test_a_busy_pacs_is_tried_again() -> None:
    with pacs(contexts=[(Verification, [ExplicitVRLittleEndian])]) as (destination, entity):
        entity.maximum_associations = 1
        occupant = AE()
        occupant.add_requested_context(Verification)
        held = occupant.associate(destination.host, destination.port)
        with pytest.raises(DestinationError, match="limit of associations") as failure:
            echo(destination, "NODE", SETTINGS)
        held.release()
    assert failure.value.retryable


def test_a_pacs_that_takes_no_ct_images_is_an_admins_business(instances: list[DerivedInstance]) -> None:
    with (
        pacs(contexts=[(Verification, [ExplicitVRLittleEndian])]) as (destination, _),
        pytest.raises(DestinationRefused, match="does not accept CT Image Storage"),
    ):
        store(destination, "NODE", instances, SETTINGS, lambda _: None)


def test_something_that_is_no_pacs_is_given_up_in_time(free_port: int) -> None:
    """A listener that accepts TCP and says nothing."""
    with socket.create_server(("127.0.0.1", free_port)):
        mute = Destination("archive", "X", "127.0.0.1", free_port, storage_commitment=False)
        with pytest.raises(DestinationError, match="does not answer an association request"):
            echo(mute, "NODE", SETTINGS.model_copy(update={"connect_timeout_s": 0.5}))


FIND = [(StudyRootQueryRetrieveInformationModelFind, [ExplicitVRLittleEndian])]


def finding(*answers: tuple[int, str | None]) -> Handlers:
    """A C-FIND handler with these (status, SOP Instance UID) answers."""

    def find(_: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        for status, uid in answers:
            found = Dataset()
            found.SOPInstanceUID = uid or ""
            yield status, found if uid else None

    return [(evt.EVT_C_FIND, find)]


def test_a_query_returns_the_uids_that_the_pacs_holds() -> None:
    with pacs(finding((0xFF00, "1.2.1"), (0xFF01, "1.2.2")), FIND) as (destination, _):
        assert stored_instances(destination, "NODE", "1.1", "1.2", SETTINGS) == {"1.2.1", "1.2.2"}


def test_a_query_that_fails_halfway_proves_nothing() -> None:
    with (
        pacs(finding((0xFF00, "1.2.1"), (0xA700, None)), FIND) as (destination, _),
        pytest.raises(DestinationError, match="answered 0xA700"),
    ):
        stored_instances(destination, "NODE", "1.1", "1.2", SETTINGS)


def test_a_pacs_without_query_is_an_admins_business() -> None:
    with pacs() as (destination, _), pytest.raises(DestinationRefused, match="does not accept Study Root"):
        stored_instances(destination, "NODE", "1.1", "1.2", SETTINGS)


COMMIT = [(StorageCommitmentPushModel, [ExplicitVRLittleEndian])]


def test_a_commitment_request_names_the_transaction_and_every_instance(instances: list[DerivedInstance]) -> None:
    asked: list[Dataset] = []

    def act(event: evt.Event) -> tuple[int, None]:
        asked.append(event.action_information)
        return 0, None

    with pacs([(evt.EVT_N_ACTION, act)], COMMIT) as (destination, _):
        request(destination, "NODE", "1.9", instances, SETTINGS)
    assert asked[0].TransactionUID == "1.9"
    named = [item.ReferencedSOPInstanceUID for item in asked[0].ReferencedSOPSequence]
    assert named == [one.sop_instance_uid for one in instances]


def test_a_report_on_the_same_association_is_taken(instances: list[DerivedInstance]) -> None:
    """Some PACSs answer before the association of the request ends."""
    reports: list[CommitmentReport] = []

    def report_back(link: Association, answer: Dataset) -> None:
        time.sleep(0.2)
        link.send_n_event_report(answer, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)

    def act(event: evt.Event) -> tuple[int, None]:
        Thread(target=report_back, args=(event.assoc, event.action_information)).start()
        return 0, None

    with pacs([(evt.EVT_N_ACTION, act)], COMMIT) as (destination, _):
        request(destination, "NODE", "1.9", instances, SETTINGS, reports.append)
    assert [(report.transaction_uid, len(report.stored), report.failed) for report in reports] == [("1.9", 6, ())]


@pytest.mark.parametrize(
    ("status", "kind"), [(0x0110, DestinationError), (0x0213, DestinationError), (0x0124, DestinationRefused)]
)
def test_a_commitment_request_that_fails_says_so(
    instances: list[DerivedInstance], status: int, kind: type[DestinationError]
) -> None:
    with pacs([(evt.EVT_N_ACTION, lambda _: (status, None))], COMMIT) as (destination, _):
        with pytest.raises(DestinationError, match=f"0x{status:04X}") as failure:
            request(destination, "NODE", "1.9", instances, SETTINGS)
        assert type(failure.value) is kind


def report(transaction: str | None, stored: Sequence[str], failed: Sequence[tuple[str, int | None]] = ()) -> Dataset:
    """Event Information of an N-EVENT-REPORT."""
    data_set = Dataset()
    if transaction is not None:
        data_set.TransactionUID = transaction
    data_set.ReferencedSOPSequence = [reference(uid) for uid in stored]
    data_set.FailedSOPSequence = [reference(uid, reason) for uid, reason in failed]
    return data_set


def test_a_report_tells_the_stored_from_the_failed() -> None:
    read = parse_report(report("1.9", ["1.1"], [("1.2", 0x0112), ("1.3", None)]), 2)
    assert read == CommitmentReport("1.9", ("1.1",), (("1.2", 0x0112), ("1.3", 0x0110)))


@pytest.mark.parametrize(
    ("data_set", "event_type"),
    [
        (report(None, ["1.1"]), 1),
        (report("1.9", ["1.1"]), 3),
        (report("1.9", ["1.1"]), None),
        (report("1.9", [""]), 1),
        (report("1.9", ["1.1"], [("1.2", 0x0112)]), 1),
    ],
)
def test_a_report_that_makes_no_sense_is_refused(data_set: Dataset, event_type: int | None) -> None:
    """Fault row 21: it must not count as a success."""
    with pytest.raises(InputError):
        parse_report(data_set, event_type)
