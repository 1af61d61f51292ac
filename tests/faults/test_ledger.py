"""The ledger's database bounced, locked and tampered with."""

import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

import migrations
from dicom_node.errors import LedgerError
from dicom_node.ledger import chain, queries
from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import job
from tests.faults.conftest import QUICK
from tests.faults.kit.cluster import Cluster
from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node
from tests.servers import Server, postgres
from tests.tampering import unlock
from tests.unit.dicom_node.ledger.rows import queue
from tests.waiting import until, until_state

pytestmark = pytest.mark.faults

LOCKED_S = 35.0
# An outage that is longer than the quiet time must not pass for quiet.
QUIET_S, AWAY_S = 8.0, 12.0


@pytest.mark.slow
@pytest.mark.row(
    13, "C-STORE goes on answering 0x0000 from the spool; ledger work is tried again when the database is back"
)
@pytest.mark.parametrize("moment", ["while it receives", "while a worker has the job"])
def test_row_13_the_database_is_restarted(
    moment: str, tmp_path: Path, pacs: ScriptedPacs, redis_server: Server, tall_images: list[Path]
) -> None:
    with postgres(tmp_path / "postgres") as database:
        cluster = Cluster(
            tmp_path / "node", pacs, pacs.node_port, database.url, extra=dict(QUICK), broker_url=redis_server.url
        )
        cluster.extra["series"] = f"quiet_s = {QUIET_S}"
        try:
            cluster.start()
            cluster.start_part("worker-1")
            cluster.wait_for_worker("worker-1")
            scanner = Scanner(cluster.port)

            def bounce(count: int) -> None:
                if moment == "while it receives" and count == 6:
                    database.daemon.stop(signal.SIGQUIT)  # pg_ctl stop -m immediate

            assert scanner.push(tall_images, bounce)
            assert set(scanner.statuses) == {0x0000}
            if moment == "while a worker has the job":
                until_state(cluster, "running", "restored", "sending", "sent", "verified")
                database.daemon.stop(signal.SIGQUIT)
            time.sleep(AWAY_S)
            database.daemon.start()
            (ended,) = check(cluster, scanner.acknowledged, pacs)
        finally:
            cluster.kill_all()
        assert ended.state == "verified"
        assert set(pacs.came.values()) == {1}


@pytest.mark.slow
@pytest.mark.row(14, "longer than the busy timeout: C-STORE answers 0x0000, everything else waits or tries again")
def test_row_14_sqlite_is_locked_for_35_seconds(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    node.start()
    lock = sqlite3.connect(node.folder / "ledger.sqlite", isolation_level=None, check_same_thread=False)
    lock.execute("BEGIN EXCLUSIVE")
    unlock = threading.Timer(LOCKED_S, lambda: lock.execute("COMMIT"))
    unlock.start()
    scanner = Scanner(node.port)
    assert scanner.push(images)
    assert unlock.is_alive()
    unlock.join()
    lock.close()
    (ended,) = check(node, scanner.acknowledged, pacs)
    assert ended.state == "verified"


@pytest.mark.slow
@pytest.mark.row(49, "the check names the first row that does not hold")
@pytest.mark.parametrize(
    "tamper",
    ["UPDATE audit SET detail = '{}' WHERE seq = 3", "DELETE FROM audit WHERE seq = 2"],
    ids=["changed", "removed"],
)
def test_row_49_an_audit_row_is_tampered_with(node: Node, images: list[Path], tamper: str) -> None:
    node.start()
    Scanner(node.port).push_until_stored(images)
    until("five audit rows", lambda: len(_audit(node)) >= 5)
    until_state(node, "verified")
    node.kill()
    ledger = node.ledger()
    with ledger.transaction() as connection:
        assert chain.first_bad_row(connection) is None
        unlock(connection)
        connection.execute(text(tamper))
        assert chain.first_bad_row(connection) == 3
    ledger.close()


@pytest.mark.row(23, "two jobs of one key cannot be, whatever the program does: the database refuses the second")
def test_row_23_the_database_refuses_a_second_job_of_one_key(ledger_url: str) -> None:
    migrations.upgrade(ledger_url)
    database = Database(ledger_url, "tests")
    job_id = queue(database)
    with database.reading() as connection:
        row = dict(connection.execute(select(job).where(job.c.id == job_id)).mappings().one())
    with pytest.raises(LedgerError, match=r"(?i)unique"):
        enter(database, row | {"id": job_id + 1})
    database.close()


def enter(database: Database, row: dict[str, object]) -> None:
    """Put a job into the ledger, past every verb."""
    with database.transaction() as connection:
        connection.execute(insert(job).values(**row))


def _audit(node: Node) -> list[queries.AuditView]:
    ledger = node.ledger()
    found = queries.audit_of(ledger, ["series:1", "job:1", "delivery:1"])
    ledger.close()
    return found
