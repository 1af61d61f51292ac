"""settings.toml shows every key, with its default and a comment."""

import re
import tomllib
from typing import Any

import pytest
from pydantic import BaseModel

from tests.house.files import ROOT
from worker.settings import Settings

TEXT = (ROOT / "settings.toml").read_text(encoding="utf-8")
HEADING = re.compile(r"^(?:# )?\[+([a-z_.]+)\]+")
KEY = re.compile(r"^(?:# )?(?P<key>[a-z_]+) = (?P<value>.+?)(?:\s+# (?P<comment>\S.*))?$")


def _lines() -> dict[str, re.Match[str]]:
    """Line of every key, ``table.key``; commented-out examples count."""
    table, found = "", {}
    for line in TEXT.splitlines():
        if heading := HEADING.match(line):
            table = heading[1]
        elif key := KEY.match(line):
            found[f"{table}.{key['key']}"] = key
    return found


def _keys(model: type[BaseModel], table: str) -> list[str]:
    keys = []
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        keys += _keys(inner, f"{table}{name}.") if inner else [f"{table}{name}"]
    return keys


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


@pytest.mark.parametrize("key", _keys(Settings, ""))
def test_every_key_is_shown_with_a_comment(key: str):
    line = _lines().get(key)
    assert line is not None, f"settings.toml does not show {key}"
    assert line["comment"], f"settings.toml says nothing about {key}"


def test_it_shows_no_key_that_does_not_exist():
    assert set(_lines()) <= set(_keys(Settings, ""))


def test_what_it_says_is_the_default():
    """So that deleting the file's lines changes nothing, and the file never lies about the defaults."""
    port = {"port": tomllib.loads(TEXT)["receive"]["port"]}  # without encryption: only where it is asked for
    assert Settings(**tomllib.loads(TEXT)) == Settings(receive=port)
