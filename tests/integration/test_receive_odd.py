"""Every odd file there is, sent as it is: each is stored as sent, or refused by name, and the listener lives on."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.receive.spool import Spool
from tests.raw_sender import MADE_UP_UID, accepted, odd_files, raw_sender, read_raw
from tests.unit.dicom_node.receive.harness import associate, body, ct_slice, running, send, store
from tests.waiting import until

STORED, MISMATCH, CANNOT_UNDERSTAND = 0x0000, 0xA900, 0xC000

pytestmark = [
    pytest.mark.dicom,
    pytest.mark.faults,
    # Broken values make pydicom warn, in the test's own reading too.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory, shared_data: Path
) -> Iterator[tuple[dict[str, int | None], dict[str, bytes], Path]]:
    """The status that each file got, sent as CT in its own transfer syntax where we take that, and the spool."""
    root = tmp_path_factory.mktemp("spool")
    statuses: dict[str, int | None] = {}
    bodies: dict[str, bytes] = {}
    with running(root) as listener:
        with raw_sender(listener.address) as sender:
            for path in odd_files(shared_data):
                each = read_raw(path)
                if each.content:  # a C-STORE without a data set is no C-STORE (PS3.7 9.1.1)
                    name = path.relative_to(shared_data / "odd").as_posix()
                    statuses[name], bodies[name] = sender.send(each), each.content
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
    files = map(read_raw, odd_files(shared_data))
    unwanted = [(each.sop_class, each.syntax) for each in files if each.has_context and not each.is_wanted]
    assert unwanted
    with running(tmp_path) as listener:
        assert accepted(listener.address, unwanted) == []


def test_a_data_set_that_never_comes_does_not_hold_the_others_up(tmp_path: Path) -> None:
    before = threading.active_count()
    with running(tmp_path, network_timeout_s=1) as listener:
        silent = associate(listener.address)
        assert store(silent, b"", MADE_UP_UID) is None
        assert send(listener.address, ct_slice()) == [STORED]
        assert not silent.is_established
    until("no thread is left behind", lambda: threading.active_count() <= before)
