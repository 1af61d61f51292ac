"""OpenID providers: a real one in a process of its own, and one that lies as a test tells it to."""

import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.processes import answers, free_port, running

CLIENT = "thinslice"


@cache
def signing_key(kid: str) -> RSAKey:
    """A key of this number; making one takes a moment."""
    return RSAKey.generate_key(2048, {"kid": kid})


@contextmanager
def provider(folder: Path, **people: dict[str, Any]) -> Iterator[str]:
    """A provider at which anybody logs in by their subject alone; gives its issuer.

    Parameters
    ----------
    people : dict by str
        Claims by subject.
    """
    port = free_port()
    claims = [("--user-claims", json.dumps({"sub": name, **more})) for name, more in people.items()]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    command += [word for pair in claims for word in pair]
    issuer = f"http://localhost:{port}"  # another site than 127.0.0.1, as a real one is
    with running(command, folder, lambda: answers(f"{issuer}/.well-known/openid-configuration"), name="openid"):
        yield issuer


@dataclass
class Liar:
    """A provider that lets everybody in, and says what a test has it say.

    Attributes
    ----------
    claims : dict
        What its ID token says besides or instead of the truth; None leaves a claim out.
    header : dict
        The same of the token's header; alg "none" leaves the signature out.
    published : dict
        The same of what it publishes of itself.
    answer : dict or None
        What its token endpoint answers instead of a token.
    """

    issuer: str
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    key: RSAKey = field(default_factory=lambda: signing_key("one"))
    shown_key: RSAKey | None = None
    logins: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def authorize(self, address: str) -> str:
        """What a browser does that is sent here: where it is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        code = f"code{len(self.logins)}"
        self.logins[code] = asked
        return f"{urlsplit(asked['redirect_uri']).path}?{urlencode({'code': code, 'state': asked['state']})}"

    def get(self, path: str) -> dict[str, Any]:
        """What it publishes."""
        self.asked.append(path)
        if path == "/jwks":
            return {"keys": [{"kty": "of another world"}, (self.shown_key or self.key).as_dict(private=False)]}
        ends = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/jwks"}
        return {"issuer": self.issuer} | {name: self.issuer + end for name, end in ends.items()} | self.published

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """An ID token for a code that was not used yet, by whoever began (RFC 7636 4.6)."""
        if self.answer is not None:
            return 200, self.answer
        login = self.logins.pop(form["code"], None)
        challenge = _base64(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
        if login is None or challenge != login["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        said = {
            "iss": self.issuer, "aud": CLIENT, "sub": "4711", "nonce": login["nonce"], "iat": now, "exp": now + 60,
            "preferred_username": "Ada", "roles": ["ct-operators"],
        } | self.claims  # fmt: skip
        return 200, {"id_token": self._signed({name: value for name, value in said.items() if value is not None})}

    def _signed(self, claims: dict[str, Any]) -> str:
        header = {"alg": "RS256", "kid": "one"} | self.header
        if header["alg"] == "RS256":
            return jwt.encode(header, claims, self.key)
        parts = b".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        # HS256: our public key, taken for a secret that both know; none: nothing
        secret = self.key.as_pem(private=False)
        seal = hmac.digest(secret, parts, "sha256") if header["alg"] == "HS256" else b""
        return f"{parts.decode()}.{_base64(seal).decode()}"


@contextmanager
def liar() -> Iterator[Liar]:
    """Such a provider, on its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(200, one.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._say(*one.token({name: values[0] for name, values in parse_qs(body).items()}))

        def log_message(self, *_arguments: object) -> None:
            pass

        def _say(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        one = Liar(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield one
        server.shutdown()
        thread.join()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
