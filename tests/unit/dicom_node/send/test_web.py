"""Who we are, whom we believe, and that secrets go nowhere else."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_node.destinations import WebDestination
from dicom_node.errors import DestinationError, DestinationRefused, NodeError, SettingsError
from dicom_node.send import qido
from dicom_node.send.web import check_files
from dicom_node.settings import SendSettings
from tests.certificates import Certificates, make_certificates
from tests.unit.dicom_node.send.slices import result_of, uids_of
from tests.web_service import Answer, WebService, web_service

SETTINGS = SendSettings(connect_timeout_s=3, response_timeout_s=3)
SECRET = "open-sesame"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def service() -> Iterator[WebService]:
    with web_service() as running:
        yield running


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    return path


def echo(destination: WebDestination) -> None:
    qido.echo(destination, "NODE", SETTINGS)


def with_tokens(service: WebService, secret_file: Path) -> WebDestination:
    url = service.url.replace("/dicom-web", "/token")
    return WebDestination("cloud", service.url, "oauth", "", secret_file, url, "thinslice", "dicomweb")


def test_basic_says_user_and_password(service: WebService, secret_file: Path) -> None:
    destination = WebDestination("cloud", service.url, "basic", "Jörg", secret_file)
    service.authorization = "Basic " + b64encode(f"Jörg:{SECRET}".encode()).decode()
    echo(destination)


def test_a_renewed_secret_counts_at_once(service: WebService, secret_file: Path) -> None:
    destination = WebDestination("cloud", service.url, "bearer", secret_file=secret_file)
    service.authorization = f"Bearer {SECRET}"
    echo(destination)
    service.authorization = "Bearer another"
    with pytest.raises(DestinationRefused, match="HTTP 401"):
        echo(destination)
    secret_file.write_text("another")
    echo(destination)


def test_a_token_is_fetched_and_renewed_when_it_runs_out(
    service: WebService, secret_file: Path, tmp_path: Path
) -> None:
    result, destination = result_of(tmp_path / "slices"), with_tokens(service, secret_file)
    service.held, service.page = dict.fromkeys(uids_of(result), b""), 3
    assert len(qido.held(destination, "NODE", result, SETTINGS)) == 6
    assert service.tokens == [{"grant_type": ["client_credentials"], "scope": ["dicomweb"]}]
    assert len(service.queries) == 3
    service.token_lives_s = 1  # and each counts only until the next one
    assert len(qido.held(destination, "NODE", result, SETTINGS)) == 6
    assert len(service.tokens) == 4


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (Answer(401, body=b'{"error": "invalid_client"}'), DestinationRefused, r"refuses us \(invalid_client\): check"),
        (Answer(400, body=b'{"error": "not so fast: open-sesame"}'), DestinationRefused, r"\(no reason"),
        (Answer(401, body=b"<html>"), DestinationRefused, "HTTP 401"),
        (Answer(400, body=b'{"error": "temporarily_unavailable"}'), DestinationError, "temporarily_unavailable"),
        (Answer(429, body=b'{"message": "too many"}'), DestinationError, "HTTP 429"),
        (Answer(503), DestinationError, "HTTP 503"),
        (Answer(200, body=b"[]"), DestinationError, "cannot be read"),
        (Answer(200, body=b"{}"), DestinationRefused, "refuses us"),
        (Answer(cut=True), DestinationError, "broke off"),
        (Answer(302, headers={"Location": "http://127.0.0.1:1/"}), DestinationRefused, "sends us elsewhere"),
    ],
)
def test_a_token_service_in_trouble_is_named(
    service: WebService, secret_file: Path, answer: Answer, kind: type[DestinationError], sentence: str
) -> None:
    service.on_token = answer
    with pytest.raises(DestinationError, match=f"the token service of DICOMweb cloud.*{sentence}") as failure:
        echo(with_tokens(service, secret_file))
    assert type(failure.value) is kind
    assert SECRET not in str(failure.value)
    assert service.queries == []


def test_no_redirect_is_followed(service: WebService, secret_file: Path) -> None:
    """A service must not be able to send our secret anywhere."""
    with web_service() as other:
        service.on_query = Answer(307, headers={"Location": f"{other.url}/instances"})
        with pytest.raises(DestinationRefused, match="sends us elsewhere: write its own address in url"):
            echo(WebDestination("cloud", service.url, "bearer", secret_file=secret_file))
        assert other.said == []


def test_no_proxy_of_the_environment_hears_of_it(service: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    echo(WebDestination("cloud", service.url))


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "ключ", None, b"\xff"])
def test_a_secret_that_is_none_is_the_admins_business(
    service: WebService, secret_file: Path, content: str | bytes | None
) -> None:
    secret_file.unlink()
    if content is not None:
        secret_file.write_bytes(content.encode() if isinstance(content, str) else content)
    destination = WebDestination("cloud", service.url, "bearer", secret_file=secret_file)
    for act in (echo, check_files):
        with pytest.raises(SettingsError, match=f"secret_file {secret_file} of DICOMweb cloud"):
            act(destination)


def test_certificates_are_shown_both_ways(certificates: Certificates) -> None:
    ours = certificates.of("node")
    with web_service(certificates) as service:
        destination = WebDestination("cloud", service.url, **dict(ours))
        check_files(destination)
        echo(destination)
        for refused in (
            replace(destination, certificate=None, key=None),
            replace(destination, authorities=None),
            WebDestination("cloud", service.url, **dict(certificates.of("foreign"))),
        ):
            with pytest.raises(DestinationError, match=r"no TLS comes about|broke off"):
                echo(refused)
    with web_service(certificates, "foreign") as service, pytest.raises(DestinationError, match="no TLS comes about"):
        echo(replace(destination, url=service.url))


def test_a_tls_file_that_is_missing_is_named(certificates: Certificates, tmp_path: Path) -> None:
    destination = WebDestination("cloud", "https://127.0.0.1:1", **dict(certificates.of("node")))
    for key in ("certificate", "key", "authorities"):
        with pytest.raises(NodeError, match=f"{key}\\) does not exist"):
            check_files(replace(destination, **{key: tmp_path / "nowhere"}))
