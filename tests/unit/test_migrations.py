"""The migrations lead to exactly the tables that the code uses, and back; they keep what is in them, and are whole."""

import signal
import subprocess
import sys
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import column, create_engine, inspect, select, table, text

import migrations
from dicom_node.commitment import CommitmentRequest, Reference
from dicom_node.errors import SettingsError
from dicom_node.ledger import (
    channels,
    circuits,
    commitment_requests,
    deliveries,
    feedback,
    jobs,
    notices,
    positions,
    queries,
    sessions,
    switches,
    throttle,
    tokens,
    users,
    workers,
)
from dicom_node.ledger.database import Database, driver_url
from dicom_node.ledger.notices import Amiss
from dicom_node.ledger.tables import metadata
from dicom_node.plans import Plan
from tests.unit.dicom_node.ledger.rows import claimed, queue, result

# A program that dies by SIGKILL before it executes its nth statement that changes something.
DYING = """
import os, signal, sys
from sqlalchemy import Engine, event
import migrations
left = int(sys.argv[3])
@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, statement, *rest):
    global left
    if statement.lstrip().split()[0].upper() in ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
getattr(migrations, sys.argv[2])(sys.argv[1], sys.argv[4])
"""


def fill(url: str) -> Database:
    """A ledger with rows in every table."""
    database = Database(url, "tests")
    jobs.restored(database, claimed(database, queue(database)), result(), {"seconds": 1}, ["main"])
    assert deliveries.claim(database, 1, "host/boot/1/1", 60)
    circuits.failed(database, "main", "away", 1, lambda _times: 3600)
    switches.pause(database, "a new program")
    switches.pause_destination(database, "main", "a new disk")
    workers.register(database, "host/boot/1/1", "node")
    commitment_requests.enter(database, CommitmentRequest("2.25.5", "CT1", (Reference("2.25.6", "2.25.7"),)), 60)
    users.add(database, "ada", "hash", users.Role.ADMIN)
    sessions.enter(database, 1, "t" * 64, "c" * 64, "127.0.0.1", hours=1)
    throttle.attempt(database, {"k" * 64: 5}, "127.0.0.1")
    assert feedback.give(database, 1, feedback.Verdict.ACCEPTED, None, "")
    notices.note(database, [Amiss("paused", "", "warn", "The node is paused.", "/workers")])
    claim = channels.claim(database, "chat", "host/boot/1/1", 60, lambda _owner: False, 1)
    assert claim
    channels.sent(database, claim, notices.untold(database, "chat", ["paused"], 0), "1 new")
    positions.begin(database, "syslog")
    tokens.add(database, "ada", "monitor", "t" * 64, users.Role.VIEWER, 90)
    return database


def content(database: Database, columns: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Every row, of these columns by table."""
    with database.reading() as connection:
        return {
            name: [tuple(row) for row in connection.execute(select(*map(column, names)).select_from(table(name)))]
            for name, names in columns.items()
        }


def columns_of(url: str) -> dict[str, list[str]]:
    found = inspect(create_engine(driver_url(url)))
    return {
        name: sorted(column["name"] for column in found.get_columns(name)) for name in sorted(found.get_table_names())
    }


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
    assert migrations.revision(ledger_url) is None


def test_down_and_up_again_keeps_every_row_that_both_know(ledger_url: str) -> None:
    migrations.upgrade(ledger_url)
    database = fill(ledger_url)
    with database.reading() as connection:
        empty = [table.name for table in metadata.sorted_tables if not connection.execute(select(table)).first()]
    assert empty == []
    newest = columns_of(ledger_url)
    migrations.downgrade(ledger_url, "0001")
    oldest = {name: names for name, names in columns_of(ledger_url).items() if name != "alembic_version"}
    before = content(database, oldest)
    assert "worker" not in oldest
    migrations.upgrade(ledger_url)
    assert columns_of(ledger_url) == newest
    assert content(database, oldest) == before
    with database.transaction() as connection:
        broken = connection.execute(text("PRAGMA foreign_key_check")).all() if "sqlite" in ledger_url else []
    assert broken == []
    switches.pause(database, "it works on")


def test_a_job_that_is_older_than_rules_has_none(ledger_url: str) -> None:
    migrations.upgrade(ledger_url)
    database = fill(ledger_url)
    migrations.downgrade(ledger_url, "0002")
    assert not {"rule", "plan"} & set(columns_of(ledger_url)["job"])
    migrations.upgrade(ledger_url)
    (job,) = queries.jobs(database)
    assert (job.rule, job.plan) == ("", Plan())


@pytest.mark.parametrize(("step", "to", "start"), [("upgrade", "head", "0001"), ("downgrade", "0001", "head")])
def test_a_program_killed_in_a_migration_leaves_the_old_schema(ledger_url: str, step: str, to: str, start: str) -> None:
    migrations.upgrade(ledger_url)
    fill(ledger_url).close()
    migrations.downgrade(ledger_url, start) if start != "head" else None
    before, kept = columns_of(ledger_url), migrations.revision(ledger_url)
    for statement in (1, 6, 12):  # of some fourteen, in either direction
        child = subprocess.run([sys.executable, "-c", DYING, ledger_url, step, str(statement), to], check=False)
        assert child.returncode == -signal.SIGKILL
        assert (columns_of(ledger_url), migrations.revision(ledger_url)) == (before, kept)
    getattr(migrations, step)(ledger_url, to)
    assert migrations.revision(ledger_url) != kept


def test_a_ledger_of_a_newer_program_is_refused_with_a_clear_sentence(ledger_url: str) -> None:
    migrations.upgrade(ledger_url)
    database = Database(ledger_url, "tests")
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for act in (
        lambda: migrations.upgrade(ledger_url),
        lambda: migrations.downgrade(ledger_url, "0001"),
        lambda: migrations.revision(ledger_url),
    ):
        with pytest.raises(SettingsError, match=r"newer program \(revision 9999.*install that version, or restore"):
            act()


def test_a_revision_that_there_is_not_is_named(ledger_url: str) -> None:
    with pytest.raises(SettingsError, match="no revision '0815' of the ledger; there are: base, 0001"):
        migrations.upgrade(ledger_url, "0815")


def test_programs_that_start_at_once_take_turns(ledger_url: str) -> None:
    program = "import sys, migrations; migrations.upgrade(sys.argv[1])"
    started = [subprocess.Popen([sys.executable, "-c", program, ledger_url]) for _ in range(4)]
    assert [child.wait(timeout=60) for child in started] == [0, 0, 0, 0]
