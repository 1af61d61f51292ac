"""Records as JSON, and the JSON Schema of them: the console's API, its description and the command line share this.

Field names are those of the dataclasses, moments are ISO 8601 in UTC, and a figure that is no number is null.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from dicom_node.errors import InputError

COMPONENTS = "#/components/schemas/{model}"
Asked = TypeVar("Asked")


def dumped(record: object, *, indent: int | None = None) -> bytes:
    """A dataclass instance as JSON, in UTF-8."""
    kind: Any = type(record)
    return _adapter(kind).dump_json(record, indent=indent)


def parsed(kind: type[Asked], content: bytes) -> Asked:
    """A dataclass instance from JSON that somebody sent. InputError names the first field that is wrong."""
    wanted: Any = kind
    try:
        found: Asked = _strict(wanted).validate_json(content or b"{}", strict=True)
    except ValidationError as error:
        raise InputError(f"the JSON is not as asked for: {_first(error)}") from error
    return found


def asked_for(kind: type[Asked], query: Mapping[str, str]) -> Asked:
    """A dataclass instance from the texts of a query. InputError names what is wrong, or unknown."""
    wanted: Any = kind
    try:
        found: Asked = _strict(wanted).validate_strings(dict(query))
    except ValidationError as error:
        raise InputError(_first(error)) from error
    return found


def _first(error: ValidationError) -> str:
    """What is wrong first, and where."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def schemas(answered: Iterable[type], taken: Iterable[type]) -> dict[str, Any]:
    """JSON Schema by name of all that is answered and taken, and of what they hold."""
    inputs: list[tuple[Any, Any, Any]] = [(kind, "serialization", _adapter(kind)) for kind in answered]
    inputs += [(kind, "validation", _strict(kind)) for kind in taken]
    _, definitions = TypeAdapter.json_schemas(inputs, ref_template=COMPONENTS)
    found: dict[str, Any] = definitions["$defs"]
    return found


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@cache
def _strict(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(with_config(ConfigDict(extra="forbid"))(kind))
