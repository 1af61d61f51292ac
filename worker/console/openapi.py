"""The API's description (OpenAPI 3.1), made from the table of doors and from the dataclasses that it names."""

import importlib.metadata
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from worker import as_json
from worker.console.asked import HIGHEST, LONGEST_BODY
from worker.console.door import Door
from worker.console.examples import example
from worker.console.shapes import Failed

PARAMETER = re.compile(r"{(\w+)(:int)?}")
INTRODUCTION = (
    "What the console's pages show, and what people do there, for programs. A program brings a token "
    "(`Authorization: Bearer ...`), which `thinslice tokens add` or the page /tokens makes; it can do what the role of "
    "its token may. Whoever is logged in by a browser may read too; a POST of theirs needs their session's secret in "
    "the header X-CSRF. Lists come newest first, page by page: `next` is the address of the following page. Moments "
    "are UTC in ISO 8601. Every error is JSON with one sentence. Nothing here names a patient."
)
ERRORS: Mapping[int, str] = {
    400: "What was asked for is not as described here.",
    401: "No token came, or one that lets nobody in.",
    403: "The role of the token, or of its user, is too low.",
    404: "There is nothing of that number or name.",
    408: "The body did not arrive in time.",
    409: "It cannot be done as things are.",
    413: f"The body is longer than {LONGEST_BODY // 1024} KiB.",
    415: "The body is not application/json.",
    429: "Too many tokens from this address were wrong; Retry-After says how many seconds to wait.",
    503: "The ledger does not answer: try again later.",
}
OF_DEEDS = frozenset({408, 409, 413, 415})


@dataclass(frozen=True)
class Operation:
    """One address for people: ``fields`` of its answer, ``takes`` of its body, ``asks`` of its query."""

    method: str
    path: str
    role: str
    summary: str
    asks: tuple[str, ...]
    takes: tuple[str, ...]
    answers: str
    example: Any


def document(doors: Sequence[Door]) -> dict[str, Any]:
    """The whole description."""
    described = _described(doors)
    paths: dict[str, dict[str, Any]] = {}
    for door in described:
        paths.setdefault(_plain(door.path), {})[door.method.lower()] = _operation(door, described)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "thinslice",
            "version": importlib.metadata.version("thinslice"),
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(described),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def operations(doors: Sequence[Door]) -> list[Operation]:
    """The same in short."""
    described = _described(doors)
    return [
        Operation(
            method=door.method,
            path=_plain(door.path),
            role=str(door.role),
            summary=_summary(door),
            asks=tuple(_fields(door.query)),
            takes=tuple(_fields(door.takes)),
            answers=_name(door.answers),
            example=example(_reference(door.answers), _schemas(described)),
        )
        for door in described
    ]


def _described(doors: Sequence[Door]) -> tuple[Door, ...]:
    return tuple(door for door in doors if door.answers is not None)


@cache
def _schemas(doors: tuple[Door, ...]) -> dict[str, Any]:
    answered = {door.answers: None for door in doors if door.answers} | {Failed: None}
    taken = {kind: None for door in doors for kind in (door.takes, door.query) if kind}
    return as_json.schemas(answered, taken)


def _operation(door: Door, doors: tuple[Door, ...]) -> dict[str, Any]:
    answer = _reference(door.answers)
    good = {"description": "What is asked for.", "content": _json(answer, example(answer, _schemas(doors)))}
    found: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{door.method.lower()}{_plain(door.path)}").strip("_"),
        "summary": _summary(door),
        "description": f"For the role {door.role} and those above it.",
        "tags": [door.path.split("/")[2]],
        "parameters": [*_in_path(door), *_in_query(door, doors)],
        "responses": {"200": good} | {str(status): _error(status) for status in _statuses(door)},
    }
    if door.takes is not None:
        wanted = _reference(door.takes)
        required = bool(_schemas(doors)[_name(door.takes)].get("required"))
        found["requestBody"] = {"required": required, "content": _json(wanted, example(wanted, _schemas(doors)))}
    return found


def _statuses(door: Door) -> Iterator[int]:
    for status in ERRORS:
        if (status in OF_DEEDS and door.method == "GET") or (status == 404 and "{" not in door.path):
            continue
        yield status


def _error(status: int) -> dict[str, Any]:
    return {"description": ERRORS[status], "content": _json(_reference(Failed), {"error": ERRORS[status]})}


def _in_path(door: Door) -> Iterator[dict[str, Any]]:
    for name, is_number in PARAMETER.findall(door.path):
        number = {"type": "integer", "minimum": 0, "maximum": HIGHEST}
        schema = number if is_number else {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(door: Door, doors: tuple[Door, ...]) -> Iterator[dict[str, Any]]:
    if door.query is not None:
        for name, schema in _schemas(doors)[_name(door.query)]["properties"].items():
            yield {"name": name, "in": "query", "schema": _without_null(schema)}


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query has no null: what is not asked for is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return rest | kinds[0] if kinds else rest


def _summary(door: Door) -> str:
    return (door.handler.__doc__ or "").strip().splitlines()[0]


def _json(schema: Mapping[str, Any], shown: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "example": shown}}


def _reference(kind: type | None) -> dict[str, str]:
    return {"$ref": as_json.COMPONENTS.format(model=_name(kind))}


def _name(kind: type | None) -> str:
    return kind.__name__ if kind else ""


def _fields(kind: type | None) -> list[str]:
    return list(getattr(kind, "__annotations__", ()))


def _plain(path: str) -> str:
    return PARAMETER.sub(r"{\1}", path)
