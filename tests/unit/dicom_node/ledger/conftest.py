"""A ledger on each database."""

import pytest

import migrations
from dicom_node.ledger.database import Database


@pytest.fixture
def database(ledger_url: str) -> Database:
    """A ledger with its schema and no rows."""
    migrations.upgrade(ledger_url)
    return Database(ledger_url, "tests")
