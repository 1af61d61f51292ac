"""The audit trail shows what was changed, removed or slipped in."""

import pytest
from sqlalchemy import delete, select, update

from dicom_node.ledger import chain, jobs
from dicom_node.ledger.database import Database, database_now
from dicom_node.ledger.tables import audit
from tests.unit.dicom_node.ledger.rows import claimed, queue, result


@pytest.fixture
def trail(database: Database) -> Database:
    """A ledger in which something happened."""
    jobs.restored(database, claimed(database, queue(database)), result(), {}, ["main"])
    return database


def test_an_untouched_chain_holds(trail: Database) -> None:
    with trail.reading() as connection:
        assert chain.first_bad_row(connection) is None


def test_a_changed_row_is_named(trail: Database) -> None:
    with trail.transaction() as connection:
        connection.execute(update(audit).where(audit.c.seq == 2).values(actor="someone else"))
        assert chain.first_bad_row(connection) == 2


def test_a_removed_row_shows_at_its_successor(trail: Database) -> None:
    with trail.transaction() as connection:
        connection.execute(delete(audit).where(audit.c.seq == 2))
        assert chain.first_bad_row(connection) == 3


def test_a_row_slipped_in_is_named(trail: Database) -> None:
    with trail.transaction() as connection:
        row = dict(connection.execute(select(audit).where(audit.c.seq == 1)).mappings().one())
        connection.execute(audit.insert().values(**{**row, "seq": 1000, "hash": "f" * 64}))
        assert chain.first_bad_row(connection) == 1000


def test_a_change_that_is_rolled_back_leaves_no_row(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as connection:
            chain.append(connection, database_now(connection), "tests", "event", "subject")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as connection:
        assert connection.execute(select(audit)).first() is None
