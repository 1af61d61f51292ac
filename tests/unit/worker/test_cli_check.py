"""`thinslice check-config` and `thinslice echo` know every kind of destination, and tell no secret."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node.errors import DestinationError, DestinationRefused, SettingsError
from tests.servers import Pacs
from tests.web_service import WebService, web_service
from worker.cli.main import app

SECRET = "open-sesame"


@pytest.fixture
def service() -> Iterator[WebService]:
    with web_service() as running:
        running.authorization = f"Bearer {SECRET}"
        yield running


@pytest.fixture
def settings(tmp_path: Path, service: WebService) -> Path:
    """A node with a service and a folder."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "watched").mkdir()
    path = tmp_path / "settings.toml"
    path.write_text(f"""
[receive]
port = 0
[engine]
network = "cubic"
[[send.dicomweb]]
name = "cloud"
url = "{service.url}"
auth = "bearer"
secret_file = "secret"
[[send.folder]]
name = "research"
path = "watched"
[[notices.webhook]]
name = "chat"
url = "http://127.0.0.1:1/{SECRET}"
secret_file = "secret"
""")
    return path


def run(settings: Path, *arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"}).invoke(app, [*arguments, "--config", str(settings)])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_check_config_lists_every_destination(settings: Path, service: WebService) -> None:
    said = run(settings, "check-config")
    assert f"    dicomweb   cloud: {service.url}, not encrypted; try `thinslice echo cloud`" in said
    assert f"    folder     research: {settings.parent / 'watched'}; try `thinslice echo research`" in said
    assert "    notices    chat, not encrypted; try `thinslice notices test chat`" in said
    assert SECRET not in said
    assert service.said == []


def test_check_config_names_a_secret_that_is_not_there(settings: Path) -> None:
    (settings.parent / "secret").unlink()
    with pytest.raises(SettingsError, match=r"secret_file .* of DICOMweb cloud cannot be read"):
        run(settings, "check-config")


def test_echo_tries_a_service(settings: Path, service: WebService) -> None:
    assert run(settings, "echo", "cloud") == f"ok  cloud: {service.url} answers\n"
    service.authorization = "Bearer another"
    with pytest.raises(DestinationRefused, match="HTTP 401"):
        run(settings, "echo", "cloud")


def test_echo_tries_a_folder(settings: Path) -> None:
    assert run(settings, "echo", "research").endswith("watched answers\n")
    (settings.parent / "watched").rmdir()
    with pytest.raises(DestinationError, match="is not there: mount it, or make it"):
        run(settings, "echo", "research")


def test_echo_tries_a_pacs_and_names_what_there_is(settings: Path, storescp_server: Pacs) -> None:
    pacs = f'[[send.pacs]]\nname = "main"\nae_title = "STORESCP"\nhost = "127.0.0.1"\nport = {storescp_server.port}\n'
    settings.write_text(settings.read_text() + pacs)
    assert run(settings, "echo", "main") == f"ok  main: STORESCP on 127.0.0.1:{storescp_server.port} answers\n"
    with pytest.raises(SettingsError, match="no destination 'mian'; it names: main, cloud, research"):
        run(settings, "echo", "mian")
