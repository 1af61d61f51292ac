"""TLS with DCMTK on the other side, both ways; who is refused is in the audit trail."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from dicom_node.derive.writer import write_series
from dicom_node.destinations import Destination
from dicom_node.errors import DestinationError
from dicom_node.ledger.tables import audit
from dicom_node.records import DerivedSeries, InstanceOutcome
from dicom_node.send.scu import echo, store
from dicom_node.settings import (
    DeriveSettings,
    LedgerSettings,
    ListenerTlsSettings,
    PeerSettings,
    ReceiveSettings,
    SendSettings,
)
from tests.certificates import Certificates, make_certificates
from tests.servers import HOST, dcmtk_tls, storescp
from tests.unit.dicom_node.derive.samples import thick_series, thin_volume, write_source
from tests.waiting import until
from worker.receiving import Receiver
from worker.settings import Settings, WorkerSettings
from worker.wiring import Node, open_node, prepare

STORESCU = "/usr/bin/storescu"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def node(tmp_path: Path, certificates: Certificates) -> Node:
    """A node that speaks TLS alone, to one scanner."""
    receive = ReceiveSettings(
        tls=ListenerTlsSettings(**certificates.of("node").model_dump(), port=0),
        peers=(PeerSettings(ae_title="SCANNER", addresses=(HOST,), certificates=("SCANNER",)),),
        spool=tmp_path / "spool",
    )
    ledger = LedgerSettings(url=f"sqlite:///{tmp_path}/ledger.sqlite")
    settings = Settings(receive=receive, ledger=ledger, worker=WorkerSettings(results=tmp_path / "results"))
    prepare(settings)
    return open_node(settings, "listener")


@pytest.fixture
def receiver(node: Node) -> Iterator[Receiver]:
    receiver = Receiver(node)
    receiver.start()
    yield receiver
    receiver.stop()


def send(receiver: Receiver, images: list[Path], tls: list[str]) -> bool:
    """Whether DCMTK could send them all."""
    host, port = receiver.listener.address
    command = [STORESCU, "-R", "-aec", "THINSLICE", "-aet", "SCANNER", *tls, host, str(port), *map(str, images)]
    environment = os.environ | {"TCP_NODELAY": "1"}
    return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode == 0


def refusals(node: Node) -> list[tuple[str, str]]:
    """AE title and reason of each refusal in the audit trail."""
    with node.database.reading() as connection:
        rows = connection.execute(select(audit.c.detail).where(audit.c.event == "association.refused")).scalars()
        return [(detail["ae_title"], detail["reason"]) for detail in map(json.loads, rows)]


def test_dcmtk_with_the_right_certificate_is_let_in(
    tmp_path: Path, receiver: Receiver, node: Node, certificates: Certificates
) -> None:
    images = sorted(write_source(tmp_path / "source").glob("*.dcm"))
    assert send(receiver, images, dcmtk_tls(certificates.of("SCANNER")))
    assert len(list(node.spool.scan())) == len(images)
    assert refusals(node) == []


@pytest.mark.parametrize(
    ("shown", "caller", "reason"),
    [
        ("nothing", "", "TLS: it does not speak TLS"),
        ("anonymous", "", "TLS: it shows no certificate"),
        ("foreign", "", "TLS: its certificate is not accepted: "),
        ("expired", "", "TLS: its certificate is not accepted: certificate has expired"),
        ("OTHER", "SCANNER", "[[receive.peers]] says that SCANNER has another certificate"),
    ],
)
def test_dcmtk_without_the_right_certificate_is_refused_and_audited(
    tmp_path: Path,
    receiver: Receiver,
    node: Node,
    certificates: Certificates,
    shown: str,
    caller: str,
    reason: str,
) -> None:
    images = sorted(write_source(tmp_path / "source").glob("*.dcm"))
    anonymous = ["+tla", "+cf", str(certificates.folder / "authority.pem")]
    options = {"nothing": [], "anonymous": anonymous}
    assert not send(receiver, images, options[shown] if shown in options else dcmtk_tls(certificates.of(shown)))
    until("the refusal is in the audit trail", lambda: refusals(node))
    assert [(ae, said.startswith(reason)) for ae, said in refusals(node)] == [(caller, True)]
    assert list(node.spool.scan()) == []


@pytest.fixture
def derived(tmp_path: Path) -> DerivedSeries:
    thick = thick_series(write_source(tmp_path / "source"))
    return write_series(thick, thin_volume(thick), "tls", DeriveSettings(), tmp_path / "out", NOON)


def test_a_pacs_is_called_by_tls(tmp_path: Path, certificates: Certificates, derived: DerivedSeries) -> None:
    settings = SendSettings(tls=certificates.of("node"), connect_timeout_s=10, response_timeout_s=30)
    with storescp(tmp_path / "pacs", tls=certificates.of("PACS")) as pacs:
        destination = Destination("main", pacs.ae_title, HOST, pacs.port, storage_commitment=False, tls=True)
        outcomes: list[InstanceOutcome] = []
        store(destination, "THINSLICE", derived.instances, settings, outcomes.append)
        assert len(list((pacs.folder / "received").iterdir())) == len(derived.instances) == len(outcomes)


@pytest.mark.parametrize(
    ("pacs_shows", "we_show", "name", "reason"),
    [
        ("foreign", "node", "", "its certificate is not accepted"),
        ("expired", "node", "", "its certificate is not accepted: certificate has expired"),
        ("PACS", "node", "other.example.org", "its certificate is not accepted: Hostname mismatch"),
        ("PACS", "foreign", "", "it does not take our certificate"),
    ],
)
def test_a_pacs_that_cannot_be_believed_gets_nothing_and_the_reason_is_said(
    tmp_path: Path, certificates: Certificates, pacs_shows: str, we_show: str, name: str, reason: str
) -> None:
    settings = SendSettings(tls=certificates.of(we_show), connect_timeout_s=10, response_timeout_s=30)
    with storescp(tmp_path / "pacs", tls=certificates.of(pacs_shows)) as pacs:
        destination = Destination(
            "main", pacs.ae_title, HOST, pacs.port, storage_commitment=False, tls=True, tls_name=name
        )
        with pytest.raises(DestinationError, match=reason):
            echo(destination, "THINSLICE", settings)
