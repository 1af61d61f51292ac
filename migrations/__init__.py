"""The ledger's schema, step by step; ``dicom_node.ledger.tables`` says where the steps lead."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from dicom_node.errors import SettingsError
from dicom_node.ledger.database import Database, driver_url


def upgrade(url: str, to: str = "head") -> None:
    """Bring the database at ``url`` to revision ``to``. Safe to call at every start: nothing to do is nothing done.

    Raises
    ------
    SettingsError
        The database is of a newer program, or there is no such revision.
    LedgerError
        The database cannot be read or written.
    """
    if _number(revision(url)) < _number(_named(to)):
        command.upgrade(_config(url), to)


def downgrade(url: str, to: str) -> None:
    """Take the database at ``url`` back to revision ``to`` (``base`` empties it). Raises as `upgrade`."""
    if _number(_named(to)) < _number(revision(url)):
        command.downgrade(_config(url), to)


def is_back(url: str, to: str) -> bool:
    """Whether revision ``to`` is older than the database's. Raises as `upgrade`."""
    return _number(_named(to)) < _number(revision(url))


def is_behind(url: str) -> bool:
    """Whether the database lacks a step that this program knows. Raises as `revision`."""
    return _number(revision(url)) < _number(_named("head"))


def revision(url: str) -> str | None:
    """Revision of the database; None where it has no schema yet.

    Raises
    ------
    SettingsError
        This program does not know it.
    LedgerError
        The database cannot be read.
    """
    database = Database(url, "migrations")
    try:
        with database.reading() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    finally:
        database.close()
    if current is not None and current not in _known():
        raise SettingsError(
            f"the ledger is of a newer program (revision {current}, this one knows up to {_known()[-1]}): "
            "install that version, or restore a backup from before"
        )
    return current


def _known() -> list[str]:
    """Every revision, oldest first."""
    script = ScriptDirectory(str(Path(__file__).parent))
    return [step.revision for step in script.walk_revisions()][::-1]


def _named(to: str) -> str | None:
    if to == "head":
        return _known()[-1]
    if to == "base":
        return None
    if to not in _known():
        raise SettingsError(f"there is no revision {to!r} of the ledger; there are: base, {', '.join(_known())}")
    return to


def _number(name: str | None) -> int:
    return 0 if name is None else _known().index(name) + 1


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = driver_url(url)
    return config
