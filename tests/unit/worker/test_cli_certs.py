"""`thinslice certs` makes what [receive.tls], [send.tls] and [[receive.peers]] ask for, and says how to write them."""

import ssl
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node.errors import SettingsError
from worker.cli.main import app
from worker.settings import load


def run(*arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"}).invoke(app, ["certs", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_what_it_prints_can_be_pasted_into_the_settings(tmp_path: Path) -> None:
    said = run(str(tmp_path / "tls"), "--host", "node.example.org", "--peer", "CT1")
    files, _, peers = said.partition("\n")[2].partition("[[receive.peers]]")
    assert list(tomllib.loads(files)) == ["certificate", "key", "authorities"]
    path = tmp_path / "settings.toml"
    path.write_text(f"[receive]\n[receive.tls]\nport = 0\n{files}\n[send.tls]\n{files}\n[[receive.peers]]{peers}")
    settings = load(path)
    assert settings.receive.tls is not None
    assert settings.receive.tls.certificate == tmp_path / "tls" / "node.pem"
    assert [(peer.ae_title, peer.certificates) for peer in settings.receive.peers] == [("CT1", ("CT1",))]
    assert run_check(path).startswith("ok  settings")


def run_check(path: Path) -> str:
    result = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"}).invoke(app, ["check-config", "--config", str(path)])
    assert result.exception is None, result.exception
    return result.output


def test_keys_are_their_owners_alone_and_certificates_say_what_they_are_for(tmp_path: Path) -> None:
    run(str(tmp_path), "--host", "node.example.org", "--host", "10.1.2.3")
    assert {path.name for path in tmp_path.iterdir()} == {"authority.pem", "node.pem", "node-key.pem"}
    assert (tmp_path / "node-key.pem").stat().st_mode & 0o077 == 0
    shown = ssl._ssl._test_decode_cert(str(tmp_path / "node.pem"))  # type: ignore[attr-defined] # the one reader in ssl
    assert shown["subjectAltName"] == (("DNS", "node.example.org"), ("IP Address", "10.1.2.3"))


def test_certificates_that_are_there_are_not_overwritten(tmp_path: Path) -> None:
    run(str(tmp_path))
    with pytest.raises(SettingsError, match="has certificates already"):
        run(str(tmp_path))


def test_a_pacs_by_tls_without_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[[send.pacs]]\nname = "a"\nae_title = "A"\nhost = "h"\nport = 1\ntls = true')
    with pytest.raises(SettingsError, match=r"needs the files of \[send.tls\]"):
        load(path)
