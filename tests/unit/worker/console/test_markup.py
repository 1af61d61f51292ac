"""Markup in every text of real DICOM, in settings and in reasons is text on every page and in every answer."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pydicom import config, dcmread
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

from dicom_node.ledger import circuits, queries, receipts, switches, workers
from dicom_node.ledger.users import Role
from tests.browser import chromium, window
from tests.phantom import chest, write_dicom
from tests.unit.worker.console.conftest import enter
from tests.unit.worker.console.visitor import Visitor
from tests.unit.worker.nodes import open_at
from tests.waiting import until
from worker.console.accounts import make_token
from worker.console.doors import DOORS
from worker.console.serving import ConsoleServer
from worker.receiving import Receiver
from worker.steps.judge import judge_series
from worker.steps.restore import restore_next
from worker.wiring import Node

SCANNER = '"><x-p onload=1>'  # as long as an AE title may be
STRANGER = "<x-p onload='1'>"
MARKUP = "\"'><x-p onload=1></x-p><script>document.title='taken'</script><img src=x onerror=document.title='taken'>"
CODE = MARKUP[:16]
TEXTS = {"LO": 64, "SH": 16, "PN": 64, "LT": 200, "ST": 200, "UT": 200, "CS": 16, "UC": 200}
KEEPS = {
    "ImageType", "Modality", "PhotometricInterpretation", "PatientPosition", "PatientSex", "SpecificCharacterSet",
    "RescaleType",
}  # fmt: skip
BLOCKS = f"""
[[send.folder]]
name = {json.dumps("share" + CODE)}
path = "{{0}}/share"

[[send.pacs]]
name = {json.dumps(MARKUP[:60])}
ae_title = "P"
host = "127.0.0.1"
port = 1

[[rules]]
name = {json.dumps(MARKUP[:60])}
modality = "CT"
kernel = {json.dumps(["*x-p*", MARKUP[:60]])}
network = "cubic"

