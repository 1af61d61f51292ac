"""The ledger is away while images come: they are acknowledged all the same, and entered when it is back."""

import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGQUIT

import pytest
from sqlalchemy import select

from dicom_node.ledger import queries
from dicom_node.ledger.tables import instance, series
from dicom_node.settings import LedgerSettings, ReceiveSettings
from tests import servers
from tests.phantom import chest, write_dicom
from tests.waiting import until
from worker.receiving import Receiver
from worker.settings import Settings, WorkerSettings
from worker.wiring import Node, open_node, prepare

# By its full path: pynetdicom brings another program of the same name.
STORESCU = "/usr/bin/storescu"

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A thick series."""
    return write_dicom(chest(shape=(41, 48, 48), pixel_mm=7.2).thick, tmp_path_factory.mktemp("input"), seed=13)


def opened(folder: Path, url: str) -> Node:
    settings = Settings(
        receive=ReceiveSettings(port=servers.free_port(), spool=folder / "spool"),
        ledger=LedgerSettings(url=url),
        worker=WorkerSettings(results=folder / "results"),
    )
    prepare(settings)
    return open_node(settings, "listener")


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[servers.Server]:
    """A PostgreSQL that the test may kill."""
    with servers.postgres(tmp_path / "postgres") as server:
        yield server


def storescu(receiver: Receiver, images: list[Path]) -> None:
    """Send with DCMTK, which ends with an error at the first status that is none of success."""
    host, port = receiver.listener.address
    command = [STORESCU, "-R", "-xe", "-aec", "THINSLICE", "-aet", "CT1", host, str(port), *map(str, images)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def entered(node: Node) -> tuple[int, set[str], bool]:
    """How many instances the ledger has, from which addresses, and whether the sender's release is known."""
    with node.database.reading() as connection:
        peers = list(connection.execute(select(instance.c.peer_ip)).scalars())
        released = connection.execute(select(series.c.released)).scalar()
    return len(peers), set(peers), bool(released)


def test_a_database_that_is_killed_and_comes_back_gets_what_was_received_meanwhile(
    tmp_path: Path, postgres: servers.Server, images: list[Path]
) -> None:
    """Row 13. No clock runs here, so no scan of the spool helps; the peer's address shows that none did."""
    node = opened(tmp_path, postgres.url)
    receiver = Receiver(node)
    receiver.start()
    storescu(receiver, images[:2])
    until("two instances are in the ledger", lambda: entered(node)[0] == 2)
    postgres.daemon.stop(SIGQUIT)  # pg_ctl stop -m immediate
    storescu(receiver, images[2:5])
    storescu(receiver, images[5:])
    assert len(list(node.spool.scan())) == len(images)
    time.sleep(3)
    postgres.daemon.start()
    until("every instance is in the ledger", lambda: entered(node)[0] == len(images))
    until("the release is known too", lambda: entered(node) == (len(images), {"127.0.0.1"}, True))
    receiver.stop()
    assert "instances.duplicate" not in [row.event for row in queries.audit_of(node.database, ["series:1"])]
    node.database.close()


@pytest.mark.slow
def test_a_listener_that_stops_while_the_ledger_is_away_enters_it_at_its_next_start(
    tmp_path: Path, postgres: servers.Server, images: list[Path]
) -> None:
    node = opened(tmp_path, postgres.url)
    receiver = Receiver(node)
    receiver.start()
    postgres.daemon.stop(SIGQUIT)
    storescu(receiver, images)
    receiver.stop()
    postgres.daemon.start()
    receiver = Receiver(node)
    receiver.start()
    assert entered(node)[0] == len(images)
    receiver.stop()
    node.database.close()


def test_a_locked_sqlite_is_waited_for_while_images_come(tmp_path: Path, images: list[Path]) -> None:
    """Row 14, shorter than SQLite's own patience; tests/faults has the longer one."""
    node = opened(tmp_path, f"sqlite:///{tmp_path}/ledger.sqlite")
    receiver = Receiver(node)
    receiver.start()
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    storescu(receiver, images)
    assert len(list(node.spool.scan())) == len(images)
    time.sleep(2)
    other.execute("ROLLBACK")
    other.close()
    until("everything is in the ledger", lambda: entered(node) == (len(images), {"127.0.0.1"}, True))
    receiver.stop()
    node.database.close()
