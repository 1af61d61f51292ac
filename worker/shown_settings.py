"""The settings as they are in force, for people: without what must stay secret."""

import re
from typing import Any

from worker.settings import Settings

HIDDEN = "(not shown)"
SECRET = re.compile(r"password|passphrase|secret|token|api_key")
# What only says where a secret is kept, or who issues it.
PLACE = re.compile(r"_(file|url|name|minutes|hours|days)$")
USER_INFO = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")
# Who knows a webhook's address may write to it: the service's name is enough.
AFTER_HOST = re.compile(r"^(https?://[^/]+)/.+$")
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
                own[key] = _text(key, item, whole_url="webhook" not in name)
    elif _is_tables(value):
        for number, item in enumerate(value, 1):
            _enter(tables, f"{name} {number}", item)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _text(key: str, value: Any, *, whole_url: bool = True) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, list):
        return ", ".join(_text(key, item, whole_url=whole_url) for item in value)
    if isinstance(value, str) and SECRET.search(key) and not PLACE.search(key):
        return HIDDEN
    plain = IN_QUERY.sub(rf"\1{HIDDEN}", USER_INFO.sub(f"{HIDDEN}@", str(value)))
    return plain if whole_url else AFTER_HOST.sub(rf"\1/{HIDDEN}", plain)