[[rules]]
name = {json.dumps("not " + MARKUP[:40])}
restore = false
"""
PAGES = [
    "/",
    "/series",
    "/series/1",
    "/series/2",
    "/series/3",
    "/series/4",
    "/held",
    "/workers",
    "/partners",
    "/audit",
    "/about",
]
PAGES += ["/tokens", "/api", "/users", "/notices", "/rules", "/feedback", "/me"]


class Elements(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@contextmanager
def loose() -> Iterator[None]:
    """Have pydicom write what no standard allows."""
    before, level = config.settings.writing_validation_mode, logging.getLogger("pydicom").level
    config.settings.writing_validation_mode = config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    config.settings.writing_validation_mode = before
    logging.getLogger("pydicom").setLevel(level)


def nasty(folder: Path, number: int, **values: Any) -> list[Any]:
    """A small series of which every text is markup."""
    found = []
    thick = chest(shape=(21, 32, 32), pixel_mm=10).thick
    for path in write_dicom(thick, folder / str(number), series_uid=f"2.25.{number}", seed=number):
        data_set = dcmread(path)
        for element in data_set:
            if element.VR in TEXTS and element.keyword not in KEEPS:
                element.value = MARKUP[: TEXTS[element.VR]]
        for keyword in ("StationName", "SeriesDescription", "ProtocolName", "ConvolutionKernel", "Manufacturer"):
            setattr(data_set, keyword, MARKUP[:16] if keyword in ("StationName", "ConvolutionKernel") else MARKUP[:64])
        for keyword, value in values.items():
            setattr(data_set, keyword, value)
        found.append(data_set)
    return found


def send(port: int, images: list[Any], title: str) -> bool:
    """Whether a sender of this AE title gets its images in."""
    entity = AE(title)
    entity.add_requested_context(CTImageStorage, images[0].file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", port, ae_title="THINSLICE")
    if not association.is_established:
        return False
    answers = [association.send_c_store(image) for image in images]
    association.release()
    return all(answer.Status == 0 for answer in answers)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, ConsoleServer]]:
    """A console over what nasty scanners sent, restored, skipped and held; a stranger was turned away."""
    folder = tmp_path_factory.mktemp("markup")
    (folder / "share").mkdir()
    peers = f"\n[[receive.peers]]\nae_title = {json.dumps(SCANNER)}\n"
    node = open_at(
        folder, receive=f"port = 0{peers}", series="quiet_released_s = 0",
        console=f'port = 0\npreviews = "{folder}/previews"', blocks=BLOCKS.format(folder),
    )  # fmt: skip
    receiver = Receiver(node)
    receiver.start()
    with loose():
        ((_, port),) = receiver.listener.addresses.values()
        assert send(port, nasty(folder, 1), SCANNER)
        assert send(port, nasty(folder, 2, Modality=CODE), SCANNER)
        assert send(port, nasty(folder, 3, ConvolutionKernel="<b>"), SCANNER)
        assert send(port, nasty(folder, 4, RescaleType=CODE), SCANNER)
        assert not send(port, nasty(folder, 5), STRANGER)
    for number in until("all are here", lambda: sorted(receipts.due_series(node.database))[3:] and [1, 2, 3, 4]):
        until("it is judged", lambda number=number: judge_series(node, number))
    receiver.stop()
    assert restore_next(node, node.model_digests, lambda _claim: None)
    circuits.failed(node.database, MARKUP[:60], MARKUP, 1, lambda _times: 3600)
    switches.pause(node.database, MARKUP)
    workers.register(node.database, "host/boot/1/1", "node")
    workers.declare(node.database, "host/boot/1/1", workers.WorkerState.REFUSING, MARKUP)
    server = ConsoleServer(node)
    server.start()
    yield node, server
    server.stop()


@pytest.fixture(scope="module")
def admin(place: tuple[Node, ConsoleServer]) -> Visitor:
    """An admin, who has acted with markup for a reason."""
    node, server = place
    admin = enter(node, server, Role.ADMIN)
    admin.post("/series/1/prioritise", "/series/1", reason=MARKUP)
    make_token(node.database, "the-admin", "x", Role.VIEWER, 1)
    return admin


def test_the_scene_is_nasty_enough(place: tuple[Node, ConsoleServer]) -> None:
    node, _ = place
    states = {job.series_id: (job.state, job.rule, job.reason) for job in queries.jobs(node.database)}
    assert states[1][:2] == ("restored", MARKUP[:60])
    assert states[2][0] == "skipped"
    assert "Modality is " in states[2][2]
    assert "x-p" in states[3][2]
    assert (states[4][0], "RescaleType is " in states[4][2]) == ("held", True)
    assert {job.calling_ae for job in queries.jobs(node.database)} == {SCANNER}
    (refused,) = queries.audit_of(node.database, ["127.0.0.1"])
    assert json.loads(refused.detail)["ae_title"] == STRANGER


@pytest.mark.parametrize("path", PAGES)
def test_it_is_text_on_every_page(admin: Visitor, path: str) -> None:
    page = admin.get(path)
    assert page.status == 200
    read = Elements(page.text)
    assert "x-p" not in {tag for tag, _ in read.found}
    assert [names for _, names in read.found if any(name.startswith("on") or name == "style" for name in names)] == []
    scripts = [names for tag, names in read.found if tag == "script"]
    assert [str(names.get("src", ""))[:8] for names in scripts] == ["/static/"]
    assert all(str(names.get("src")).startswith("/series/1/") for tag, names in read.found if tag == "img")
    links = [str(names["href"]) for tag, names in read.found if tag == "a"]
    assert [link for link in links if not link.startswith(("/", "#"))] == []
    if path in ("/series", "/series/1", "/partners", "/audit"):
        assert "<x-p onload" in read.text


def test_every_page_is_looked_at() -> None:
    wanted = {door.path.partition("/{")[0] or "/" for door in DOORS if door.method == "GET" and door.role}
    assert {path for path in wanted if not path.startswith(("/api/", "/about/"))} <= {*PAGES, "/series"}


def test_what_is_asked_for_is_text_too(admin: Visitor) -> None:
    for path in ("/series?text={0}&calling_ae={0}&state={0}", "/audit?event={0}&actor={0}&subject={0}", "/{0}"):
        nasty_path = path.format("%22%3E%3Cx-p%20onload=1%3E%3Cscript%3E")
        read = Elements(admin.get(nasty_path).text)
        assert "x-p" not in {tag for tag, _ in read.found}
        assert sum(tag == "script" for tag, _ in read.found) == 1


def test_it_is_text_in_every_answer_which_no_browser_takes_for_a_page(admin: Visitor) -> None:
    seen = ""
    for path in (
        "now",
        "series",
        "series/1",
        "jobs",
        "held",
        "workers",
        "partners",
        "rules",
        "audit",
        "tokens",
        "about",
    ):
        answer = admin.get(f"/api/{path}")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        json.loads(answer.text)
        seen += answer.text
    for text in (SCANNER, STRANGER, MARKUP):
        assert json.dumps(text)[1:-1] in seen
    metrics = admin.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'ae_title="\\"><x-p onload=1>"' in metrics.text


@pytest.mark.slow
def test_a_browser_makes_nothing_of_it(place: tuple[Node, ConsoleServer], admin: Visitor) -> None:
    _, server = place
    with chromium() as browser, window(browser, server.local_url) as opened:
        cookie = {"name": "thinslice", "value": admin.cookies["thinslice"], "url": server.local_url}
        opened.page.context.add_cookies([cookie])  # type: ignore[list-item]
        for path in PAGES:
            opened.open(path)
            assert opened.page.evaluate("document.querySelectorAll('x-p, [onerror], [onload]').length") == 0
            assert "taken" not in opened.page.title()
            assert opened.violations() == [] if path in ("/tokens", "/api") else True
        assert opened.complaints == []
