"""The audit trail at a real repository: rsyslog by TLS, killed in between and started again."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from dicom_node.audit import outbox
from dicom_node.audit.facts import Here, Place
from dicom_node.audit.outbox import Outbox
from dicom_node.audit.settings import SyslogSettings
from dicom_node.errors import RepositoryError
from dicom_node.ledger import deliveries, jobs, refusals, sessions, trail, users
from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import metadata
from dicom_node.records import Refusal
from dicom_node.tls import server_context
from tests.certificates import Certificates, make_certificates
from tests.judges import schema_errors
from tests.processes import HOST
from tests.syslog_server import Repository, rsyslog
from tests.unit.dicom_node.ledger.rows import claimed, queue, result
from tests.waiting import until

MARK = b"\xef\xbb\xbf"
HERE = Here("THINSLICE", "node7", {"main": Place("pacs", "PACS", "10.0.0.9")})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A ledger in which things happen that a repository is told of."""
    database = Database(f"sqlite:///{tmp_path / 'ledger.sqlite'}", "tests")
    metadata.create_all(database.engine)
    yield database
    database.close()


def settings(repository: Repository, certificates: Certificates | None, name: str = "node") -> SyslogSettings:
    tls = certificates and certificates.of(name)
    files = tls.model_dump() if tls else {"transport": "tcp"}
    return SyslogSettings(host=HOST, port=repository.port, site="hospital", **files)


def outbox_of(database: Database, where: SyslogSettings, owner: str = "one") -> Outbox:
    found = Outbox(database, where, HERE, owner)
    found.begin()
    return found


def work(database: Database) -> None:
    """A series comes, is restored and sent; a user comes and goes; somebody is refused."""
    jobs.restored(database, claimed(database, queue(database)), result(), {}, ["main"])
    claim = deliveries.claim(database, 1, "host/boot/1/1", 60)
    assert claim
    deliveries.sent(database, claim, None, 0)
    users.add(database, "ada", "hash", users.Role.ADMIN)
    sessions.enter(database, 1, "t" * 64, "c" * 64, HOST, hours=1)
    session = sessions.find(database, "t" * 64, 0, deed=True)
    assert session
    sessions.leave(database, session)
    refusals.record(database, [Refusal("10.0.0.66", "EVE", "unknown AE title", 3)])


def refuse(database: Database, count: int) -> list[int]:
    """That many alerts; returns the numbers of their rows."""
    for _ in range(count):
        refusals.record(database, [Refusal("10.0.0.66", "EVE", "unknown AE title", 1)])
    newest = trail.head(database)
    assert newest
    return list(range(newest.seq - count + 1, newest.seq + 1))


def break_off(listener: socket.socket) -> None:
    """Take one connection, read a little of it, and reset it."""
    connection, _ = listener.accept()
    connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_messages_arrive_by_tls_framed_and_in_order(
    database: Database, tmp_path: Path, certificates: Certificates
) -> None:
    with rsyslog(tmp_path / "rsyslog", certificates) as repository:
        sender = outbox_of(database, settings(repository, certificates))
        work(database)
        assert sender.round() > 10
        assert sender.round() == 0
        until("all messages", lambda: len(repository.messages) >= 8, limit_s=30)
        assert repository.sequence == sorted(set(repository.sequence))
        heads, bodies = zip(*(line.split(b" " + MARK) for line in repository.messages), strict=True)
    assert all(b" node7 thinslice " in head and b" DICOM+RFC3881 [meta " in head for head in heads)
    assert {head.split(b">")[0] for head in heads} == {b"<85"}
    assert schema_errors(bodies) == []
    kinds = [body.partition(b'<EventID csd-code="')[2][:6].decode() for body in bodies]
    assert kinds == ["110104", "110103", "110102", "110104", "110113", "110114", "110114", "110113"]


