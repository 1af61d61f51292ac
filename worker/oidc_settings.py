"""[console.oidc]: an OpenID provider by which people come in; its keys as settings.toml has them."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from dicom_node.settings import PlainUrl, Table, is_private

Claim = Annotated[str, StringConstraints(pattern=r"^[^\s]{1,200}$")]


def _unread_on_the_way(url: str) -> str:
    if not is_private(url):
        raise ValueError("who people are would be told without encryption: use https")
    return url


class OidcRoles(Table):
    """[console.oidc.roles]: what the role claim has to hold for each role; the highest one counts."""

    viewer: tuple[str, ...] = ()
    operator: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()


class OidcSettings(Table):
    """[console.oidc]."""

    issuer: Annotated[PlainUrl, AfterValidator(_unread_on_the_way), StringConstraints(max_length=255)]
    client_id: Annotated[str, StringConstraints(min_length=1)]
    client_secret_file: Path | None = None
    authorities: Path | None = None
    scopes: tuple[Claim, ...] = ("openid", "profile")
    name_claim: Claim = "preferred_username"
    role_claim: Claim = "roles"
    roles: OidcRoles
    button: Annotated[str, StringConstraints(min_length=1, max_length=80)] = "Log in with your hospital account"
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0

    @model_validator(mode="after")
    def _lets_somebody_in(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError('scopes needs "openid": without it nobody says who came')
        if not (self.roles.viewer or self.roles.operator or self.roles.admin):
            raise ValueError("roles names nothing that lets anybody in: give viewer, operator or admin a value")
        return self

    def anchored(self, base: Path) -> "OidcSettings":
        """The same with relative paths taken from the settings file's folder."""
        files = ("client_secret_file", "authorities")
        return self.model_copy(update={key: file and base / file for key in files for file in [getattr(self, key)]})
