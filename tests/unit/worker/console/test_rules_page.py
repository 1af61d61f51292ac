"""The page of rules, and trying an image on it: said right, kept nowhere, and closed to who means harm."""

import json
import struct
import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_node.ledger import browse
from dicom_node.ledger.browse import AuditFilter
from dicom_node.ledger.users import Role
from tests.phantom import chest, write_dicom
from tests.unit.worker.console.conftest import As, enter
from tests.unit.worker.console.visitor import Page, Visitor
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import enter_series
from tests.unit.worker.test_cli_rules import RULES
from worker.console import app, asked
from worker.console.serving import ConsoleServer
from worker.steps.judge import judge_series
from worker.wiring import Node

BOUNDARY = "----fence"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with rules."""
    return open_at(tmp_path, console=f'port = 0\npreviews = "{tmp_path}/previews"', blocks=RULES)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One slice of a small chest, with a name in it."""
    path = write_dicom(chest(shape=(21, 64, 64), pixel_mm=5.4).thick, tmp_path_factory.mktemp("scan"))[0]
    dataset = dcmread(path)
    dataset.PatientName = "Doe^John"
    dataset.save_as(path)
    return path.read_bytes()


def form(csrf: str, content: bytes | None, **fields: str) -> bytes:
    """A form as browsers send it."""
    parts = [(f'name="{name}"', value.encode()) for name, value in {"csrf": csrf, **fields}.items()]
    parts += [] if content is None else [('name="file"; filename="../../etc/x.dcm"', content)]
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in parts
    )
    return body + f"--{BOUNDARY}--\r\n".encode()


def attempt(visitor: Visitor, content: bytes | None, **fields: str) -> Page:
    """Try a file on the page of rules."""
    return visitor.send("/rules/try", form(visitor.get("/rules").csrf, content, **fields), **MULTIPART)


def outcome(page: Page) -> str:
    return " ".join(page.text.partition('id="outcome"')[2].partition("</section>")[0].split())


def test_the_rules_are_listed_in_their_order_with_conditions_in_words(
    viewer: Visitor, node: Node, tmp_path: Path
) -> None:
    judge_series(node, enter_series(node, tmp_path / "scan", calling_ae="CT2"))
    page = " ".join(viewer.get("/rules").text.split())
    assert page.index("<b>head</b>") < page.index("<b>from CT2</b>") < page.index("<b>not these</b>")
    for words in (
        "body part is HEAD* or BRAIN",
        "kernel is H*",
        "sent by CT2",
        "whatever comes",
        "to research, before others",
    ):
        assert words in page
    rows = [page.partition(f"<b>{name}</b>")[2].partition("</tr>")[0] for name in ("head", "from CT2")]
    assert [row.endswith(f">{jobs}</td>") for row, jobs in zip(rows, (0, 1), strict=True)] == [True, True]
    assert 'action="/rules/try"' not in page


def test_an_image_hears_which_rule_decides_and_why_no_earlier_one_does(
    operator: Visitor, image: bytes, node: Node
) -> None:
    told = outcome(attempt(operator, image, ae_title="CT2"))
    assert "would be restored" in told
    assert "by the rule <b>from CT2</b>: with linear, at about 0.7 mm, to research, before others" in told
    assert "<b>head</b> <span>body_part is CHEST, the rule wants HEAD* or BRAIN" in told
    assert "the rule &#39;not these&#39; says that it is not restored" in outcome(attempt(operator, image))
    (row, _other) = browse.audit_page(node.database, AuditFilter(event="rules.tried"))[::-1]
    assert (row.actor, row.subject) == ("user the-operator", "file")
    assert json.loads(row.detail) == {"outcome": ["restored"], "rule": ["from CT2"]}
    assert "Doe" not in told


def test_what_is_not_restored_says_why(operator: Visitor, image: bytes) -> None:
    for keyword, value, sentence in (
        ("ImageType", ["DERIVED", "SECONDARY"], "a derived image"),
        ("SpacingBetweenSlices", 20.0, "slices are 20 mm apart, above 10 mm"),
        ("RescaleType", "US", "RescaleType is US, not HU"),
        ("ImageOrientationPatient", [1, 0, 0, 0, 0, -1], "not axial"),
    ):
        dataset = dcmread(BytesIO(image))
        setattr(dataset, keyword, value)
        file = BytesIO()
        dataset.save_as(file)
        assert sentence in outcome(attempt(operator, file.getvalue(), ae_title="CT2"))


