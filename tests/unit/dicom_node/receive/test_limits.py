"""What one sender may take of the listener, and that odd requests are answered. Real associations."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import StorageCommitmentPushModel

from dicom_node.receive.spool import Spool
from tests.unit.dicom_node.receive.harness import (
    associate,
    ct_slice,
    encoded,
    running,
    running_process,
    send,
    store,
)

STORED, MISMATCH, CANNOT_UNDERSTAND = 0x0000, 0xA900, 0xC000
REJECTED_FOR_NOW = (2, 3, 2)


def refusal(association: Association) -> tuple[int | None, int | None, int | None]:
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert answer
    return answer.result, answer.result_source, answer.diagnostic


def test_one_address_may_not_take_every_place(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with running(tmp_path, maximum_associations_per_peer=2) as listener:
        first, second = associate(listener.address), associate(listener.address)
        assert refusal(associate(listener.address)) == REJECTED_FOR_NOW
        assert "[receive].maximum_associations_per_peer = 2" in caplog.text
        other = associate(listener.address, bind_address=("127.0.0.2", 0))
        assert other.is_established
        first.release()
        assert send(listener.address, ct_slice()) == [STORED]
        second.release()
        other.release()


def test_an_aborted_association_gives_its_place_back(tmp_path: Path):
    with running(tmp_path, maximum_associations=1) as listener:
        associate(listener.address).abort()
        time.sleep(0.5)
        assert send(listener.address, ct_slice()) == [STORED]


def test_of_many_that_ask_at_once_as_many_as_there_is_room_for_are_let_in(tmp_path: Path):
    """Nine have room to ask: of a tenth, the one that has not asked yet would give way."""
    with running(tmp_path, maximum_associations=3) as listener, ThreadPoolExecutor(9) as senders:
        asked = list(senders.map(lambda _: associate(listener.address), range(9)))
        assert sum(each.is_established for each in asked) == 3
        assert {refusal(each) for each in asked if not each.is_established} == {REJECTED_FOR_NOW}
        for each in asked:
            each.abort()


def test_connections_that_never_ask_take_no_place(tmp_path: Path):
    with running(tmp_path, maximum_associations=2) as listener:
        idle = [socket.create_connection(listener.address) for _ in range(8)]
        assert send(listener.address, ct_slice()) == [STORED]
        for each in idle:
            each.close()


def test_a_data_set_past_the_limit_is_refused_and_the_others_still_come(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    large = ct_slice(1, rows=1024)  # 2 MiB
    with running(tmp_path, maximum_instance_mb=1) as listener:
        assert send(listener.address, large, ct_slice(2), large, ct_slice(3)) == [
            CANNOT_UNDERSTAND,
            STORED,
            CANNOT_UNDERSTAND,
            STORED,
        ]
    assert "[receive].maximum_instance_mb = 1 allows" in caplog.text
    assert len(list(Spool(tmp_path, 100).scan())) == 2
    assert list(tmp_path.glob("quarantine/*")) == []


def test_memory_does_not_grow_with_what_is_sent(tmp_path: Path):
    with running_process(tmp_path) as (process, port):
        listener = psutil.Process(process.pid)
        before = listener.memory_info().rss
        association = associate(("127.0.0.1", port))
        association.dimse_timeout = 120
        assert store(association, bytes(256_000_000), "1.2.3") == CANNOT_UNDERSTAND
        association.release()
        peak = int(
            next(
                line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "HWM" in line
            ).split()[1]
        )
        assert peak * 1024 - before < 150e6  # [receive].maximum_instance_mb is 64


def request(**changes: object) -> Dataset:
    """The command set of a C-STORE request; None drops an element."""
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = 7, 2
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = CTImageStorage, ct_slice().SOPInstanceUID
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    for keyword, value in changes.items():
        if value is None:
            del message.command_set[keyword]
        else:
            setattr(message.command_set, keyword, value)
    message._set_command_group_length()
    return message.command_set


def sent(association: Association, command: Dataset, data_set: bytes, context_id: int) -> int | None:
    """The status for a request as it stands, right or wrong."""
    message = C_STORE_RQ()
    message.command_set, message.data_set = command, BytesIO(data_set)
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    for part in message.encode_msg(context_id, 16384):
        association.dul.send_pdu(part)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    if response is None:
        return None
    assert response.MessageIDBeingRespondedTo == 7
    return response.Status


WHOLE = 0x0001


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of the values that are wrong
@pytest.mark.parametrize(
    ("changes", "has_data", "status"),
    [
        ({"CommandDataSetType": 0x0101}, False, CANNOT_UNDERSTAND),
        ({"AffectedSOPInstanceUID": ""}, True, MISMATCH),
        ({"AffectedSOPInstanceUID": None}, True, MISMATCH),
        ({"AffectedSOPInstanceUID": "not a uid"}, True, MISMATCH),
        ({"AffectedSOPInstanceUID": "1." * 40 + "1"}, True, MISMATCH),
        ({"AffectedSOPClassUID": ""}, True, MISMATCH),
        ({"AffectedSOPClassUID": None}, True, MISMATCH),
        ({"AffectedSOPClassUID": MRImageStorage}, True, MISMATCH),
        ({"AffectedSOPClassUID": "1.2.3.4"}, True, MISMATCH),
        ({"AffectedSOPClassUID": StorageCommitmentPushModel}, True, MISMATCH),
        ({"Priority": None}, True, MISMATCH),
    ],
)
def test_an_odd_request_is_answered_and_the_association_goes_on(
    tmp_path: Path, changes: dict[str, object], has_data: bool, status: int
):
    with running(tmp_path) as listener:
        association = associate(listener.address, [ExplicitVRLittleEndian])
        context = association.accepted_contexts[0].context_id
        assert context
        command = request(**{"CommandDataSetType": WHOLE, **changes})
        assert sent(association, command, encoded(ct_slice()) if has_data else b"", context) == status
        assert store(association, encoded(ct_slice(2)), ct_slice(2).SOPInstanceUID) == STORED
        association.release()
    assert [each.sop_instance_uid for each in Spool(tmp_path, 100).scan()] == [ct_slice(2).SOPInstanceUID]
    assert list(tmp_path.glob("quarantine/*")) == []


@pytest.mark.parametrize("sop_class", [CTImageStorage, StorageCommitmentPushModel])
def test_an_image_on_the_context_for_commitment_is_refused_and_the_association_goes_on(tmp_path: Path, sop_class: str):
    offered = [
        build_context(StorageCommitmentPushModel, ImplicitVRLittleEndian),
        build_context(CTImageStorage, ExplicitVRLittleEndian),
    ]
    with running(tmp_path) as listener:
        association = AE("SCANNER").associate(*listener.address, ae_title="THINSLICE", contexts=offered)
        number = association.accepted_contexts[0].context_id
        assert number
        command = request(CommandDataSetType=WHOLE, AffectedSOPClassUID=sop_class)
        assert sent(association, command, encoded(ct_slice(), ImplicitVRLittleEndian), number) == MISMATCH
        assert store(association, encoded(ct_slice()), ct_slice().SOPInstanceUID) == STORED
        association.release()


def test_a_request_without_a_number_gets_no_answer_and_harms_nobody(tmp_path: Path):
    with running(tmp_path) as listener:
        association = associate(listener.address, [ExplicitVRLittleEndian])
        association.dimse_timeout = 1
        context = association.accepted_contexts[0].context_id
        assert context
        command = request(CommandDataSetType=WHOLE, MessageID=None)
        assert sent(association, command, encoded(ct_slice()), context) is None
        association.dimse_timeout = 20
        assert store(association, encoded(ct_slice(2)), ct_slice(2).SOPInstanceUID) == STORED
        association.release()


@pytest.mark.faults
def test_under_a_flood_of_senders_nothing_acknowledged_is_lost(tmp_path: Path):
    """Row 46: 20 senders at once find 6 places; those who are told to come again do, and everything arrives once."""

    def push(number: int) -> int:
        slices = [ct_slice(each, series=f"flood {number}") for each in range(25)]
        rejected = 0
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            association = associate(address)
            if association.is_established:
                assert [store(association, encoded(each), each.SOPInstanceUID) for each in slices] == [STORED] * 25
                association.release()
                return rejected
            assert refusal(association) == REJECTED_FOR_NOW
            rejected += 1
            time.sleep(0.1)
        raise AssertionError("never let in")

    with running(tmp_path, maximum_associations_per_peer=6) as listener, ThreadPoolExecutor(20) as senders:
        address = listener.address
        assert sum(senders.map(push, range(20))) > 0
    assert len(list(Spool(tmp_path, 100).scan())) == 20 * 25
