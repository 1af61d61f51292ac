"""An OpenID provider: where it sends people, and what it says of who came back (OpenID Connect Core 1.0, 3.1).

Authorization code with PKCE (RFC 7636). What one login needs to be told from another is derived from one secret in
the person's own browser, so nothing is kept here: ``state`` binds the answer to that browser, ``nonce`` the ID token
to this login, and the verifier the code to whoever began. No answer of the provider is quoted to anybody.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError

from dicom_node.ledger.users import Role
from worker.console.names import plain_name
from worker.console.provider import IssuerError, Provider, error_code
from worker.oidc_settings import OidcSettings

# Signed with a key that the provider alone has: neither "none" nor a secret that we share.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
LEEWAY_S = 60
LONGEST_SUBJECT = 255


@dataclass(frozen=True)
class IssuedPerson:
    """Who came, as the provider says; ``name`` in the letters of the ledger."""

    subject: str
    name: str
    role: Role


class Issuer:
    """The provider of the settings.

    Parameters
    ----------
    redirect_uri : str
        Where it sends people back to; it has to know this address.

    Attributes
    ----------
    name : str
        Its issuer identifier.
    """

    def __init__(self, settings: OidcSettings, redirect_uri: str) -> None:
        self._settings, self._redirect_uri = settings, redirect_uri
        self.name = settings.issuer
        self.provider = Provider(settings)

    def begin(self, secret: str) -> str:
        """Address to send a person to, whose browser keeps this secret. IssuerError where the provider is silent."""
        challenge = _base64(hashlib.sha256(_derived(secret, "verifier").encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(self._settings.scopes),
            "state": _derived(secret, "state"),
            "nonce": _derived(secret, "nonce"),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        at = self.provider.published().authorization_endpoint
        return f"{at}{'&' if '?' in at else '?'}{urlencode(asked)}"

    def finish(self, secret: str, answer: Mapping[str, str]) -> IssuedPerson:
        """Who came back with this answer in the address. IssuerError where they are not let in."""
        if not secret or not hmac.compare_digest(answer.get("state", "").encode(), _derived(secret, "state").encode()):
            raise IssuerError("This login was not begun here, or took too long. Begin again.")
        published = self.provider.published()
        named = answer.get("iss", "" if published.names_itself else self._settings.issuer)
        if named != self._settings.issuer:  # RFC 9207: an answer of another provider, mixed up with ours
            raise IssuerError("Another identity provider has answered than the one that was asked. Begin again.")
        if "code" not in answer:
            raise IssuerError(f"The identity provider has let nobody in ({error_code(answer)}).")
        form = {
            "grant_type": "authorization_code", "code": answer["code"], "redirect_uri": self._redirect_uri,
            "client_id": self._settings.client_id, "code_verifier": _derived(secret, "verifier"),
        }  # fmt: skip
        return self._person(self._claims(self.provider.token(form), _derived(secret, "nonce")))

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """What an ID token says, once it is known to be of this provider, for us, for this login, and of now."""
        ours = self._settings
        wanted = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": ours.issuer},
            aud={"essential": True, "value": ours.client_id},
            nonce={"essential": True, "value": nonce},
            exp={"essential": True}, iat={"essential": True}, sub={"essential": True},
        )  # fmt: skip
        try:
            claims = self._decoded(token)
            wanted.validate(claims)
        except ExpiredTokenError:
            raise IssuerError("The identity provider's word is too old; are both clocks right? Begin again.") from None
        except (InvalidClaimError, MissingClaimError) as error:
            what = error.claim if error.claim in ("iss", "aud", "nonce", "iat", "nbf", "exp", "sub") else "a claim"
            raise IssuerError(f"The identity provider's word is not for this login ({what}). Begin again.") from None
        except (JoseError, ValueError, TypeError):
            raise IssuerError("The identity provider's word is not signed by it as it should be.") from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != ours.client_id:
            raise IssuerError("The identity provider's word is for another program.")
        return claims

    def _decoded(self, token: str) -> dict[str, Any]:
        """The claims of a signed token, with the provider's keys, or its new ones."""
        try:
            return jwt.decode(token, self.provider.keys(), ALGORITHMS).claims
        except (JoseError, ValueError):
            if not self.provider.forget_keys():
                raise
            return jwt.decode(token, self.provider.keys(), ALGORITHMS).claims

    def _person(self, claims: dict[str, Any]) -> IssuedPerson:
        subject, ours = claims["sub"], self._settings
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise IssuerError("The identity provider does not say who came.")
        called = _claim(claims, ours.name_claim)
        name = plain_name(str(called) if isinstance(called, str) else "") or plain_name(subject) or "somebody"
        held = _claim(claims, ours.role_claim)
        values = {held} if isinstance(held, str) else set(map(str, held)) if isinstance(held, list) else set()
        for role in reversed(Role):
            if values & set(getattr(ours.roles, role)):
                return IssuedPerson(subject, name, role)
        raise IssuerError(f"The identity provider gives {name} no role here. Ask an admin of this node.")


def _derived(secret: str, purpose: str) -> str:
    """43 characters that tell nothing of the secret, nor of each other."""
    return _base64(hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).digest())


def _base64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim, or with dots one inside another."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
