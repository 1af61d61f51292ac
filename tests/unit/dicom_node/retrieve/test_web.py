"""QIDO-RS and WADO-RS against servers that misbehave."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
)

from dicom_node.destinations import WebDestination
from dicom_node.errors import DestinationError, DestinationRefused, InputError, NodeError, UnreadableInstance
from dicom_node.receive.part10 import encode_file
from dicom_node.receive.spool import Spool
from dicom_node.retrieve.intake import Intake, Pace
from dicom_node.retrieve.question import FoundSeries, Question, find_images, find_series
from dicom_node.retrieve.web import Web
from dicom_node.settings import SendSettings
from tests.unit.dicom_node.receive.harness import encoded
from tests.unit.dicom_node.retrieve.archive import WebAnswer, slices, web_server

IMAGES = slices(4)
SERIES = FoundSeries(str(IMAGES[0].StudyInstanceUID), str(IMAGES[0].SeriesInstanceUID), "", "CT", "", "", 4)
MULTIPART = 'multipart/related; type="application/dicom"; boundary=edge'


def file_of(image: Dataset, syntax: UID = ExplicitVRLittleEndian, data_set: bytes | None = None) -> bytes:
    """A Part 10 file, with other bytes for its data set where they are given."""
    content = encoded(image, syntax) if data_set is None else data_set
    names = {"sop_class_uid": str(image.SOPClassUID), "sop_instance_uid": str(image.SOPInstanceUID)}
    return encode_file(content, transfer_syntax_uid=syntax, calling_ae="PACS", **names)


def multipart(*files: bytes) -> WebAnswer:
    body = b"".join(b"--edge\r\nContent-Type: application/dicom\r\n\r\n" + each + b"\r\n" for each in files)
    return WebAnswer(body=body + b"--edge--", content_type=MULTIPART)


@contextmanager
def server(answer: Callable[[str], WebAnswer]) -> Iterator[Web]:
    with web_server(answer) as url:
        yield Web(WebDestination("archive", url), SendSettings(connect_timeout_s=2, response_timeout_s=1))


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return intake_of(tmp_path, IMAGES)


def intake_of(folder: Path, images: list[Dataset], others: frozenset[str] = frozenset()) -> Intake:
    return Intake(
        Spool(folder / "spool", 100),
        SERIES.series_uid,
        frozenset(str(image.SOPInstanceUID) for image in images),
        others=others,
        maximum_bytes=1_000_000,
        pace=Pace(10_000),
        now=lambda: datetime.now(UTC),
    )


def fetched(web: Web, intake: Intake) -> int:
    return list(web.fetch(SERIES, intake))[-1]


def asked(web: Web) -> list[FoundSeries]:
    with web.asking() as ask:
        return find_series(ask, Question(patient_id="SECRET"), 10)


def test_the_bytes_kept_are_the_bytes_that_came(intake: Intake) -> None:
    with server(lambda _: multipart(*map(file_of, IMAGES))) as web:
        assert fetched(web, intake) == 4
    digests = {sha256(encoded(image)).hexdigest() for image in IMAGES}
    assert {item.sha256 for item in intake.kept} == digests
    assert {(item.calling_ae, item.peer_ip) for item in intake.kept} == {("archive", "127.0.0.1")}


def test_implicit_vr_is_kept_as_implicit_vr(intake: Intake) -> None:
    with server(lambda _: multipart(*(file_of(image, ImplicitVRLittleEndian) for image in IMAGES))) as web:
        assert fetched(web, intake) == 4
    assert {item.transfer_syntax_uid for item in intake.kept} == {ImplicitVRLittleEndian}
    assert {item.sha256 for item in intake.kept} == {
        sha256(encoded(image, ImplicitVRLittleEndian)).hexdigest() for image in IMAGES
    }


def test_one_image_that_comes_bare_is_taken(tmp_path: Path) -> None:
    intake = intake_of(tmp_path, IMAGES[:1])
    with server(lambda _: WebAnswer(body=file_of(IMAGES[0]), content_type="application/dicom")) as web:
        assert fetched(web, intake) == 1


def test_a_few_images_are_asked_for_one_by_one(tmp_path: Path) -> None:
    paths: list[str] = []

    def answer(path: str) -> WebAnswer:
        paths.append(path)
        return multipart(*(file_of(image) for image in IMAGES if path.endswith(str(image.SOPInstanceUID))))

    intake = intake_of(tmp_path, IMAGES[2:])
    with server(answer) as web:
        assert fetched(web, intake) == 2
    assert len(paths) == 2
    assert all("/instances/" in path for path in paths)


def test_what_is_here_already_is_passed_over(tmp_path: Path) -> None:
    """The whole series is asked for where most of it is missing."""
    intake = intake_of(tmp_path, IMAGES[1:], frozenset({str(IMAGES[0].SOPInstanceUID)}))
    with server(lambda _: multipart(*map(file_of, IMAGES))) as web:
        assert fetched(web, intake) == 3
    assert not intake.refused


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (lambda: file_of(slices(1, series="b")[0]), "not asked for"),
        (lambda: file_of(IMAGES[0], JPEGBaseline8Bit, b""), "compressed with loss"),
        (lambda: file_of(IMAGES[0], DeflatedExplicitVRLittleEndian, b""), "compressed with loss"),
        (lambda: file_of(IMAGES[0], JPEGLSLossless, b"junk"), "missing or empty"),
        (lambda: file_of(IMAGES[0])[:-20], "cut short"),
        (lambda: b"<html>no image</html>", "no DICOM file"),
        (lambda: bytes(128) + b"DICM\xff\xff", "not say which|parsed|compressed"),
    ],
)
def test_what_is_no_image_that_was_asked_for_is_refused_and_told(
    intake: Intake, file: Callable[[], bytes], reason: str
) -> None:
    with server(lambda _: multipart(file(), file_of(IMAGES[1]))) as web:
        assert fetched(web, intake) == 1
    (told,) = intake.refused
    assert any(word in told for word in reason.split("|")), told


def test_an_image_past_the_limit_ends_it(tmp_path: Path) -> None:
    intake = intake_of(tmp_path, IMAGES)
    large = slices(1, rows=800)[0]
    with server(lambda _: multipart(file_of(large))) as web, pytest.raises(UnreadableInstance, match="larger than"):
        fetched(web, intake)


def test_what_came_before_a_cut_is_kept(tmp_path: Path) -> None:
    images = slices(4, rows=300)
    intake = intake_of(tmp_path, images)

    def cut(_: str) -> WebAnswer:
        answer = multipart(*map(file_of, images))
        answer.cut = 500
        return answer

    with server(cut) as web, pytest.raises(DestinationError, match="broke off"):
        fetched(web, intake)
    assert len(intake.kept) == 3


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (WebAnswer(401), DestinationRefused, "does not accept who we say we are"),
        (WebAnswer(403), DestinationRefused, "we may not do this"),
        (WebAnswer(302, headers={"Location": "http://other.example.org/"}), DestinationRefused, "sends us elsewhere"),
        (WebAnswer(404), DestinationRefused, "check url"),
        (WebAnswer(503), DestinationError, "answered HTTP 503"),
        (WebAnswer(body=b"<html>", content_type="text/html"), DestinationError, "no DICOM JSON"),
        (WebAnswer(body=b'[{"0020000D": 7}]'), DestinationError, "no DICOM JSON"),
        (WebAnswer(body=b"[]" + b" " * 100, cut=50), DestinationError, "broke off"),
        (WebAnswer(body=b"[]" + b" " * 100, cut=50, hangs_s=9), DestinationError, "does not go on in time"),
    ],
)
def test_every_bad_answer_is_a_sentence_without_the_patient(
    answer: WebAnswer, error: type[NodeError], words: str
) -> None:
    with server(lambda _: answer) as web, pytest.raises(error, match=words) as failure:
        asked(web)
    assert "SECRET" not in str(failure.value)


def test_a_server_that_is_not_there_is_a_sentence_without_the_patient() -> None:
    with server(lambda _: WebAnswer()) as web:
        pass
    with pytest.raises(DestinationError, match="cannot be reached") as failure:
        asked(web)
    assert "SECRET" not in str(failure.value)


def test_pages_are_read_to_the_end_and_begun_anew_for_nobody() -> None:
    """One server gives two at a time, another everything whatever the offset."""
    found = [image.to_json_dict() for image in IMAGES]
    for item in found:
        item.pop("7FE00010")

    def paged(path: str) -> WebAnswer:
        offset = int(parse_qs(urlsplit(path).query)["offset"][0])
        return WebAnswer(body=json.dumps(found[offset : offset + 2]).encode())

    for answer in (paged, lambda _: WebAnswer(body=json.dumps(found).encode())):
        with server(answer) as web, web.asking() as ask:
            assert len(find_images(ask, SERIES, 10)) == 4
            with pytest.raises(InputError, match="more than 3 answers"):
                find_images(ask, SERIES, 3)


def test_no_content_is_nothing_found() -> None:
    with server(lambda _: WebAnswer(204)) as web:
        assert asked(web) == []


def test_keys_are_asked_as_they_are() -> None:
    seen: list[dict[str, Any]] = []

    def answer(path: str) -> WebAnswer:
        seen.append({"path": urlsplit(path).path, **parse_qs(urlsplit(path).query)})
        return WebAnswer(body=b"[]")

    with server(answer) as web, web.asking() as ask:
        find_series(ask, Question(patient_id="A&B=C", date="20240101-"), 10)
    (query,) = seen
    assert (query["path"], query["PatientID"], query["StudyDate"]) == ("/dicom-web/studies", ["A&B=C"], ["20240101-"])
    assert "StudyDescription" in query["includefield"]


def test_a_url_is_utf_8_and_asks_for_no_character_set() -> None:
    seen: list[str] = []

    def answer(path: str) -> WebAnswer:
        seen.append(path)
        return WebAnswer(body=b"[]")

    with server(answer) as web, web.asking() as ask:
        find_series(ask, Question(patient_id="П1"), 10)
    (path,) = seen
    assert parse_qs(urlsplit(path).query)["PatientID"] == ["П1"]
    assert "SpecificCharacterSet" not in path
