"""What is answered to a storage commitment request: 0x0000 when it is kept, else the status that says why not."""

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage

from dicom_node.commitment import CommitmentRequest, Reference
from dicom_node.errors import LedgerError, RequestRefused
from dicom_node.receive import commitment
from tests.faults.kit.pacs import reference
from tests.faults.kit.requestor import Requestor
from tests.unit.dicom_node.receive.harness import Recorder, ct_slice, running, send

PEER = {"ae_title": "SCANNER", "host": "127.0.0.1", "port": 104}
ON = {"storage_commitment": True, "peers": (PEER,)}


def action(*items: Dataset, **changes: Any) -> Dataset:
    """Action Information; ``changes`` replaces data elements, None drops one."""
    information = Dataset()
    information.TransactionUID = "2.25.1"
    information.ReferencedSOPSequence = list(items)
    for keyword, value in changes.items():
        if value is None:
            del information[keyword]
        else:
            setattr(information, keyword, value)
    return information


def of_class(item: Dataset, sop_class: str) -> Dataset:
    item.ReferencedSOPClassUID = sop_class
    return item


def test_a_request_is_handed_over_before_it_is_answered(tmp_path: Path) -> None:
    told = Recorder()
    with running(tmp_path, told.callbacks(), **ON) as listener:
        information = action(reference("2.25.2"), reference("2.25.3"), reference("2.25.2"))
        assert Requestor().act(listener.address[1], information) == 0x0000
    references = (Reference(CTImageStorage, "2.25.2"), Reference(CTImageStorage, "2.25.3"))
    assert told.asked == [CommitmentRequest("2.25.1", "SCANNER", references)]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"action": action(reference("2.25.2")), "kind": 2}, 0x0123),
        ({"action": action(reference("2.25.2")), "instance": "1.2.3"}, 0x0112),
        ({"action": None}, 0x0115),
        ({"action": action()}, 0x0115),
        ({"action": action(reference("2.25.2"), TransactionUID=None)}, 0x0115),
        ({"action": action(reference("2.25.2"), TransactionUID="")}, 0x0115),
        ({"action": action(reference("2.25.2"), ReferencedSOPSequence=None)}, 0x0115),
        ({"action": action(reference("2.25.2"), reference(""))}, 0x0115),
        ({"action": action(reference("2.25.2"), of_class(reference("2.25.2"), MRImageStorage))}, 0x0115),
        ({"action": action(*(reference(f"2.25.{number}") for number in range(4)))}, 0x0213),
    ],
    ids=[
        "another action", "another instance", "no information", "no instance", "no transaction", "empty transaction",
        "no sequence", "no UID", "two classes", "too many",
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_is_refused_by_name_and_not_handed_over(
    tmp_path: Path, sent: dict[str, Any], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment, "REFERENCES_AT_MOST", 3)
    told = Recorder()
    with running(tmp_path, told.callbacks(), **ON) as listener:
        assert Requestor().act(listener.address[1], **sent) == status
        assert send(listener.address, ct_slice()) == [0x0000]
    assert told.asked == []
    assert told.refused[0].reason.startswith("its storage commitment request: ")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "[receive].storage_commitment is off"),
        ({"peers": (PEER,)}, "[receive].storage_commitment is off"),
        ({"storage_commitment": True}, "no host and port to report"),
        ({"storage_commitment": True, "peers": ({"ae_title": "SCANNER"},)}, "no host and port to report"),
        (
            {"storage_commitment": True, "peers": ({"ae_title": "SCANNER"}, {**PEER, "ae_title": "CT2"})},
            "no host and port to report",
        ),
    ],
)
def test_a_scanner_that_may_not_ask_is_told_so(tmp_path: Path, settings: dict[str, Any], reason: str) -> None:
    told = Recorder()
    with running(tmp_path, told.callbacks(), **settings) as listener:
        assert Requestor().ask(listener.address[1], ["2.25.2"]) == 0x0124
    assert told.asked == []
    assert [(each.ae_title, reason in each.reason) for each in told.refused] == [("SCANNER", True)]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (LedgerError("the ledger is away"), 0x0213),
        (RequestRefused("in use", 0x0115), 0x0115),
        (ConnectionError("unforeseen"), 0x0110),
    ],
)
def test_what_could_not_be_kept_is_not_answered_with_success(tmp_path: Path, error: Exception, status: int) -> None:
    def fail(_request: CommitmentRequest) -> None:
        raise error

    callbacks = Recorder().callbacks()
    callbacks = type(callbacks)(**{**vars(callbacks), "on_asked": fail})
    with running(tmp_path, callbacks, **ON) as listener:
        assert Requestor().ask(listener.address[1], ["2.25.2"]) == status
