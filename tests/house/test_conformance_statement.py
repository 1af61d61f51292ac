"""What the tables of docs/conformance.md say is what the code does."""

import ast
import tomllib
from pathlib import Path

from pydicom import uid
from pynetdicom import AE, sop_class

from dicom_node.audit import codes
from dicom_node.audit.codes import Code
from dicom_node.derive.report import FIGURES, SCHEME
from dicom_node.settings import ListenerTlsSettings, ReceiveSettings
from dicom_node.status import STORE_STATUS, SUCCESS
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES
from tests.house.files import ROOT, modules, parsed
from tests.unit.dicom_node.receive.harness import running
from worker.settings import Settings

TEXT = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
LIBRARIES = {"pydicom.uid": uid, "pynetdicom.sop_class": sop_class}


def rows(head: str) -> list[list[str]]:
    """Cells of the one table whose head begins so, without backticks."""
    assert TEXT.count(f"\n| {head} |") == 1, f"not one table begins with {head}"
    rest = TEXT.partition(f"\n| {head} |")[2].splitlines()[2:]
    table = rest[: next(number for number, line in enumerate(rest) if not line.startswith("|"))]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")] for line in table]


OVERVIEW = {cells[1]: cells for cells in rows("SOP Class | SOP Class UID")}


def test_the_listener_accepts_and_calls_itself_what_the_tables_say(tmp_path: Path) -> None:
    scanner, said = AE("SCANNER"), dict(rows("application context | 1.2.840.10008.3.1.1.1"))
    for syntax in uid.AllTransferSyntaxes:
        scanner.add_requested_context(uid.CTImageStorage, syntax)
    for kind in {*OVERVIEW, uid.EnhancedCTImageStorage} - {uid.CTImageStorage}:
        scanner.add_requested_context(kind)
    with running(tmp_path) as listener:
        link = scanner.associate(*listener.address, ae_title=ReceiveSettings().ae_title)
        link.release()
    taken = {(context.abstract_syntax, context.transfer_syntax[0]) for context in link.accepted_contexts}
    provided = {kind for kind, cells in OVERVIEW.items() if cells[3].startswith("yes")}
    assert {kind for kind, _ in taken} == {cells[1] for cells in rows("abstract syntax | UID")} == provided
    assert {syntax for kind, syntax in taken if kind == uid.CTImageStorage} == set(TRANSFER_SYNTAXES)
    assert [cells[1] for cells in rows("transfer syntax | UID")] == list(TRANSFER_SYNTAXES)
    assert link.acceptor.implementation_class_uid == said["implementation class UID"]
    assert link.acceptor.implementation_version_name == said["implementation version name"]


def test_the_overview_has_every_class_that_the_code_knows() -> None:
    names = {
        (LIBRARIES[node.module], alias.name)
        for path in modules()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module in LIBRARIES
        for alias in node.names
    }
    found = {value for library, name in names if getattr(value := getattr(library, name), "type", "") == "SOP Class"}
    assert found - {uid.MediaStorageDirectoryStorage} == set(OVERVIEW)


def test_every_status_of_a_store_is_listed() -> None:
    listed = rows("status | means here | the sender should")
    assert {int(cells[0].split()[0], 16) for cells in listed} == {SUCCESS, *STORE_STATUS.values()}


def test_parameters_have_the_defaults_that_are_listed() -> None:
    settings = Settings(**tomllib.loads((ROOT / "settings.toml").read_text(encoding="utf-8"))).model_dump()
    settings["receive.tls"] = {"port": ListenerTlsSettings.model_fields["port"].default}
    for keys, values, _ in rows("parameter | default"):
        table, names = keys[1:].split("] ")
        defaults = [settings[table][name] for name in names.split(", ")]
        shown = [f"{value:g}" if isinstance(value, float) else str(value) for value in defaults]
        assert ", ".join(shown).replace("True", "true").replace("False", "false") == values, keys


def test_own_codes_are_those_of_the_report() -> None:
    own = [(code, unit) for code, unit in FIGURES.values() if code.scheme_designator == SCHEME]
    assert rows("code | meaning | unit") == [[code.value, code.meaning, unit.value] for code, unit in own]


def test_the_audit_messages_are_those_that_the_code_knows() -> None:
    ours = {(code.meaning, code.value) for code in vars(codes).values() if isinstance(code, Code)}
    told = {(cells[0], cells[1]) for cells in rows("message | EventID")}
    assert told == {(meaning, value) for meaning, value in ours if "110100" <= value <= "110114"}
