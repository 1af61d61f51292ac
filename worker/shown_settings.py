"""The settings as they are in force, for people: without what must stay secret."""

import re
from typing import Any

from worker.settings import Settings

HIDDEN = "(not shown)"
SECRET = re.compile(r"password|passphrase|secret|token|webhook|dsn|api_key")
# What only says where a secret is kept, or who issues it.
PLACE = re.compile(r"_(file|url|name|minutes|hours|days)$")
USER_INFO = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")
IN_QUERY = re.compile(r"(?i)([?&][a-z_]*(?:password|secret|token|key)[a-z_]*=)[^&\s]*")


def shown(settings: Settings) -> dict[str, dict[str, str]]:
    """Every key by its table, in the order of settings.toml."""
    tables: dict[str, dict[str, str]] = {}
    for name, value in settings.model_dump(mode="json").items():
        _enter(tables, name, value)
    return tables


def _enter(tables: dict[str, dict[str, str]], name: str, value: Any) -> None:
    if isinstance(value, dict):
        own = tables.setdefault(name, {})
        for key, item in value.items():
            if isinstance(item, dict) or _is_tables(item):
                _enter(tables, f"{name}.{key}", item)
            else:
                own[key] = _text(key, item)
    elif _is_tables(value):
        for number, item in enumerate(value, 1):
            _enter(tables, f"{name} {number}", item)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _text(key: str, value: Any) -> str:
    if value is None or value in ("", []):
        return "–"
    if SECRET.search(key) and not PLACE.search(key):
        return HIDDEN
    if isinstance(value, list):
        return ", ".join(_text(key, item) for item in value)
    plain = str(value).lower() if isinstance(value, bool) else str(value)
    return IN_QUERY.sub(rf"\1{HIDDEN}", USER_INFO.sub(f"{HIDDEN}@", plain))
