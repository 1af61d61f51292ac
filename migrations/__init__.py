"""The ledger's schema, step by step; ``dicom_node.ledger.tables`` says where the steps lead."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from dicom_node.ledger.database import driver_url


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``. Safe to call at every start: nothing to do is nothing done."""
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database at ``url`` back to ``revision`` (``base`` empties it)."""
    command.downgrade(_config(url), revision)


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = driver_url(url)
    return config
