"""Real servers on free loopback ports, for tests and the demo: ``with orthanc(folder) as pacs: ...``.

Every server is a child process, waited for until it answers, and stopped by its own process id.
A missing program is an error that says how to install it, never a skipped test.
"""

import json
import os
import pwd
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicom_node.settings import TlsSettings
from tests.processes import (
    HOST,
    Daemon,
    ServerError,
    answers,
    call,
    find_program,
    free_port,
    listens,
    pongs,
    running,
    succeeds,
)

__all__ = [
    "HOST",
    "Pacs",
    "Server",
    "ServerError",
    "dcmqrscp",
    "find_program",
    "free_port",
    "orthanc",
    "postgres",
    "qrscp",
    "redis_server",
    "storescp",
]


@dataclass(frozen=True)
class Server:
    """A running server, which ``daemon`` can stop and start. ``url`` is its web address or connection URL, or empty."""

    name: str
    host: str
    port: int
    daemon: Daemon
    folder: Path
    log: Path
    url: str = ""

    @property
    def pid(self) -> int:
        """Its process id now."""
        return self.daemon.pid


@dataclass(frozen=True)
class Pacs(Server):
    """A running PACS. ``node_ae`` at ``node_port`` is where it thinks our node listens (0: it was not told)."""

    ae_title: str = ""
    node_ae: str = ""
    node_port: int = 0


@contextmanager
def orthanc(
    folder: Path,
    *,
    node_ae: str = "THINSLICE",
    node_port: int = 0,
    storage_commitment: bool = True,
    ae_title: str = "ORTHANC",
    plugins: Sequence[str] = (),
) -> Iterator[Pacs]:
    """Debian's Orthanc, which knows our node; ``url`` is its REST address.

    ``plugins`` are its "DicomWeb" (at ``url``/dicom-web/) and "WebViewer" (see ``judges.viewed_in_orthanc``).
    Orthanc 1.10 cannot bind to one address, so it listens on all; it refuses web requests from elsewhere
    and associations of unknown AE titles or hosts. The same SOP Instance UID sent twice keeps the first content.
    """
    program = find_program("Orthanc")
    port, http_port = free_port(), free_port()
    folder = _made(folder)
    node = {"AET": node_ae, "Host": HOST, "Port": node_port, "AllowStorageCommitment": storage_commitment}
    options = folder / "orthanc.json"
    content = _orthanc_options(folder, ae_title, port, http_port, node) | _plugin_options(folder, plugins)
    options.write_text(json.dumps(content), encoding="utf-8")
    url = f"http://{HOST}:{http_port}"
    with running([program, str(options)], folder, lambda: answers(f"{url}/system") and listens(port)) as daemon:
        log = folder / "orthanc.log"
        yield Pacs("orthanc", HOST, port, daemon, folder, log, url, ae_title, node_ae, node_port)


@contextmanager
def qrscp(folder: Path, *, ae_title: str = "QRSCP", port: int = 0) -> Iterator[Pacs]:
    """The PACS that comes with pynetdicom, without storage commitment. Files are in ``folder/instances``."""
    port = _claimed(port)
    folder = _made(folder)
    options = folder / "qrscp.ini"
    options.write_text(_QRSCP_OPTIONS.format(ae_title=ae_title, port=port, folder=folder), encoding="utf-8")
    command = [sys.executable, "-m", "pynetdicom", "qrscp", "--config", str(options)]
    with running(command, folder, lambda: listens(port), name="qrscp") as daemon:
        yield Pacs("qrscp", HOST, port, daemon, folder, folder / "qrscp.log", ae_title=ae_title)


@contextmanager
def storescp(
    folder: Path, *, ae_title: str = "STORESCP", port: int = 0, tls: TlsSettings | None = None, takes: str = "+xa"
) -> Iterator[Pacs]:
    """DCMTK's storescp, which writes what it receives bit by bit into ``folder/received``.

    ``tls``: by TLS alone. ``takes`` is its option for transfer syntaxes, for example +xt for JPEG-LS.
    """
    port = _claimed(port)
    folder = _made(folder)
    received = _made(folder / "received")
    # The virtual environment has a storescp of pynetdicom's, so DCMTK's is named by its full path.
    options = ["--fork", takes, "+B", "-aet", ae_title, "-od", str(received), *dcmtk_tls(tls)]
    command = ["/usr/bin/storescp", *options, str(port)]
    find_program(command[0])
    with running(command, folder, lambda: listens(port)) as daemon:
        yield Pacs("storescp", HOST, port, daemon, folder, folder / "storescp.log", ae_title=ae_title)


@contextmanager
def dcmqrscp(folder: Path, *, ae_title: str = "DCMQRSCP") -> Iterator[Pacs]:
    """DCMTK's archive, which takes every storage class it knows. Files are in ``folder/store``."""
    port = _claimed(0)
    folder = _made(folder)
    area = _made(folder / "store")
    options = folder / "dcmqrscp.cfg"
    options.write_text(_DCMQRSCP_OPTIONS.format(ae_title=ae_title, port=port, area=area), encoding="utf-8")
    command = ["/usr/bin/dcmqrscp", "-c", str(options)]
    find_program(command[0])
    with running(command, folder, lambda: listens(port)) as daemon:
        yield Pacs("dcmqrscp", HOST, port, daemon, folder, folder / "dcmqrscp.log", ae_title=ae_title)


