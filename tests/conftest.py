"""Fixtures that every test may ask for: real data, free ports and real servers."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests import servers
from tests.faults.elsewhere import ELSEWHERE

ROOT = Path(__file__).resolve().parent.parent
# rich measures its terminal when a console is made: tables must not be cut where tests have none.
os.environ["COLUMNS"] = "300"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests that show a row of the fault catalogue elsewhere its mark, so that `make test-faults` runs them."""
    rows = {item.test: item for item in ELSEWHERE}
    for item in items:
        name = f"{item.path.relative_to(ROOT / 'tests').as_posix()}::{item.name.partition('[')[0]}"
        if name in rows:
            item.add_marker(pytest.mark.row(rows[name].row, rows[name].happens))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public DICOM data beside the repository, or where $THINSLICE_DATA says."""
    folder = Path(os.environ.get("THINSLICE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "dicom").is_dir():
        pytest.skip("needs the public DICOM data: put them in ../shared/data or name their folder in THINSLICE_DATA")
    return folder


@pytest.fixture
def free_port() -> int:
    """A loopback TCP port nobody listens on."""
    return servers.free_port()


@pytest.fixture(scope="session")
def orthanc_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Pacs]:
    """Orthanc for the whole run; our node is THINSLICE at ``node_port``. Send under UIDs of the test's own."""
    with servers.orthanc(tmp_path_factory.mktemp("orthanc"), node_port=servers.free_port()) as pacs:
        yield pacs


@pytest.fixture(scope="module")
def qrscp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Pacs]:
    """The PACS that comes with pynetdicom, empty at the start of a test module."""
    with servers.qrscp(tmp_path_factory.mktemp("qrscp")) as pacs:
        yield pacs


@pytest.fixture(scope="module")
def dcmqrscp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Pacs]:
    """DCMTK's archive, empty at the start of a test module."""
    with servers.dcmqrscp(tmp_path_factory.mktemp("dcmqrscp")) as pacs:
        yield pacs


@pytest.fixture(scope="module")
def storescp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Pacs]:
    """The storescp of DCMTK, empty at the start of a test module."""
    with servers.storescp(tmp_path_factory.mktemp("storescp")) as pacs:
        yield pacs


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A redis-server, empty at the start of a test module."""
    with servers.redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def redis_url(redis_server: servers.Server) -> str:
    """Its URL."""
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A PostgreSQL cluster for the whole run."""
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: servers.Server) -> Iterator[str]:
    """SQLAlchemy URL of an empty PostgreSQL database of the test's own."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield postgres_server.url.rsplit("/", 1)[0] + f"/{name}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
