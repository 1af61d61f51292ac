"""Calls to an OpenID provider: what it publishes of itself, its keys, and its tokens. None of its words is quoted.

Each answer has so long and is so large; no redirect is followed, and no proxy or netrc of the environment heeded.
"""

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, KeySet
from requests import RequestException, Response, Session
from requests.auth import HTTPBasicAuth

from dicom_node.errors import NodeError, SettingsError
from dicom_node.send.web import CODE, TlsAdapter
from dicom_node.settings import is_private
from dicom_node.tls import web_context
from worker.oidc_settings import OidcSettings

WELL_KNOWN = "/.well-known/openid-configuration"
LONGEST_ANSWER = 256 * 1024
# How long what the provider publishes is believed, and how soon its keys may be asked for again.
FRESH_S, KEYS_AGAIN_S = 3600.0, 60.0
# A slow provider must not hold up the whole console.
CALLS_AT_ONCE, TURN_S = 4, 2.0


class IssuerError(Exception):
    """Nobody is let in; the sentence is for the login page and the audit trail, and quotes nothing."""


@dataclass(frozen=True)
class Published:
    """What the provider publishes of itself (OpenID Connect Discovery 1.0, 3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    posts_secret: bool
    names_itself: bool


class Provider:
    """The provider of the settings. Each method raises IssuerError where it is silent or cannot be understood."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._turns = threading.BoundedSemaphore(CALLS_AT_ONCE)
        self._published: tuple[float, Published] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def published(self) -> Published:
        """What the provider publishes, asked for once an hour."""
        if self._published is None or time.monotonic() - self._published[0] > FRESH_S:
            self._published = (time.monotonic(), self._discovered())
        return self._published[1]

    def _discovered(self) -> Published:
        status, found = self._call("GET", self._settings.issuer.rstrip("/") + WELL_KNOWN)
        if status != 200 or found.get("issuer") != self._settings.issuer:
            raise IssuerError("The identity provider does not call itself what [console.oidc] issuer says.")
        ends = {name: found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
        if not all(isinstance(end, str) and is_private(end) for end in ends.values()):
            raise IssuerError("The identity provider does not name its addresses, or not by https.")
        ways = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        names_itself = found.get("authorization_response_iss_parameter_supported") is True
        posts_secret = "client_secret_basic" not in ways
        return Published(
            **{name: str(end) for name, end in ends.items()}, posts_secret=posts_secret, names_itself=names_itself
        )

    def keys(self) -> KeySet:
        """Its public keys, asked for once an hour; those of a kind that is not known here are left out."""
        known = self._keys
        if known is None or time.monotonic() - known[0] > FRESH_S:
            status, found = self._call("GET", self.published().jwks_uri)
            listed = found.get("keys")
            if status != 200 or not isinstance(listed, list):
                raise IssuerError("The identity provider does not give its keys.")
            keys = []
            for one in listed:
                with contextlib.suppress(JoseError, ValueError, TypeError, KeyError, AttributeError):
                    keys.append(JWKRegistry.import_key(one))
            self._keys = known = (time.monotonic(), KeySet(keys))
        return known[1]

    def forget_keys(self) -> bool:
        """Have its keys asked for anew, as it may have others by now; False where they just were."""
        known = self._keys
        if known is not None and time.monotonic() - known[0] < KEYS_AGAIN_S:
            return False
        self._keys = None
        return True

    def token(self, form: Mapping[str, str]) -> str:
        """The ID token that it gives for this form (RFC 6749 4.1.3), which gets who we are added."""
        sent, ours, auth = dict(form), secret_of(self._settings), None
        if ours and self.published().posts_secret:
            sent["client_secret"] = ours
        elif ours:
            auth = HTTPBasicAuth(quote(self._settings.client_id, safe=""), quote(ours, safe=""))
        status, found = self._call("POST", self.published().token_endpoint, data=sent, auth=auth)
        token = found.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise IssuerError(f"The identity provider does not take this login ({error_code(found)}). Begin again.")
        return token

    def _call(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer; an empty one for JSON of another kind."""
        if not self._turns.acquire(timeout=TURN_S):
            raise IssuerError("Too many people log in at once. Try again in a moment.")
        try:
            with _session(self._settings) as session, session.request(
                method, url, stream=True, allow_redirects=False, timeout=self._settings.timeout_s, **more
            ) as answer:  # fmt: skip
                content = json.loads(_bounded(answer, time.monotonic() + self._settings.timeout_s))
        except (RequestException, OSError, NodeError) as error:
            sentence = str(error) if isinstance(error, SettingsError) else "The identity provider does not answer."
            raise IssuerError(sentence) from error
        except ValueError as error:
            raise IssuerError("The identity provider's answer cannot be read.") from error
        finally:
            self._turns.release()
        return answer.status_code, content if isinstance(content, dict) else {}


def secret_of(settings: OidcSettings) -> str:
    """Our secret, read anew so that a renewed one counts; empty for a public client. SettingsError: cannot be read."""
    path = settings.client_secret_file
    if path is None:
        return ""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"[console.oidc] client_secret_file {path} cannot be read") from error
    if not secret or not secret.isprintable():
        raise SettingsError(f"[console.oidc] client_secret_file {path} has to hold one line of text")
    return secret


def error_code(answer: Mapping[str, Any]) -> str:
    """Its error code (RFC 6749 4.1.2.1, 5.2), where it is one: it may come by way of a stranger."""
    code = answer.get("error")
    return code if isinstance(code, str) and CODE.fullmatch(code) else "no reason given"


def _session(settings: OidcSettings) -> Session:
    session = Session()
    session.trust_env = False
    session.verify = True if settings.authorities is None else str(settings.authorities)
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
    session.mount("https://", TlsAdapter(web_context(None, None, settings.authorities)))
    return session


def _bounded(answer: Response, until: float) -> bytes:
    content = b""
    while part := answer.raw.read1(8192):
        content += part
        if len(content) > LONGEST_ANSWER or time.monotonic() > until:
            raise ValueError
    return content
