"""The listener's manners: whom it accepts, what it answers, how it starts and stops. Real associations."""

import logging
import socket
import threading
import time
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSNearLossless,
    MRImageStorage,
)
from pynetdicom import AE, build_context, build_role
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance, Verification

from dicom_node.errors import SettingsError
from dicom_node.receive.handlers import Callbacks
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES
from tests.unit.dicom_node.receive.harness import Recorder, associate, ct_slice, encoded, running, send, store

STORED, OUT_OF_RESOURCES, MISMATCH, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xA900, 0xC000


def fail(_: object) -> None:
    raise ConnectionError("the ledger is down")


def test_an_echo_is_answered(tmp_path: Path):
    with running(tmp_path) as listener:
        entity = AE("ADMIN")
        entity.add_requested_context(Verification)
        association = entity.associate(*listener.address, ae_title="THINSLICE")
        assert association.send_c_echo().Status == 0x0000
        association.release()


def test_an_instance_is_reported_and_so_is_the_end_of_its_association(tmp_path: Path):
    told = Recorder()
    with running(tmp_path, told.callbacks()) as listener:
        assert send(listener.address, ct_slice(1), ct_slice(2), ct_slice(1, series="b")) == [STORED] * 3
        series = told.released.get(timeout=5)
    assert series == {ct_slice().SeriesInstanceUID, ct_slice(series="b").SeriesInstanceUID}
    assert [each.sop_instance_uid for each in told.received][:2] == [ct_slice(n).SOPInstanceUID for n in (1, 2)]
    assert (told.received[0].calling_ae, told.received[0].peer_ip) == ("SCANNER", "127.0.0.1")
    assert told.aborted.empty()


def test_an_aborted_association_is_reported_as_such(tmp_path: Path):
    told = Recorder()
    with running(tmp_path, told.callbacks()) as listener:
        association = associate(listener.address)
        store(association, encoded(ct_slice()), ct_slice().SOPInstanceUID)
        association.abort()
        assert told.aborted.get(timeout=5) == {ct_slice().SeriesInstanceUID}
    assert told.released.empty()


def test_a_cut_cable_is_reported_as_an_abort(tmp_path: Path):
    told = Recorder()
    with running(tmp_path, told.callbacks()) as listener:
        association = associate(listener.address)
        store(association, encoded(ct_slice()), ct_slice().SOPInstanceUID)
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        assert told.aborted.get(timeout=5) == {ct_slice().SeriesInstanceUID}


def test_a_failing_ledger_does_not_turn_a_stored_instance_into_a_failure(tmp_path: Path):
    with running(tmp_path, Callbacks(fail, fail, fail, lambda *_: 0, fail, fail)) as listener:
        assert send(listener.address, ct_slice(1), ct_slice(2)) == [STORED, STORED]


@pytest.mark.parametrize(
    ("changes", "request_", "status"),
    [
        ({}, {"sop_instance_uid": "1.2.3"}, MISMATCH),
        ({"SOPClassUID": MRImageStorage}, {}, MISMATCH),
        ({"SOPClassUID": MRImageStorage}, {"sop_class_uid": MRImageStorage}, MISMATCH),
        ({"SeriesInstanceUID": None}, {}, CANNOT_UNDERSTAND),
        ({"PixelData": None}, {}, CANNOT_UNDERSTAND),
    ],
)
def test_a_data_set_at_odds_with_its_request_or_itself_is_refused_by_name(
    tmp_path: Path, changes: dict[str, object], request_: dict[str, str], status: int
):
    slice_ = ct_slice(**changes)
    with running(tmp_path) as listener:
        association = associate(listener.address)
        options = {"sop_instance_uid": slice_.SOPInstanceUID, **request_}
        assert store(association, encoded(slice_), **options) == status
        assert store(association, encoded(ct_slice()), ct_slice().SOPInstanceUID) == STORED
        association.release()
    assert len(list(tmp_path.glob("quarantine/*.json"))) == (status == CANNOT_UNDERSTAND)
    assert len(list(tmp_path.glob("series/*/*.dcm"))) == 1


def test_past_the_watermark_the_sender_hears_out_of_resources(tmp_path: Path):
    with running(tmp_path, disk_full_percent=1e-6) as listener:
        assert send(listener.address, ct_slice()) == [OUT_OF_RESOURCES]


def test_explicit_little_endian_is_preferred_whatever_the_sender_lists_first(tmp_path: Path):
    entity = AE("SCANNER")
    offered = [ImplicitVRLittleEndian, *reversed(TRANSFER_SYNTAXES)]
    with running(tmp_path) as listener:
        association = entity.associate(
            *listener.address, ae_title="THINSLICE", contexts=[build_context(CTImageStorage, offered)]
        )
        assert association.accepted_contexts[0].transfer_syntax == [ExplicitVRLittleEndian]
        association.release()


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: syntax.name)
def test_every_lossless_syntax_is_accepted_alone(tmp_path: Path, syntax: UID):
    with running(tmp_path) as listener:
        association = associate(listener.address, [syntax])
        assert association.is_established
        association.release()


@pytest.mark.parametrize(
    "syntax", [DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGLSNearLossless, JPEG2000], ids=lambda s: s.name
)
def test_lossy_and_deflated_syntaxes_are_refused_and_logged(
    tmp_path: Path, syntax: UID, caplog: pytest.LogCaptureFixture
):
    with running(tmp_path) as listener:
        association = associate(listener.address, [syntax])
        assert not association.accepted_contexts
    assert f"refused from SCANNER at 127.0.0.1: CT Image Storage in {syntax.name}" in caplog.text


