"""Who may speak TLS to the listener, with real handshakes; DCMTK's own are in tests/integration/test_tls.py."""

import hashlib
import socket
import ssl
import time
import warnings
from contextlib import ExitStack
from pathlib import Path

import pytest
from pynetdicom.association import Association

from dicom_node.errors import SettingsError
from dicom_node.tls import client_context, server_context
from tests.certificates import Certificates, make_certificates
from tests.unit.dicom_node.receive.harness import Recorder, associate, ct_slice, encoded, running, send, store

STORED = 0x0000


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def listening(certificates: Certificates) -> dict[str, object]:
    """Settings of a listener that speaks TLS alone, to one scanner by its certificate."""
    return {
        "port": None,
        "tls": {**certificates.of("node").model_dump(), "port": 0},
        "peers": ({"ae_title": "SCANNER", "certificates": ("SCANNER",)},),
    }


def call(address: tuple[str, int], context: ssl.SSLContext, **options: object) -> Association:
    return associate(address, tls_args=(context, "localhost"), **options)


def test_a_scanner_with_its_certificate_is_let_in(tmp_path: Path, certificates: Certificates):
    told = Recorder()
    with running(tmp_path, told.callbacks(), **listening(certificates)) as listener:
        assert list(listener.addresses) == ["tls"]
        association = call(listener.address, client_context(certificates.of("SCANNER")))
        image = ct_slice()
        assert store(association, encoded(image), image.SOPInstanceUID) == STORED
        association.release()
    assert [each.calling_ae for each in told.received] == ["SCANNER"]
    assert told.refused == []


def without_a_certificate(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificates.folder / "authority.pem")
    context.check_hostname = False
    return context


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (None, "TLS: it shows no certificate"),
        ("foreign", "TLS: its certificate is not accepted: "),
        ("expired", "TLS: its certificate is not accepted: certificate has expired"),
        ("OTHER", "[[receive.peers]] says that SCANNER has another certificate"),
    ],
)
def test_a_caller_without_the_right_certificate_is_refused(
    tmp_path: Path, certificates: Certificates, shown: str | None, reason: str
):
    told = Recorder()
    context = client_context(certificates.of(shown)) if shown else without_a_certificate(certificates)
    with running(tmp_path, told.callbacks(), **listening(certificates)) as listener:
        assert not call(listener.address, context).is_established
        good = call(listener.address, client_context(certificates.of("SCANNER")))
        assert good.is_established
        good.release()
    assert len(told.refused) == 1
    assert told.refused[0].reason.startswith(reason)


def test_a_scanner_that_comes_without_tls_to_the_tls_port_is_refused(tmp_path: Path, certificates: Certificates):
    told = Recorder()
    with running(tmp_path, told.callbacks(), **listening(certificates)) as listener:
        assert not associate(listener.address).is_established
    assert [each.reason for each in told.refused] == ["TLS: it does not speak TLS"]


def test_a_scanner_that_has_a_certificate_may_not_come_without_on_the_plain_port(
    tmp_path: Path, certificates: Certificates
):
    told = Recorder()
    with running(tmp_path, told.callbacks(), **{**listening(certificates), "port": 0}) as listener:
        assert list(listener.addresses) == ["plain", "tls"]
        assert associate(listener.addresses["plain"]).is_rejected
    assert [each.reason for each in told.refused] == [
        "[[receive.peers]] has certificates for SCANNER, and it came without TLS"
    ]


def test_a_certificate_may_be_named_by_its_fingerprint(tmp_path: Path, certificates: Certificates):
    der = ssl.PEM_cert_to_DER_cert((certificates.folder / "OTHER.pem").read_text())
    fingerprint = f"SHA256:{hashlib.sha256(der).digest().hex(':').upper()}"  # as openssl prints it
    settings = {**listening(certificates), "peers": ({"ae_title": "SCANNER", "certificates": (fingerprint,)},)}
    with running(tmp_path, **settings) as listener:
        association = call(listener.address, client_context(certificates.of("OTHER")))
        assert association.is_established
        association.release()


def test_one_that_never_shakes_hands_keeps_nobody_waiting(tmp_path: Path, certificates: Certificates):
    told = Recorder()
    with running(tmp_path, told.callbacks(), **listening(certificates)) as listener, ExitStack() as silent:
        for _ in range(10):
            silent.enter_context(socket.create_connection(listener.address))
        began = time.monotonic()
        association = call(listener.address, client_context(certificates.of("SCANNER")))
        assert association.is_established
        assert time.monotonic() - began < 3
        association.release()


def test_older_tls_than_1_2_is_not_spoken(tmp_path: Path, certificates: Certificates):
    context = client_context(certificates.of("SCANNER"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):  # Python deprecates them too
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    told = Recorder()
    with running(tmp_path, told.callbacks(), **listening(certificates)) as listener:
        assert not call(listener.address, context).is_established
    assert [each.reason for each in told.refused] == ["TLS: it offers only TLS older than 1.2"]


def test_a_listener_without_any_port_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"\[receive\] names no port"):
        running(tmp_path, port=None).__enter__()


@pytest.mark.parametrize("key", ["certificate", "key", "authorities"])
def test_tls_files_that_are_missing_or_wrong_are_named(tmp_path: Path, certificates: Certificates, key: str):
    settings = certificates.of("node")
    missing = settings.model_copy(update={key: tmp_path / "missing.pem"})
    with pytest.raises(SettingsError, match=f"missing.pem \\({key}\\) does not exist"):
        server_context(missing)
    (tmp_path / "wrong.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match=r"wrong\.pem"):
        server_context(settings.model_copy(update={key: tmp_path / "wrong.pem"}))


def test_plain_and_tls_senders_are_served_side_by_side(tmp_path: Path, certificates: Certificates):
    settings = {**listening(certificates), "port": 0, "peers": ()}
    with running(tmp_path, **settings) as listener:
        association = call(listener.addresses["tls"], client_context(certificates.of("OTHER")))
        assert association.is_established
        assert send(listener.addresses["plain"], ct_slice()) == [STORED]
        association.release()