def test_a_series_of_the_ledger_is_tried(operator: Visitor, node: Node, tmp_path: Path) -> None:
    number = enter_series(node, tmp_path / "scan", calling_ae="CT2")
    told = outcome(attempt(operator, None, series=str(number)))
    assert f"series {number}" in told
    assert "by the rule <b>from CT2</b>" in told
    assert "There is no series 99." in attempt(operator, None, series="99").text
    assert "Choose a file" in attempt(operator, None).text
    for path in (tmp_path / "scan").iterdir():
        path.unlink()
    assert "no longer on this node" in attempt(operator, None, series=str(number)).text


def sequence(tag: int, content: bytes) -> bytes:
    return struct.pack("<HH2sHI", 0x0008, tag, b"SQ", 0, len(content)) + content


NESTED = struct.pack("<HH2sHIHHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0)


def deflated(image: bytes) -> bytes:
    """Small as a file, and 40 MB as a data set."""
    dataset, file = dcmread(BytesIO(image)), BytesIO()
    dataset.PixelData = bytes(40_000_000)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(file)
    assert len(file.getvalue()) < 100_000
    return file.getvalue()


ATTACKS = {
    "no DICOM": lambda _image, _at: b"MZ" + bytes(5000),
    "nothing but a preamble": lambda _image, _at: bytes(128) + b"DICM",
    "sequences in sequences": lambda image, at: image[:at] + NESTED * 100_000 + image[at:],
    "a million items": lambda image, at: image[:at] + sequence(0x9215, ITEM * 1_000_000) + image[at:],
    "a long element": lambda image, at: image[:at] + sequence(0x1140, bytes(15_000_000)) + image[at:],
    "deflated": lambda image, _at: deflated(image),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_harmful_files_are_a_sentence_and_cost_little(operator: Visitor, image: bytes, name: str) -> None:
    at = image.find(struct.pack("<HH", 0x0008, 0x0008))
    body = form(operator.get("/rules").csrf, ATTACKS[name](image, at))
    tracemalloc.start()
    answer = operator.send("/rules/try", body, **MULTIPART)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status == 400
    assert "Traceback" not in answer.text
    assert "reason failed" in outcome(answer)
    assert peak < 5 * asked.LONGEST_UPLOAD


def test_a_file_that_is_too_long_is_not_read_to_its_end(operator: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "LONGEST_UPLOAD", 100_000)
    assert attempt(operator, bytes(100_000)).status == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"--other\r\n", f"--{BOUNDARY}\r\n".encode() * 50, f"--{BOUNDARY}\r\nx\r\n\r\n--{BOUNDARY}--".encode()],
)
def test_what_is_no_form_is_refused(operator: Visitor, body: bytes) -> None:
    status = 400 if body else 403  # of nothing, that it is not meant is all there is to say
    assert operator.send("/rules/try", body, **MULTIPART).status == status
    assert operator.send("/rules/try", body).status == status


def test_files_of_strangers_and_of_viewers_are_not_read(
    as_: As, stranger: Visitor, image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = as_(Role.VIEWER)

    async def never(*_arguments: object, **_options: object) -> None:
        raise AssertionError("it was read")

    body = form(viewer.get("/rules").csrf, image)
    monkeypatch.setattr(app, "read", never)
    answer = viewer.send("/rules/try", body, **MULTIPART)
    assert (answer.status, answer.headers["connection"]) == (403, "close")
    assert stranger.send("/rules/try", body, **MULTIPART).headers["location"] == "/login"


def test_few_files_are_in_memory_at_a_time(node: Node, image: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "FILES_AT_ONCE", 0)
    server = ConsoleServer(node)
    server.start()
    answer = attempt(enter(node, server, Role.OPERATOR), image)
    server.stop()
    assert answer.status == 503
    assert app.BUSY in answer.text


def test_no_file_is_left_behind(
    operator: Visitor, image: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))

    def everything() -> set[Path]:
        return {path for path in tmp_path.rglob("*") if "ledger" not in path.name}

    before = everything()
    assert attempt(operator, image, ae_title="CT2").status == 200
    assert attempt(operator, image + bytes(5_000_000)).status == 200
    assert everything() == before
