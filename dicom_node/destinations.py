"""What results go to: a PACS, a DICOMweb service or a folder. Made by the worker from the settings."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Destination:
    """A PACS that derived series go to by C-STORE, or a scanner that a storage commitment is reported to.

    Attributes
    ----------
    name : str
        The admin's name for it, unique among all destinations; a scanner's AE title.
    storage_commitment : bool
        Ask for storage commitment before C-FIND.
    tls : bool
        Call it by TLS.
    tls_name : str
        The name that its certificate must bear; empty: ``host``.
    compression : str
        Of images, where it takes them so: none, jpeg-ls, jpeg2000 or rle.
    kind : str
        What it is, for people.
    """

    name: str
    ae_title: str
    host: str
    port: int
    storage_commitment: bool
    tls: bool = False
    tls_name: str = ""
    compression: str = "none"
    kind: str = "PACS"

    @property
    def title(self) -> str:
        """What it is and its name, for people."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class WebDestination:
    """A DICOMweb service that derived series go to by STOW-RS.

    Attributes
    ----------
    url : str
        The root of the service (PS3.18 8.2), without what follows ``/studies``.
    auth : str
        none, basic, bearer or oauth.
    secret_file : Path or None
        Holds the password, the token or the client's secret.
    authorities : Path or None
        Whose certificates are believed; None: the public authorities.
    certificate, key : Path or None
        What we show by TLS.
    """

    name: str
    url: str
    auth: str = "none"
    username: str = ""
    secret_file: Path | None = None
    token_url: str | None = None
    client_id: str = ""
    scope: str = ""
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class FolderDestination:
    """An existing folder that derived series are written into."""

    name: str
    path: Path


AnyDestination = Destination | WebDestination | FolderDestination
