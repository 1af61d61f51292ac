"""A ledger on each database."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import metadata
from tests.servers import Server


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: Server) -> str:
    """A PostgreSQL ledger for the whole run; who uses it empties it."""
    name = f"ledger_{uuid4().hex}"
    with psycopg.connect(postgres_server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = postgres_server.url.rsplit("/", 1)[0] + f"/{name}"
    metadata.create_all(Database(url, "tests").engine)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A ledger without rows. Its tables are made directly: the migrations, which are slower, lead to the same ones."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'ledger.sqlite'}", "tests")
        metadata.create_all(database.engine)
        yield database
        return
    database = Database(request.getfixturevalue("shared_postgres_url"), "tests")
    names = ", ".join(table.name for table in metadata.sorted_tables)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
    yield database
    database.close()
