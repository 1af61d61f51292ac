"""Every odd file there is, sent as it is: each is stored as sent, or refused by name, and the listener lives on."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID, CTImageStorage
from pynetdicom import AE, build_context

from dicom_node.receive.scp import TRANSFER_SYNTAXES
from dicom_node.receive.spool import Spool
from tests.unit.dicom_node.receive.harness import associate, body, ct_slice, running, send, store

STORED, MISMATCH, CANNOT_UNDERSTAND = 0x0000, 0xA900, 0xC000
MADE_UP_UID = "1.2.3.4"

pytestmark = [
    pytest.mark.dicom,
    pytest.mark.faults,
    # Broken values make pydicom warn, in the test's own reading too.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@dataclass(frozen=True)
class Odd:
    """A file as its own meta describes it, as far as that can be read."""

    content: bytes
    sop_class: str
    sop_instance: str
    syntax: str


def odd(path: Path) -> Odd:
    try:
        header = dcmread(path, force=True, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
        syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
        instance = str(header.get("SOPInstanceUID", ""))
        sop_class = str(header.get("SOPClassUID", ""))
    except Exception:  # noqa: BLE001 that is what makes it odd
        syntax = instance = sop_class = ""
    usable = 0 < len(instance) <= 64 and instance.isascii()
    return Odd(body(path.read_bytes()), sop_class, instance if usable else MADE_UP_UID, syntax)


def odd_files(shared_data: Path) -> list[Path]:
    files = sorted(each for each in (shared_data / "odd").rglob("*") if each.is_file() and each.suffix != ".py")
    assert len(files) > 500
    return files


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory, shared_data: Path
) -> Iterator[tuple[dict[str, int | None], dict[str, bytes], Path]]:
    """The status that each file got, sent as CT in its own transfer syntax where we take that, and the spool."""
    root = tmp_path_factory.mktemp("spool")
    statuses: dict[str, int | None] = {}
    bodies: dict[str, bytes] = {}
    with running(root) as listener:
        association = associate(listener.address)
        for path in odd_files(shared_data):
            each = odd(path)
            if not each.content:  # a C-STORE without a data set is no C-STORE (PS3.7 9.1.1)
                continue
            if not association.is_established:
                association = associate(listener.address)
            syntax = each.syntax if each.syntax in TRANSFER_SYNTAXES else TRANSFER_SYNTAXES[0]
            name = path.relative_to(shared_data / "odd").as_posix()
            statuses[name] = store(association, each.content, each.sop_instance, syntax=syntax)
            bodies[name] = each.content
        association.release()
        assert send(listener.address, ct_slice()) == [STORED]
        yield statuses, bodies, root


Answers = tuple[dict[str, int | None], dict[str, bytes], Path]


def test_every_file_is_answered_with_a_status_of_its_own(answers: Answers) -> None:
    statuses, _, _ = answers
    assert len(statuses) > 500
    assert {
        name: status for name, status in statuses.items() if status not in {STORED, MISMATCH, CANNOT_UNDERSTAND}
    } == {}


def test_what_is_stored_lies_in_the_spool_as_it_was_sent(answers: Answers) -> None:
    statuses, bodies, root = answers
    kept = {body(each.path.read_bytes()) for each in Spool(root, 100).scan()}
    assert {name for name, status in statuses.items() if status == STORED and bodies[name] not in kept} == set()


def test_what_cannot_be_understood_lies_in_quarantine_with_a_reason(answers: Answers) -> None:
    statuses, bodies, root = answers
    kept = {body(path.read_bytes()): path for path in (root / "quarantine").glob("*.dcm")}
    refused = {name for name, status in statuses.items() if status == CANNOT_UNDERSTAND}
    assert refused
    for name in refused:
        assert json.loads(kept[bodies[name]].with_suffix(".json").read_text())["reason"]


def test_no_name_in_the_spool_comes_from_a_sender(answers: Answers) -> None:
    root = answers[2]
    names = {path.relative_to(root).as_posix() for path in root.glob("[sq]*/**/*.*")}
    allowed = set("0123456789abcdef/-")
    assert names
    for name in names:
        assert set(name.partition("/")[2].rpartition(".")[0]) <= allowed


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("000_good_reference", STORED),
        ("002_random_bytes", CANNOT_UNDERSTAND),
        ("006_truncated_in_header", CANNOT_UNDERSTAND),
        ("007_truncated_in_pixels", CANNOT_UNDERSTAND),
        ("011_text_renamed", CANNOT_UNDERSTAND),
        ("030_missing_PixelData", CANNOT_UNDERSTAND),
        ("030_missing_SOPInstanceUID", CANNOT_UNDERSTAND),
        ("030_missing_SeriesInstanceUID", CANNOT_UNDERSTAND),
        ("031_empty_SeriesInstanceUID", CANNOT_UNDERSTAND),
        ("067_secondary_capture_class", MISMATCH),
        ("080_patientid_path_traversal", STORED),
        ("082_sopuid_path_traversal", CANNOT_UNDERSTAND),
        ("083_seriesuid_absolute_path", CANNOT_UNDERSTAND),
        ("084_uid_too_long", CANNOT_UNDERSTAND),
        ("090_length_beyond_eof", CANNOT_UNDERSTAND),
        ("094_100k_private_elements", STORED),
    ],
)
def test_a_file_with_one_fault_gets_the_answer_that_fits_it(answers: Answers, name: str, status: int) -> None:
    assert answers[0][f"derived/single/{name}.dcm"] == status


def test_what_is_no_ct_or_not_lossless_is_refused_at_the_association(tmp_path: Path, shared_data: Path) -> None:
    pairs = {(each.sop_class, each.syntax) for each in map(odd, odd_files(shared_data))}
    unwanted = sorted(
        pair
        for pair in pairs
        if all(UID(uid).is_valid for uid in pair) and (pair[0] != CTImageStorage or pair[1] not in TRANSFER_SYNTAXES)
    )
    assert unwanted
    with running(tmp_path) as listener:
        contexts = [build_context(*pair) for pair in unwanted]
        association = AE("SCANNER").associate(*listener.address, ae_title="THINSLICE", contexts=contexts[:128])
        assert association.accepted_contexts == []


def test_a_data_set_that_never_comes_does_not_hold_the_others_up(tmp_path: Path) -> None:
    with running(tmp_path, network_timeout_s=1) as listener:
        silent = associate(listener.address)
        assert store(silent, b"", MADE_UP_UID) is None
        assert send(listener.address, ct_slice()) == [STORED]
        assert not silent.is_established
    assert threading.active_count() < 20
