"""The audit trail is append-only, read in pages, found by time, and never forks."""

import threading
from datetime import timedelta

import pytest

import migrations
from dicom_node.errors import LedgerError
from dicom_node.ledger import browse, chain, positions, trail
from dicom_node.ledger.browse import AuditFilter
from dicom_node.ledger.database import Database
from dicom_node.ledger.trail import Span
from tests.tampering import tamper

REFUSED = (
    "UPDATE audit SET detail = '{}' WHERE seq = 2",
    "DELETE FROM audit WHERE seq = 3",
    "DELETE FROM audit",
)
ALSO_REFUSED = {
    "sqlite": "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 1",
    "postgresql": "TRUNCATE audit",
}


def note(database: Database, count: int) -> None:
    for number in range(count):
        trail.note(database, "tests.noted", number=number)


def test_the_database_refuses_to_change_or_remove_a_row(ledger_url: str) -> None:
    migrations.upgrade(ledger_url)
    database = Database(ledger_url, "tests")
    note(database, 3)
    for statement in (*REFUSED, ALSO_REFUSED[database.engine.dialect.name]):
        with pytest.raises(LedgerError, match="append-only"), database.transaction() as connection:
            connection.exec_driver_sql(statement)
    assert [row.seq for row in trail.rows(database, trail.span_of(database))] == [1, 2, 3]
    tamper(database, REFUSED[0])
    with database.reading() as connection:
        assert chain.first_bad_row(connection) == 2
    database.close()


def test_writers_at_once_do_not_fork_the_chain(database: Database) -> None:
    writers = [threading.Thread(target=note, args=(database, 10)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with database.reading() as connection:
        assert chain.first_bad_row(connection) is None
    assert len(list(trail.rows(database, trail.span_of(database), size=7))) == 40


def test_rows_are_found_by_time(database: Database) -> None:
    note(database, 9)
    times = [row.at for row in trail.rows(database, Span(1, 9))]
    assert trail.span_of(database, since=times[3]).first == times.index(times[3]) + 1
    assert trail.span_of(database, until=times[6]).last == times.index(times[6])
    later = times[-1] + timedelta(seconds=1)
    assert trail.span_of(database, since=later) == Span(10, 9)
    found = browse.audit_page(database, AuditFilter(event="tests.noted", since=times[3], until=times[6]))
    assert {row.at for row in found} == {at for at in times if times[3] <= at < times[6]}
    assert browse.audit_page(database, AuditFilter(since=later)) == []


def test_of_two_processes_one_reads(database: Database) -> None:
    note(database, 2)
    positions.begin(database, "syslog")
    positions.begin(database, "syslog")
    note(database, 3)
    assert trail.unread(database, 2)[0] == 3
    assert positions.take(database, "syslog", "one", 60) == 2
    assert positions.take(database, "syslog", "other", 60) is None
    positions.stuck(database, "syslog", "one", "it is away")
    assert positions.take(database, "syslog", "other", 60) == 2
    positions.advance(database, "syslog", "one", 4)
    positions.advance(database, "syslog", "other", 5)
    at = positions.position(database, "syslog")
    assert at
    assert (at.seq, at.reason) == (5, "")
    assert trail.unread(database, at.seq) == (0, None)
