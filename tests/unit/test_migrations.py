"""The migrations lead to exactly the tables that the code uses, and back."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

import migrations
from dicom_node.ledger.database import driver_url
from dicom_node.ledger.tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    postgres: str = request.getfixturevalue("postgres_url")
    return postgres


def test_the_newest_schema_is_the_tables(url: str) -> None:
    migrations.upgrade(url)
    with create_engine(driver_url(url)).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_upgrading_twice_changes_nothing_and_down_leaves_nothing(url: str) -> None:
    migrations.upgrade(url)
    migrations.upgrade(url)
    migrations.downgrade(url, "base")
    assert inspect(create_engine(driver_url(url))).get_table_names() == ["alembic_version"]
