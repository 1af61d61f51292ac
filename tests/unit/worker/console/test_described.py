"""The API's description says what the API does: asked by a program that believes it, and by one that does not."""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from dicom_node.ledger.browse import AuditFilter, SeriesFilter
from tests.fuzz.api import asks, console, described, token
from tests.unit.worker.console.visitor import Visitor
from worker.console import openapi
from worker.console.api_doors import API
from worker.console.doors import DOORS
from worker.console.serving import ConsoleServer
from worker.console.wishes import AuditWish, SeriesWish
from worker.wiring import Node

DOCUMENT = openapi.document(API)
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
Place = tuple[Node, ConsoleServer, Path]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A console over a ledger with rows, and the file of its description."""
    folder = tmp_path_factory.mktemp("described")
    with console(folder) as (node, server):
        yield node, server, described(folder)


def fits(value: Any, schema: Any) -> bool:
    """Whether a value is what a schema of the description allows."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": DOCUMENT["components"], **schema}
    return jsonschema_rs.is_valid(whole, value)


def test_every_door_for_programs_is_described() -> None:
    doors = {(door.method.lower(), door.path.replace(":int", "")) for door in DOORS if door.path.startswith("/api/")}
    paths = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert doors - paths == {("get", "/api/openapi.json")}
    assert len({operation.values[2]["operationId"] for operation in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_example_is_what_its_schema_says(path: str, method: str, operation: dict[str, Any]) -> None:
    answers = [answer["content"]["application/json"] for answer in operation["responses"].values()]
    bodies = [operation["requestBody"]["content"]["application/json"]] if "requestBody" in operation else []
    for item in answers + bodies:
        assert fits(item["example"], item["schema"]), (path, method, item["example"])
    assert operation["summary"].endswith(".")


def test_whatever_a_page_filters_by_a_program_may_too() -> None:
    for wish, wanted in ((SeriesWish, SeriesFilter), (AuditWish, AuditFilter)):
        assert {field.name for field in fields(wanted)} <= {field.name for field in fields(wish)}


def test_the_description_is_served_to_whoever_may_read(place: Place) -> None:
    node, server, _ = place
    reader = Visitor(server)
    assert reader.get("/api/openapi.json").status == 401
    key = token(node, "admin")
    assert json.loads(reader.get("/api/openapi.json", Authorization=f"Bearer {key}").text) == DOCUMENT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "options"),
    [
        ("operator", ("--phases", "examples,coverage", "--max-time", "6")),
        ("viewer", ("--phases", "fuzzing", "-n", "1")),
        ("nobody", ("--phases", "fuzzing", "-n", "1")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_schemathesis_finds_nothing(place: Place, role: str, options: tuple[str, ...]) -> None:
    node, server, schema = place
    code, said = asks(server, schema, token(node, role), *options)
    assert code == 0, said
    assert "passed" in said