@pytest.mark.parametrize(
    ("settings", "called", "reason"),
    [
        ({}, "OTHER", "[receive].ae_title"),
        ({"peers": ({"ae_title": "CT1"}, {"ae_title": "CT2"})}, "THINSLICE", "in no [[receive.peers]]"),
        ({"maximum_associations": 1}, "THINSLICE", "[receive].maximum_associations"),
    ],
)
def test_an_association_is_rejected_with_its_cause_in_the_log(
    tmp_path: Path, settings: dict[str, object], called: str, reason: str, caplog: pytest.LogCaptureFixture
):
    with running(tmp_path, **settings) as listener:
        first = associate(listener.address)
        second = associate(listener.address, ae_title=called)
        assert second.is_rejected
        assert reason in caplog.text
        first.abort()


def test_any_called_ae_title_is_taken_where_the_setting_says_so(tmp_path: Path):
    with running(tmp_path, require_called_ae_title=False) as listener:
        association = associate(listener.address, ae_title="OTHER")
        assert association.is_established
        association.release()


@pytest.mark.parametrize("roles", [[build_role(StorageCommitmentPushModel, scu_role=False, scp_role=True)], []])
def test_a_commitment_result_arrives_whether_or_not_the_pacs_negotiates_its_role(
    tmp_path: Path, roles: list[SCP_SCU_RoleSelectionNegotiation]
):
    told = Recorder()
    result = Dataset()
    result.TransactionUID = "1.2.3"
    with running(tmp_path, told.callbacks()) as listener:
        entity = AE("PACS")
        entity.add_requested_context(StorageCommitmentPushModel)
        association = entity.associate(*listener.address, ae_title="THINSLICE", ext_neg=roles)
        # Without roles pynetdicom lets a requestor send only as SCU, so the message goes past that check.
        for context in association.accepted_contexts:
            context._as_scp = True
        status, _ = association.send_n_event_report(
            result, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        association.release()
    assert status.Status == 0x0000
    assert [(each.TransactionUID, kind) for each, kind in told.commitments] == [("1.2.3", 1)]


def test_a_commitment_result_that_cannot_be_taken_is_answered_with_processing_failure(tmp_path: Path):
    def refuse(_result: Dataset, _event_type: int) -> int:
        raise ConnectionError("the ledger is down")

    with running(tmp_path, Callbacks(fail, fail, fail, refuse, fail, fail)) as listener:
        entity = AE("PACS")
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = entity.associate(*listener.address, ae_title="THINSLICE", ext_neg=[role])
        result = Dataset()
        result.TransactionUID = "1.2.3"
        status, _ = association.send_n_event_report(
            result, 2, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        association.release()
    assert status.Status == 0x0110


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 the other program may listen everywhere
def test_a_port_in_use_is_refused_with_the_fix(tmp_path: Path, host: str):
    with socket.create_server((host, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} is in use by another program: choose another"):
            running(tmp_path, port=port).__enter__()


def test_a_second_listener_on_the_same_port_is_refused(tmp_path: Path):
    with running(tmp_path / "a") as listener, pytest.raises(SettingsError, match="is in use"):
        running(tmp_path / "b", port=listener.address[1]).__enter__()


def test_a_host_of_another_machine_is_refused_with_the_key(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"\[receive\]\.host"):
        running(tmp_path, host="192.0.2.1").__enter__()


def test_a_port_is_free_again_after_stop(tmp_path: Path):
    with running(tmp_path) as listener:
        port = listener.address[1]
        send(listener.address, ct_slice())
    with running(tmp_path, port=port) as listener:
        assert send(listener.address, ct_slice()) == [STORED]


def test_stop_lets_an_association_finish_and_takes_no_new_one(tmp_path: Path):
    told = Recorder()
    with running(tmp_path, told.callbacks()) as listener:
        address = listener.address
        association = associate(address)
        stopping = threading.Thread(target=listener.stop, args=(10,))
        stopping.start()
        time.sleep(0.5)
        assert not associate(address).is_established
        assert store(association, encoded(ct_slice()), ct_slice().SOPInstanceUID) == STORED
        association.release()
        stopping.join(timeout=5)
        assert not stopping.is_alive()
    assert told.released.get(timeout=5) == {ct_slice().SeriesInstanceUID}


def test_stop_aborts_an_association_that_does_not_end(tmp_path: Path):
    with running(tmp_path) as listener:
        association = associate(listener.address)
        began = time.monotonic()
        listener.stop(limit_s=0.2)
        assert time.monotonic() - began < 5
        time.sleep(0.5)
        assert association.is_aborted


def test_a_sender_that_falls_silent_inside_a_pdu_is_let_go(tmp_path: Path):
    with running(tmp_path, network_timeout_s=1) as listener, socket.create_connection(listener.address) as silent:
        silent.settimeout(8)
        silent.sendall(b"\x01\x00\x00")
        assert silent.recv(16) == b""


def test_small_answers_do_not_wait_for_nagle(tmp_path: Path):
    with running(tmp_path) as listener:
        association = associate(listener.address)
        server = next(each for each in threading.enumerate() if "AcceptorThread" in each.name)
        assert server.dul.socket.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        association.release()


def test_nothing_of_the_patient_is_logged_or_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    told = Recorder()
    with running(tmp_path, told.callbacks()) as listener:
        send(listener.address, ct_slice(1), ct_slice(2, SeriesInstanceUID=None), ct_slice(3, PixelData=None))
        associate(listener.address, ae_title="OTHER")
    names = "\n".join(str(path) for path in tmp_path.rglob("*"))
    notes = "\n".join(path.read_text() for path in tmp_path.rglob("*.json"))
    own = "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("dicom_node"))
    assert own
    for text in (own, names, notes):
        assert "Secret" not in text
        assert "SECRET" not in text
