"""The migrations lead to exactly the tables that the code uses, and back."""

import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

import migrations
from dicom_node.ledger.database import driver_url
from dicom_node.ledger.tables import metadata


def test_the_newest_schema_is_the_tables(ledger_url: str) -> None:
    migrations.upgrade(ledger_url)
    with create_engine(driver_url(ledger_url)).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_upgrading_twice_changes_nothing_and_down_leaves_nothing(ledger_url: str) -> None:
    migrations.upgrade(ledger_url)
    migrations.upgrade(ledger_url)
    migrations.downgrade(ledger_url, "base")
    assert inspect(create_engine(driver_url(ledger_url))).get_table_names() == ["alembic_version"]


def test_programs_that_start_at_once_take_turns(ledger_url: str) -> None:
    program = "import sys, migrations; migrations.upgrade(sys.argv[1])"
    started = [subprocess.Popen([sys.executable, "-c", program, ledger_url]) for _ in range(4)]
    assert [child.wait(timeout=60) for child in started] == [0, 0, 0, 0]
