"""No file names the place it was written in, and no message names a patient."""

import ast
import re
from pathlib import Path

from tests.house.files import modules, parsed, place, tracked

FORBIDDEN = ("/work/", ".library/", "TODO", "FIXME")
MESSAGES = {"debug", "info", "warning", "error", "exception", "critical", "log", "msg", "bind", "bind_contextvars"}
PATIENT = re.compile(r"Patient(Name|ID|BirthDate|Address)|OtherPatientIDs|patient_(name|id|key)")


def test_no_file_names_the_place_it_was_written_in_or_leaves_work_undone():
    found = [
        f"{place(path, number)}: {word}"
        for path in tracked()
        if path != Path(__file__)  # which must name them
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), start=1)
        for word in FORBIDDEN
        if word in line
    ]
    assert found == []


def test_no_log_line_and_no_error_names_a_patient():
    """P8, as far as syntax shows it: nothing called PatientName or the like inside a log call or a raise."""
    found = [
        place(path, node.lineno)
        for path in modules()
        for node in ast.walk(parsed(path))
        if _speaks(node) and _names_a_patient(node)
    ]
    assert found == []


def test_the_patient_rule_sees_a_patient():
    for bad in ("log.info('got', name=ds.PatientName)", "raise ValueError(f'{header.patient_key} differs')"):
        node = ast.parse(bad).body[0]
        assert any(_speaks(inner) and _names_a_patient(inner) for inner in ast.walk(node))


def _speaks(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise):
        return True
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MESSAGES


def _names_a_patient(node: ast.AST) -> bool:
    """Values only: a sentence may say that PatientID is missing."""
    names = (getattr(inner, "attr", None) or getattr(inner, "id", None) or "" for inner in ast.walk(node))
    return any(PATIENT.search(name) for name in names if isinstance(name, str))
