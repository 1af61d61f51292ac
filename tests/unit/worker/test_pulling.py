"""Pulls from PACSs that misbehave: what came is kept, what is missing is told, and nothing is without end."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import evt

from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError, InputError, SettingsError
from dicom_node.ledger import queries, receipts
from dicom_node.retrieve.question import Question
from tests.acceptance.command_line import thinslice
from tests.unit.dicom_node.retrieve.archive import AE_TITLE, Archive, sendable, slices
from tests.unit.worker.nodes import open_at
from worker import priors, pulling
from worker.priors import Planned
from worker.pulling import Outcome
from worker.wiring import Node

QUESTION = Question(patient_id="P1")


def node_at(folder: Path, pacs: Destination, pull: str = "", receive: str = "") -> Node:
    block = f'[[send.pacs]]\nname = "archive"\nae_title = "{AE_TITLE}"\nhost = "{pacs.host}"\nport = {pacs.port}'
    limits = "instances_per_second = 10000.0\nresponse_timeout_s = 5.0\narrival_s = 0.1"
    return open_at(folder, send=f"connect_timeout_s = 5\n\n{block}", pull=f"{limits}\n{pull}", receive=receive)


def plan(node: Node, *, again: bool = False) -> list[Planned]:
    return priors.plan(node, priors.source(node, "archive", ""), QUESTION, again=again)


def pull(node: Node) -> list[Outcome]:
    source = priors.source(node, "archive", "")
    return list(pulling.pull(node, source, plan(node), lambda _: None))


def in_ledger(node: Node) -> int:
    return len(receipts.known_paths(node.database))


def last_event(node: Node, outcome: Outcome) -> dict[str, Any]:
    row = queries.audit_of(node.database, [outcome.series_uid])[-1]
    assert row.event == "pull.ended"
    told: dict[str, Any] = json.loads(row.detail)
    return told


def test_a_series_comes_in_batches(tmp_path: Path) -> None:
    archive = Archive(slices(7))
    with archive.running() as pacs:
        node = node_at(tmp_path, pacs, "instances_at_once = 3")
        (outcome,) = pull(node)
    assert (outcome.came, outcome.missing, in_ledger(node)) == (7, 0, 7)
    uids = [keys.SOPInstanceUID for keys in archive.asked if "SOPInstanceUID" in keys and keys.SOPInstanceUID]
    assert [1 if isinstance(each, str) else len(each) for each in uids] == [3, 3, 1]
    (series,) = queries.find_series(node.database, outcome.series_uid)
    assert receipts.read_series(node.database, series.id)[0].released


def test_a_pacs_that_dies_midway_leaves_what_came(tmp_path: Path) -> None:
    """And the next pull asks for the rest alone."""

    def dies(event: evt.Event, images: list[Dataset]) -> Iterator[Any]:
        yield len(images)
        for image in images[:4]:
            yield 0xFF00, sendable(image)
        event.assoc.abort()

    archive = Archive(slices(7), get=dies)
    with archive.running() as pacs:
        node = node_at(tmp_path, pacs)
        (outcome,) = pull(node)
        assert (outcome.asked, outcome.came, outcome.missing) == (7, 4, 3)
        assert "broke off" in outcome.reasons[0]
        assert last_event(node, outcome)["missing"] == 3
        archive.get = None
        (again,) = pull(node)
    assert (again.asked, again.came, in_ledger(node)) == (3, 3, 7)


def test_what_was_not_asked_for_is_refused_and_told(tmp_path: Path) -> None:
    def sends_more(_: evt.Event, images: list[Dataset]) -> Iterator[Any]:
        yield len(images) + 2
        for image in [*images, *slices(2, series="b")]:
            yield 0xFF00, sendable(image)

    archive = Archive(slices(3), get=sends_more)
    with archive.running() as pacs:
        node = node_at(tmp_path, pacs)
        (outcome,) = pull(node)
    assert (outcome.came, outcome.missing, in_ledger(node)) == (3, 0, 3)
    assert "the PACS sent an image that was not asked for (2 times)" in outcome.reasons


@pytest.mark.parametrize("status", [0xA701, 0xC001, 0xA900])
def test_a_refusal_is_one_sentence_and_ends_the_pull(tmp_path: Path, status: int) -> None:
    def refuses(_: evt.Event, images: list[Dataset]) -> Iterator[Any]:
        yield len(images)
        yield status, None

    archive = Archive(slices(3) + slices(3, series="b"), get=refuses)
    with archive.running() as pacs:
        (outcome,) = pull(node_at(tmp_path, pacs))
    assert outcome.missing == 3
    assert f"0x{status:04X}" in outcome.reasons[-1]


def test_a_pacs_without_c_get_is_asked_to_move(tmp_path: Path) -> None:
    destinations: list[str] = []

    def knows_us_not(event: evt.Event) -> Iterator[Any]:
        destinations.append(event.move_destination)
        yield None, None

    archive = Archive(slices(3), move=knows_us_not)
    with archive.running(offers_get=False) as pacs:
        (outcome,) = pull(node_at(tmp_path, pacs))
    assert destinations == ["THINSLICE"]
    assert "does not know our AE title THINSLICE as a destination" in outcome.reasons[0]
    assert outcome.missing == 3


def test_c_get_that_is_not_offered_is_a_sentence(tmp_path: Path) -> None:
    with Archive(slices(3)).running(offers_get=False) as pacs:
        node = node_at(tmp_path, pacs)
        source = priors.source(node, "archive", "get")
        (outcome,) = pulling.pull(node, source, priors.plan(node, source, QUESTION), lambda _: None)
    assert outcome.missing == 3
    assert "does not accept CT Image Storage or Study Root Query/Retrieve" in outcome.reasons[0]


def test_an_image_past_the_limit_is_left_out_and_the_others_come(tmp_path: Path) -> None:
    archive = Archive([*slices(2), *slices(3, rows=600)[2:]])
    with archive.running() as pacs:
        node = node_at(tmp_path, pacs, receive="maximum_instance_mb = 0.2")
        (outcome,) = pull(node)
    assert (outcome.came, outcome.missing, in_ledger(node)) == (2, 1, 2)
    assert "larger than [receive].maximum_instance_mb" in outcome.reasons[0]


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
def test_endless_answers_are_given_up(tmp_path: Path, level: str) -> None:
    archive = Archive(slices(2))

    def endless(keys: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        if keys.QueryRetrieveLevel != level:
            yield from archive.answers(keys)
            return
        (_, answer), *_ = archive.answers(keys)
        yield from itertools.repeat((0xFF00, answer))

    archive.find = endless
    with archive.running() as pacs:
        node = node_at(tmp_path, pacs, "maximum_instances = 20")
        with pytest.raises(InputError, match=f"level {level}"):
            plan(node)


@pytest.mark.parametrize(("key", "value"), [("maximum_instances", 5), ("maximum_series", 1)])
def test_more_than_allowed_is_refused_before_anything_comes(tmp_path: Path, key: str, value: int) -> None:
    archive = Archive(slices(3) + slices(3, series="b"))
    with archive.running() as pacs:
        node = node_at(tmp_path, pacs, f"{key} = {value}")
        with pytest.raises(InputError, match=rf"\[pull\]\.{key} = {value}"):
            plan(node)
    assert in_ledger(node) == 0


def test_a_failing_query_is_the_pacs_fault(tmp_path: Path) -> None:
    archive = Archive(slices(2), find=lambda _: iter([(0xA700, None)]))
    with archive.running() as pacs, pytest.raises(DestinationError, match="0xA700 when asked"):
        plan(node_at(tmp_path, pacs))


def test_where_the_pacs_does_not_tell_what_images_are_one_is_looked_at(tmp_path: Path) -> None:
    derived = slices(5, ImageType=["DERIVED", "SECONDARY", "AXIAL"])
    for image in derived:
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    archive = Archive(derived, hidden=("ImageType", "SOPClassUID"))
    with archive.running() as pacs:
        node = node_at(tmp_path, pacs)
        (outcome,) = pull(node)
        assert (outcome.asked, outcome.came, outcome.missing, in_ledger(node)) == (1, 1, 0, 1)
        assert "derived image" in outcome.reasons[0]
        archive.images = slices(5, series="b")
        (outcome,) = pull(node)
    assert (outcome.asked, outcome.came, outcome.missing, in_ledger(node)) == (5, 5, 0, 6)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}, "derived, or no CT images"),
        ({"ImageType": ["ORIGINAL", "SECONDARY", "AXIAL"]}, "derived, or no CT images"),
        ({"ManufacturerModelName": "thinslice"}, "derived, or no CT images"),
        ({"SOPClassUID": f"{CTImageStorage}.1"}, "derived, or no CT images"),
        ({"SliceThickness": "1.0"}, "already thin, below 2 mm"),
        ({"NumberOfSeriesRelatedInstances": 5001}, "larger than [pull].maximum_instances"),
    ],
)
def test_what_would_not_be_restored_is_not_fetched(tmp_path: Path, values: dict[str, Any], reason: str) -> None:
    archive = Archive(slices(4, **values))
    with archive.running() as pacs:
        node = node_at(tmp_path, pacs)
        (planned,) = plan(node)
        assert (planned.skip, planned.images) == (reason, ())
        assert pull(node) == []


def test_a_full_disk_ends_the_pull(tmp_path: Path) -> None:
    archive = Archive(slices(3))
    with archive.running() as pacs:
        node = node_at(tmp_path, pacs)
        receive = node.settings.receive.model_copy(update={"disk_full_percent": 0.001})
        full = Node(node.settings.model_copy(update={"receive": receive}), node.database, node.spool)
        (outcome,) = pull(full)
    assert (outcome.came, outcome.missing) == (0, 3)
    assert "disk" in outcome.reasons[0]


def test_a_pacs_that_is_not_in_the_settings_is_named(tmp_path: Path) -> None:
    with Archive([]).running() as pacs:
        node = node_at(tmp_path, pacs)
    for name, way in (("other", ""), ("archive", "dicomweb")):
        with pytest.raises(SettingsError, match=rf"nothing to pull from as '{name}' by .*: archive"):
            priors.source(node, name, way)


def test_nothing_of_the_patient_is_on_record(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    archive = Archive(slices(2, PatientID="SECRET-7"))
    with archive.running() as pacs:
        node = node_at(tmp_path, pacs)
        source = priors.source(node, "archive", "")
        planned = priors.plan(node, source, Question(patient_id="SECRET-7"))
        assert [item.came for item in pulling.pull(node, source, planned, lambda _: None)] == [2]
    assert b"SECRET" not in (tmp_path / "ledger.sqlite").read_bytes()
    assert "SECRET" not in repr(planned)
    assert "SECRET" not in "".join(capfd.readouterr())


def test_the_command_tells_what_is_missing_and_exits_with_1(tmp_path: Path) -> None:
    def dies(event: evt.Event, images: list[Dataset]) -> Iterator[Any]:
        yield len(images)
        yield 0xFF00, sendable(images[0])
        event.assoc.abort()

    archive = Archive(slices(3) + slices(3, series="b"), get=dies)
    with archive.running() as pacs:
        node_at(tmp_path, pacs)
        done = thinslice(tmp_path, "pull", "archive", "--patient-id", "P1", "--yes")
    assert done.code == 1
    assert "1 of 3 images, 2 missing" in done.out
    assert "1 more series were not begun" in done.out


def test_the_command_says_that_there_is_nothing(tmp_path: Path) -> None:
    with Archive([]).running() as pacs:
        node_at(tmp_path, pacs)
        done = thinslice(tmp_path, "pull", "archive", "--date", "20240301")
    assert (done.code, done.out) == (0, "The PACS has nothing like that.\n")
