"""What the shell may complete: names from the settings file and the ledger. It never fails, writes or speaks."""

import os
from collections.abc import Iterable
from pathlib import Path

import typer
from sqlalchemy import make_url

from dicom_node.errors import NodeError
from dicom_node.ledger import users
from dicom_node.ledger.database import Database
from worker.settings import Settings, destination_names, load


def destinations(context: typer.Context, incomplete: str) -> list[str]:
    """Names of everything that results go to."""
    settings = _settings(context)
    return _beginning(destination_names(settings) if settings else (), incomplete)


def user_names(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the console's users."""
    settings = _settings(context)
    if settings is None or not _is_there(settings.ledger.url):
        return []
    try:
        database = Database(settings.ledger.url, "completion")
        return _beginning((user.name for user in users.everyone(database)), incomplete)
    except NodeError:
        return []


def _settings(context: typer.Context) -> Settings | None:
    """The settings that the line so far names; None where they cannot be read."""
    config = context.params.get("config") or os.environ.get("THINSLICE_SETTINGS") or "settings.toml"
    try:
        return load(Path(config))
    except NodeError:
        return None


def _is_there(url: str) -> bool:
    """Whether the ledger exists: to look is not to make one."""
    file = make_url(url).database if url.startswith("sqlite") else None
    return file is None or Path(file).is_file()


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
