"""The console by TLS of its own, and what it says of a certificate that cannot be used."""

import ssl
import urllib.request
from pathlib import Path

import pytest

from dicom_node.errors import SettingsError
from tests.certificates import make_certificates
from tests.unit.worker.nodes import open_at
from worker.console.serving import ConsoleServer


def test_it_speaks_tls_where_it_has_a_certificate(tmp_path: Path) -> None:
    tls = make_certificates(tmp_path).of("node")
    node = open_at(tmp_path, console=f'port = 0\ncertificate = "{tls.certificate}"\nkey = "{tls.key}"')
    server = ConsoleServer(node)
    server.start()
    try:
        assert server.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=tls.authorities)
        with urllib.request.urlopen(f"{server.url}/login", timeout=20, context=context) as answer:
            cookies = answer.headers.get_all("Set-Cookie")
            assert answer.headers["Strict-Transport-Security"]
        assert all("Secure" in cookie for cookie in cookies)
    finally:
        server.stop()


def test_a_certificate_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    tls = make_certificates(tmp_path)
    node = open_at(
        tmp_path, console=f'port = 0\ncertificate = "{tls.of("node").certificate}"\nkey = "{tls.of("OTHER").key}"'
    )
    with pytest.raises(SettingsError, match="certificate and key cannot be used"):
        ConsoleServer(node)


def test_a_certificate_comes_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give both or neither"):
        open_at(tmp_path, console='port = 0\ncertificate = "a.pem"')