def test_a_repository_that_is_killed_and_comes_back_gets_every_row_once(
    database: Database, tmp_path: Path, certificates: Certificates
) -> None:
    with rsyslog(tmp_path / "rsyslog", certificates) as repository:
        where = settings(repository, certificates)
        sender, wanted = outbox_of(database, where), refuse(database, 3)
        assert sender.round() == 3
        until("the first rows", lambda: repository.sequence == wanted, limit_s=30)
        repository.daemon.kill()
        wanted += refuse(database, 3)
        with pytest.raises(RepositoryError, match="cannot be reached"):
            sender.round()
        behind = outbox.backlog(database)
        assert behind
        assert behind.rows == 3
        assert "cannot be reached" in behind.reason
        repository.daemon.start()
        again = outbox_of(database, where, "another process")
        assert again.round() == 3
        until("the rest", lambda: len(repository.sequence) >= len(wanted), limit_s=30)
        assert repository.sequence == wanted
        behind = outbox.backlog(database)
        assert (behind and behind.rows, behind and behind.reason) == (0, "")


def test_a_receiver_that_breaks_off_gets_the_rows_again(database: Database) -> None:
    """In the middle of a batch: what it has seen of it comes twice, and nothing is lost."""
    with socket.create_server((HOST, 0)) as listener:
        where = SyslogSettings(host=HOST, port=listener.getsockname()[1], transport="tcp")
        sender = outbox_of(database, where)
        refuse(database, 20)
        receiver = threading.Thread(target=break_off, args=(listener,))
        receiver.start()
        with pytest.raises(RepositoryError):
            sender.round()
        receiver.join()
        behind = outbox.backlog(database)
        assert behind
        assert behind.rows == 20


def hang_up(listener: socket.socket, certificates: Certificates) -> None:
    """Take one connection by TLS, and end it politely without having read anything."""
    connection, _ = listener.accept()
    with server_context(certificates.of("PACS")).wrap_socket(connection, server_side=True) as link:
        link.setblocking(False)
        with contextlib.suppress(ssl.SSLError):
            link.unwrap()


def test_a_receiver_that_hangs_up_politely_has_taken_nothing(database: Database, certificates: Certificates) -> None:
    with socket.create_server((HOST, 0)) as listener:
        files = certificates.of("node").model_dump()
        sender = outbox_of(database, SyslogSettings(host=HOST, port=listener.getsockname()[1], **files))
        refuse(database, 20)
        receiver = threading.Thread(target=hang_up, args=(listener, certificates))
        receiver.start()
        with pytest.raises(RepositoryError, match="broke off"):
            sender.round()
        receiver.join()
        behind = outbox.backlog(database)
        assert behind
        assert behind.rows == 20


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_relay_on_this_machine_takes_them_in_the_clear(database: Database, tmp_path: Path, transport: str) -> None:
    with rsyslog(tmp_path / "rsyslog") as repository:
        where = SyslogSettings(host=HOST, port=repository.port, transport=transport)  # type: ignore[arg-type]
        sender, wanted = outbox_of(database, where), refuse(database, 2)
        assert sender.round() == 2
        until("the rows", lambda: repository.sequence == wanted, limit_s=30)


@pytest.mark.parametrize("name", ["foreign", "expired"])
def test_a_repository_that_does_not_believe_us_gets_nothing(
    database: Database, tmp_path: Path, certificates: Certificates, name: str
) -> None:
    with rsyslog(tmp_path / "rsyslog", certificates) as repository:
        sender = outbox_of(database, settings(repository, certificates, name))
        refuse(database, 1)
        with pytest.raises(RepositoryError, match=f"broke off: .*does it believe .*{name}.pem"):
            sender.round()
        assert repository.messages == []
        behind = outbox.backlog(database)
        assert behind
        assert behind.rows == 1


def test_settings_refuse_the_clear_over_a_network_and_tls_without_files() -> None:
    with pytest.raises(ValidationError, match="for a relay on this machine"):
        SyslogSettings(host="audit.example.org", transport="udp")
    with pytest.raises(ValidationError, match="needs certificate, key and authorities"):
        SyslogSettings(host="audit.example.org")
