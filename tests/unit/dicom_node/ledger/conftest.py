"""A ledger on each database, and short ways to put rows into it."""

from pathlib import Path

import pytest

import migrations
from dicom_node.ledger.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def database(ledger_url: str) -> Database:
    """A ledger with its schema and no rows."""
    migrations.upgrade(ledger_url)
    return Database(ledger_url, "tests")