def dcmtk_tls(tls: TlsSettings | None) -> list[str]:
    """Options of a DCMTK program that shows this certificate and believes these authorities."""
    return [] if tls is None else ["+tls", str(tls.key), str(tls.certificate), "+cf", str(tls.authorities)]


@contextmanager
def redis_server(folder: Path, *, port: int = 0) -> Iterator[Server]:
    """An empty redis-server that keeps nothing on disk."""
    port = _claimed(port)
    folder = _made(folder)
    program = find_program("redis-server")
    command = [program, "--bind", HOST, "--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "no"]
    with running(command, folder, lambda: pongs(port)) as daemon:
        yield Server("redis", HOST, port, daemon, folder, folder / "redis-server.log", f"redis://{HOST}:{port}/0")


@contextmanager
def postgres(folder: Path, *, port: int = 0) -> Iterator[Server]:
    """A PostgreSQL cluster of its own, superuser ``thinslice`` without password, database ``postgres``.

    PostgreSQL refuses to run as root. Root therefore starts it as the Debian package's user ``postgres``,
    in a folder of that user's under the temporary directory; ``folder`` gets the log.
    """
    port = _claimed(port)
    folder = _made(folder)
    postgres_program, initdb = _find_postgres("postgres"), _find_postgres("initdb")
    data = Path(tempfile.mkdtemp(prefix="thinslice-postgres-"))
    prefix = _give_to_postgres(data) if os.geteuid() == 0 else []
    try:
        call([*prefix, initdb, "-D", str(data / "db"), "-U", "thinslice", "-A", "trust", "-E", "UTF8", "--no-sync"])
        # A test cluster need not survive a power cut.
        options = ["-h", HOST, "-p", str(port), "-k", str(data), "-c", "fsync=off"]
        command = [*prefix, postgres_program, "-D", str(data / "db"), *options]
        ready = [_find_postgres("pg_isready"), "-q", "-h", HOST, "-p", str(port)]
        with running(command, folder, lambda: succeeds(ready), name="postgres", stop=signal.SIGINT) as daemon:
            url = f"postgresql+psycopg://thinslice@{HOST}:{port}/postgres"
            yield Server("postgres", HOST, port, daemon, data, folder / "postgres.log", url)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _made(folder: Path) -> Path:
    """``folder``, existing and absolute: servers run in ``/``."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _claimed(port: int) -> int:
    """``port`` itself, or a free one for 0: a taken port would let somebody else's server pass for ours."""
    if port and listens(port):
        raise ServerError(f"port {port} is in use: stop what listens there, or pass another port")
    return port or free_port()


def _find_postgres(name: str) -> str:
    """Debian keeps PostgreSQL's server programs off the PATH; the newest version wins."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return str(found[-1]) if found else find_program(name)


def _give_to_postgres(folder: Path) -> list[str]:
    """Make ``folder`` the ``postgres`` user's and return the command prefix that becomes that user."""
    try:
        user = pwd.getpwnam("postgres")
    except KeyError as error:
        raise ServerError("there is no user postgres: run `make system`, which installs PostgreSQL") from error
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [find_program("setpriv"), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _orthanc_options(
    folder: Path, ae_title: str, port: int, http_port: int, node: dict[str, object]
) -> dict[str, object]:
    return {
        "Name": ae_title,
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "SyncStorageArea": False,
        "SaveJobs": False,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": ae_title,
        "DicomPort": port,
        "DicomCheckCalledAet": True,
        "DicomCheckModalityHost": True,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "OverwriteInstances": False,
        "StorageCommitmentReportsSize": 100,
        "DicomModalities": {"node": node} if node["Port"] else {},  # Orthanc refuses to start with port 0
    }


def _plugin_options(folder: Path, plugins: Sequence[str]) -> dict[str, object]:
    found = [Path(f"/usr/share/orthanc/plugins/libOrthanc{name}.so") for name in plugins]
    for path in found:
        if not path.exists():
            raise ServerError(f"{path} is missing: run `make system`, which installs Orthanc's plugins")
    return {
        "Plugins": [str(path) for path in found],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Host": HOST},
        "WebViewer": {"CachePath": str(folder / "cache"), "Threads": 1},
    }


# 500 studies of 4 GB at most, for anyone.
_DCMQRSCP_OPTIONS = """\
NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{ae_title} {area} RW (500, 4gb) ANY
AETable END
"""
_QRSCP_OPTIONS = """\
[DEFAULT]
ae_title: {ae_title}
port: {port}
max_pdu: 131072
acse_timeout: 30
dimse_timeout: 30
network_timeout: 60
bind_address: 127.0.0.1
instance_location: {folder}/instances
database_location: {folder}/instances.sqlite
log_identifier: False
"""
