"""Whose images these are: seen by the role that the settings name, after the audit trail has it, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import text
from typer.testing import CliRunner

from dicom_node.errors import UnreadableInstance
from dicom_node.ledger import browse
from dicom_node.ledger.browse import AuditFilter
from dicom_node.ledger.users import Role
from dicom_node.series.patient import read_patient
from tests.phantom import chest, write_dicom
from tests.unit.worker.console.conftest import enter
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import enter_images
from worker.cli.main import app
from worker.console.serving import ConsoleServer
from worker.wiring import Node

NAME, ID = "Doe^Jane^^Dr", "4711-<b>x</b>"


def node_with(folder: Path, whom: str) -> Node:
    """A node that shows patients to these."""
    return open_at(folder, console=f'port = 0\npreviews = "{folder}/previews"\npatient_data = "{whom}"')


def scan(node: Node, folder: Path) -> None:
    """Enter a series of somebody."""
    images = write_dicom(chest(shape=(11, 16, 16), pixel_mm=20).thick, folder)
    for path in images:
        rename(path, NAME, "ISO_IR 100")
    enter_images(node, images)


def rename(path: Path, name: str, character_set: str) -> None:
    """Let an image be somebody's."""
    image = dcmread(path)
    image.SpecificCharacterSet = character_set.split("\\")
    image.PatientName, image.PatientID, image.PatientSex = name, ID, "F"
    image.PatientBirthDate, image.StudyDescription = "19700102", "<script>alert(1)</script>"
    image.save_as(path)


@contextmanager
def served(node: Node) -> Iterator[ConsoleServer]:
    """Its console."""
    server = ConsoleServer(node)
    server.start()
    yield server
    server.stop()


def views(node: Node) -> list[tuple[str, str]]:
    rows = browse.audit_page(node.database, AuditFilter(event="patient.viewed"))
    return [(row.actor, row.detail) for row in rows]


def test_who_may_look_sees_the_patient_once_and_it_is_audited(tmp_path: Path) -> None:
    node = node_with(tmp_path, "operator")
    scan(node, tmp_path / "in")
    with served(node) as server:
        operator, viewer = enter(node, server, Role.OPERATOR), enter(node, server, Role.VIEWER)
        before = operator.get("/series/1").text
        assert "Show patient" in before
        assert "Show patient" not in viewer.get("/series/1").text
        shown = operator.post("/series/1/patient", "/series/1", reason="a call from the ward")
        assert shown.headers["cache-control"] == "no-store"
        for value in ("Doe Jane Dr", "1970-01-02", "4711-&lt;b&gt;x&lt;/b&gt;", "&lt;script&gt;alert(1)"):
            assert value in shown.text
        assert shown.text.count("<script") == 1
        title = shown.text.partition("<title>")[2].partition("</title>")[0]
        assert "Jane" not in title
        assert views(node) == [("user the-operator", '{"reason": "a call from the ward"}')]
        refused = viewer.post("/series/1/patient", "/series/1")
        assert (refused.status, "Doe" in refused.text) == (403, False)
        assert len(views(node)) == 1
        elsewhere = ("/", "/series", "/series/1", "/audit", "/api/series", "/api/series/1", "/api/audit", "/api/now")
        assert not [
            path for path in elsewhere if "Jane" in operator.get(path).text or "4711" in operator.get(path).text
        ]
        assert "patient.viewed" in operator.get("/series/1").text
        assert operator.post("/series/9/patient", "/").status == 400


def test_nobody_looks_before_the_settings_say_so(tmp_path: Path) -> None:
    node = open_at(tmp_path, console="port = 0")
    scan(node, tmp_path / "in")
    with served(node) as server:
        admin = enter(node, server, Role.ADMIN)
        assert "Show patient" not in admin.get("/series/1").text
        assert admin.post("/series/1/patient", "/series/1").status == 403
        assert views(node) == []


def test_what_cannot_be_audited_is_not_shown(tmp_path: Path) -> None:
    node = node_with(tmp_path, "viewer")
    scan(node, tmp_path / "in")
    with served(node) as server:
        viewer = enter(node, server, Role.VIEWER)
        form = viewer.get("/series/1").csrf
        with node.database.transaction() as connection:
            connection.execute(
                text("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
            )
        refused = viewer.post("/series/1/patient", csrf=form)
        assert (refused.status, "Doe" in refused.text) == (503, False)


def test_images_that_were_purged_are_a_sentence(tmp_path: Path) -> None:
    node = node_with(tmp_path, "viewer")
    scan(node, tmp_path / "in")
    for item in browse.instances_of(node.database, 1):
        Path(item.path).unlink()
    with served(node) as server:
        gone = enter(node, server, Role.VIEWER).post("/series/1/patient", "/series/1")
        assert (gone.status, "ask the PACS whose they are" in gone.text) == (400, True)
        assert views(node) == []


NAMES = (
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "\\ISO 2022 IR 87", "Yamada Tarou (山田 太郎, やまだ たろう)"),
    ("Люкceмбypг", "ISO_IR 144", "Люкceмбypг"),
    ("قباني^لنزار", "ISO_IR 127", "قباني لنزار"),
    ("Wang^XiaoDong=王^小东", "GB18030", "Wang XiaoDong (王 小东)"),
    ("Müller^\u202eJörg\x9b2J", "ISO_IR 192", "Müller �Jörg�2J"),
)


def test_names_are_read_in_their_own_letters(tmp_path: Path) -> None:
    """In every character set, and without what a terminal or a page would obey."""
    path, *_ = write_dicom(chest(shape=(11, 16, 16), pixel_mm=20).thick, tmp_path)
    for name, character_set, seen in NAMES:
        rename(path, name, character_set)
        assert read_patient(path).facts["Name"] == seen
    assert "Müller" not in repr(read_patient(path))
    path.write_bytes(b"Doe")
    with pytest.raises(UnreadableInstance):
        read_patient(path)


def test_the_command_line_shows_them_too(tmp_path: Path) -> None:
    node = node_with(tmp_path, "admin")
    scan(node, tmp_path / "in")
    runner = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"})
    shown = runner.invoke(app, ["show", "1", "--patient", "--reason", "why", "-c", str(tmp_path / "settings.toml")])
    assert "Name              Doe Jane Dr\n" in shown.output
    ((actor, detail),) = views(node)
    assert actor.startswith("admin ")
    assert detail == '{"reason": "why"}'


def test_the_command_line_shows_nobody_either(tmp_path: Path) -> None:
    node = open_at(tmp_path)
    scan(node, tmp_path / "in")
    refused = CliRunner().invoke(app, ["show", "1", "--patient", "-c", str(tmp_path / "settings.toml")])
    assert "to nobody" in str(refused.exception)
    assert "Doe" not in refused.output
    assert views(node) == []
