"""Calling a DICOMweb service: who we are, whom we believe, and what its answers mean in one sentence.

Secrets are read from their files for every session, so that a renewed one counts at once, and appear in no message.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Any, cast

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from requests import RequestException, Response, Session
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.exceptions import (
    ChunkedEncodingError,
    HTTPError,
    InvalidJSONError,
    JSONDecodeError,
    SSLError,
    Timeout,
    TooManyRedirects,
)
from requests.exceptions import ConnectionError as NoConnection
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from dicom_node.destinations import WebDestination
from dicom_node.errors import DestinationError, DestinationRefused, SettingsError
from dicom_node.settings import SendSettings
from dicom_node.tls import web_context

# What an admin does about a status (RFC 9110 15); others say nothing but their number.
ADVICE = {
    400: "it does not understand the request",
    401: "it does not accept who we say we are: check auth and its keys in [[send.dicomweb]]",
    403: "we may not do this: have it allow us to store and to query",
    404: "there is no such service: check url in [[send.dicomweb]]",
    405: "it does not offer this service: check url in [[send.dicomweb]]",
    406: "it does not give images as they are stored",
    413: "it takes no body as large as one instance: raise its limit",
    415: "it does not take this kind of data",
    501: "it does not offer this service",
}
MAY_PASS = frozenset({408, 409, 423, 425, 429})
# Error codes of a token service (RFC 6749 5.2); anything else it says is not repeated.
CODE = re.compile(r"[a-z_]{1,40}")
PASSING = frozenset({"server_error", "temporarily_unavailable", "slow_down"})


class TlsAdapter(HTTPAdapter):
    """Connections in our TLS profile, with our certificate."""

    def __init__(self, context: SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """As requests does it, with our context."""
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)


@contextmanager
def session(destination: WebDestination, settings: SendSettings) -> Iterator[Session]:
    """A session that says who we are with every request, follows no redirect and heeds no proxy of the environment.

    Raises
    ------
    DestinationError
        The service, or its token service, cannot be reached, does not answer, or breaks off.
    DestinationRefused
        One of them refuses us.
    SettingsError
        A file that is named for it cannot be used.
    """
    try:
        with _session(destination, settings) as opened:
            yield opened
    except RequestException as error:
        if isinstance(error, HTTPError) and error.response is not None:
            raise refusal(destination, error.response) from error
        raise _trouble(destination, error) from error
    except AuthlibBaseError as error:
        code = error.error if CODE.fullmatch(error.error or "") else "no reason that it may say"
        kind = DestinationError if code in PASSING else DestinationRefused
        raise kind(
            f"{_who(destination, destination.token_url)} refuses us ({code}): check client_id, secret_file and scope"
        ) from error


def limits(settings: SendSettings) -> tuple[float, float]:
    """Seconds to connect, and to wait for an answer."""
    return settings.connect_timeout_s, settings.response_timeout_s


def refusal(destination: WebDestination, answer: Response) -> DestinationError:
    """The error that an answer's status stands for."""
    status = answer.status_code
    advice = f": {ADVICE[status]}" if status in ADVICE else ""
    permanent = (400 <= status < 500 and status not in MAY_PASS) or status in {501, 505}
    kind = DestinationRefused if permanent else DestinationError
    return kind(f"{_who(destination, answer.url)} answered HTTP {status}{advice}")


def check_files(destination: WebDestination) -> None:
    """SettingsError where a file that is named for it cannot be used; the sentence says which."""
    web_context(destination.certificate, destination.key, destination.authorities)
    if destination.auth != "none":
        _secret(destination)


def _session(destination: WebDestination, settings: SendSettings) -> Session:
    context = web_context(destination.certificate, destination.key, destination.authorities)
    secret = _secret(destination) if destination.auth != "none" else ""
    opened = _token_session(destination, secret, settings) if destination.auth == "oauth" else Session()
    opened.trust_env = False
    opened.max_redirects = 0
    opened.verify = True if destination.authorities is None else str(destination.authorities)
    opened.mount("https://", TlsAdapter(context))
    match destination.auth:
        case "basic":
            opened.auth = HTTPBasicAuth(destination.username.encode(), secret.encode())
        case "bearer":
            opened.headers["Authorization"] = f"Bearer {secret}"
    return opened


def _token_session(destination: WebDestination, secret: str, settings: SendSettings) -> Session:
    """A session that gets a token by client credentials (RFC 6749 4.4), and a new one when it runs out."""
    opened: Any = OAuth2Session(  # type: ignore[no-untyped-call]
        destination.client_id,
        secret,
        token={"access_token": "", "expires_at": 0},  # run out: the first request gets one
        scope=destination.scope or None,
        token_endpoint=destination.token_url,
        grant_type="client_credentials",
        default_timeout=limits(settings),
    )
    opened.register_compliance_hook("access_token_response", _token_answer)
    return cast(Session, opened)


def _token_answer(answer: Response) -> Response:
    """A token service's answer, if it is one; Authlib would raise no error of requests."""
    try:
        content = answer.json()
    except JSONDecodeError:
        content = None
    if not isinstance(content, dict) or "error" not in content:
        answer.raise_for_status()
    if not isinstance(content, dict):
        raise InvalidJSONError(request=answer.request)
    return answer


def _secret(destination: WebDestination) -> str:
    path = destination.secret_file or Path()
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"secret_file {path} of DICOMweb {destination.name} cannot be read") from error
    if not secret or not secret.isprintable() or (destination.auth == "bearer" and not secret.isascii()):
        raise SettingsError(f"secret_file {path} of DICOMweb {destination.name} has to hold one line of text")
    return secret


def _who(destination: WebDestination, url: str | None) -> str:
    """Who is spoken of: the service, or where its tokens come from."""
    return f"{'the token service of ' if url and url == destination.token_url else ''}DICOMweb {destination.name}"


def _trouble(destination: WebDestination, error: RequestException) -> DestinationError:
    """One sentence for what went wrong below HTTP. Nothing of the error itself: it may quote what was sent."""
    url = str(error.request.url) if error.request is not None else destination.url
    place = f"{_who(destination, url)} ({destination.token_url if url == destination.token_url else destination.url})"
    cause = next(iter(error.args), None)
    match error:
        case SSLError():
            return DestinationError(
                f"{place}: no TLS comes about: its certificate is not one of authorities, or it does not take ours"
            )
        case TooManyRedirects():
            return DestinationRefused(f"{place} sends us elsewhere: write its own address in url")
        case Timeout():
            return DestinationError(f"{place} does not answer in time")
        case NoConnection() if isinstance(cause, ReadTimeoutError):  # in the middle of an answer
            return DestinationError(f"{place} does not go on in time")
        case NoConnection() if not isinstance(cause, ProtocolError):
            return DestinationError(f"{place} cannot be reached: check that it runs, its url, and the firewall")
        case NoConnection() | ChunkedEncodingError():
            return DestinationError(f"{place} broke off")
    return DestinationError(f"{place} gives an answer that cannot be read")
