"""What the node's rooms can be told. The worker passes the values in; nothing here reads a file."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    StringConstraints,
    field_validator,
    model_validator,
)

AETitle = Annotated[str, StringConstraints(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$")]
Port = Annotated[int, Field(ge=0, le=65535)]
Pattern = Annotated[str, StringConstraints(max_length=64)]
# One pattern may stand without brackets.
Patterns = Annotated[tuple[Pattern, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
Millimetres = Annotated[float, Field(gt=0)]
DestinationName = Annotated[str, Field(min_length=1, max_length=64)]


def _plain_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it begins with https:// and a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("no user, password, ? or # belongs here: who we are is said by auth")
    return url


PlainUrl = Annotated[str, AfterValidator(_plain_url)]


class Table(BaseModel):
    """One table of settings.toml: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsSettings(Table):
    """[send.tls]: what we show, and whom we believe; PEM files."""

    certificate: Path
    key: Path
    authorities: Path


class ListenerTlsSettings(TlsSettings):
    """[receive.tls]: the listener for scanners that speak TLS."""

    port: Port = 2762


class PeerSettings(Table):
    """One [[receive.peers]]: who may send; what is left out is not asked for.

    ``host`` and ``port`` are where storage commitments are reported to; a peer without them may not ask for one.
    """

    ae_title: AETitle
    addresses: tuple[IPvAnyNetwork, ...] = ()
    certificates: tuple[str, ...] = ()
    host: str = ""
    port: Port | None = None
    tls: bool = False
    tls_name: str = ""

    @property
    def has_address(self) -> bool:
        """Whether we can call it."""
        return bool(self.host) and self.port is not None

    @model_validator(mode="after")
    def _whole_address(self) -> Self:
        if bool(self.host) != (self.port is not None):
            raise ValueError("host and port of a peer go together: give both or none")
        return self

    @field_validator("certificates")
    @classmethod
    def _plain_fingerprints(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Fingerprints as programs print them: in capitals, with colons between the bytes."""
        return tuple(_fingerprint(name) for name in names)


def _fingerprint(name: str) -> str:
    kind, colon, digits = name.partition(":")
    if not colon or kind.lower() != "sha256":
        return name
    plain = digits.replace(":", "").lower()
    if not re.fullmatch("[0-9a-f]{64}", plain):
        raise ValueError("a fingerprint is sha256: and 64 hexadecimal digits")
    return f"sha256:{plain}"


class ReceiveSettings(Table):
    """[receive]: the listener for scanners."""

    ae_title: AETitle = "THINSLICE"
    host: str = "127.0.0.1"
    port: Port | None = None
    tls: ListenerTlsSettings | None = None
    peers: tuple[PeerSettings, ...] = ()
    share_port: bool = False
    require_called_ae_title: bool = True
    maximum_associations: int = Field(default=20, ge=1)
    maximum_associations_per_peer: int = Field(default=8, ge=1)
    connections_per_second_per_peer: float = Field(default=50.0, gt=0)
    maximum_pdu_bytes: int = Field(default=131072, ge=4096)
    maximum_instance_mb: float = Field(default=64.0, gt=0)
    maximum_instance_s: float = Field(default=300.0, gt=0)
    network_timeout_s: float = Field(default=60.0, gt=0)
    storage_commitment: bool = False
    commitment_wait_s: float = Field(default=120.0, ge=0)
    spool: Path = Path("var/spool")
    disk_full_percent: float = Field(default=95.0, gt=0, le=100)


class SeriesSettings(Table):
    """[series]: what is restored, and when a series counts as complete."""

    quiet_s: float = Field(default=60.0, ge=0)
    quiet_released_s: float = Field(default=5.0, ge=0)
    minimum_step_mm: float = Field(default=2.0, gt=0)
    maximum_step_mm: float = Field(default=10.0, gt=0)
    minimum_slices: int = Field(default=4, ge=2)
    maximum_axial_angle_deg: float = Field(default=15.0, ge=0)
    spacing_tolerance_mm: float = Field(default=0.1, gt=0)
    shear_tolerance_deg: float = Field(default=0.1, gt=0)
    maximum_shear_deg: float = Field(default=30.0, ge=0, lt=90)
    maximum_pixels: int = Field(default=2048 * 2048, ge=1)


class RuleSettings(Table):
    """One [[rules]]: which stacks it is for, and what becomes of them; what is left out is not asked for."""

    name: str = Field(min_length=1, max_length=64)
    modality: Patterns = ()
    station: Patterns = ()
    ae_title: Patterns = ()
    manufacturer: Patterns = ()
    model: Patterns = ()
    series_description: Patterns = ()
    study_description: Patterns = ()
    protocol: Patterns = ()
    body_part: Patterns = ()
    kernel: Patterns = ()
    contrast: bool | None = None
    minimum_thickness_mm: Millimetres | None = None
    maximum_thickness_mm: Millimetres | None = None
    minimum_step_mm: Millimetres | None = None
    maximum_step_mm: Millimetres | None = None
    restore: bool = True
    network: str | None = None
    target_spacing_mm: Millimetres | None = None
    priority: Literal["normal", "stat"] = "normal"
    destinations: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        """A rule that can fit nothing, or that says how to do what it forbids, is a mistake."""
        for key in ("thickness_mm", "step_mm"):
            least, most = getattr(self, f"minimum_{key}"), getattr(self, f"maximum_{key}")
            if least is not None and most is not None and least > most:
                raise ValueError(f"minimum_{key} is larger than maximum_{key}: no series fits")
        how = {"network", "target_spacing_mm", "priority", "destinations"} & self.model_fields_set
        if not self.restore and how:
            raise ValueError(f"restore = false leaves nothing for {' and '.join(sorted(how))} to say")
        return self


Form = Literal["slices", "enhanced", "report", "notice"]
IMAGES: frozenset[Form] = frozenset({"slices", "enhanced"})


class DeriveSettings(Table):
    """[derive]: what a result consists of, and how it presents itself."""

    series_number_offset: int = Field(default=1000, ge=1)
    description_suffix: str = Field(default="AI DERIVED", max_length=24)
    content_qualification: Annotated[str, StringConstraints(pattern="^(RESEARCH|SERVICE|PRODUCT)$")] = "RESEARCH"
    institution_serial_number: str = Field(default="1", max_length=64)
    forms: tuple[Form, ...] = ("slices",)
    reject_superseded: bool = False

    @field_validator("forms")
    @classmethod
    def _with_images(cls, forms: tuple[Form, ...]) -> tuple[Form, ...]:
        """In one order, whichever they were named in: the order would else make another job."""
        if not IMAGES & set(forms):
            raise ValueError("name at least slices or enhanced: nothing else holds the images")
        return tuple(form for form in get_args(Form) if form in forms)


class DestinationSettings(Table):
    """One [[send.pacs]]: a PACS that derived series go to by C-STORE."""

    name: DestinationName
    ae_title: AETitle
    host: str
    port: Port
    storage_commitment: bool = False
    tls: bool = False
    tls_name: str = ""
    compression: Literal["none", "jpeg-ls", "jpeg2000", "rle"] = "none"


class WebSettings(Table):
    """One [[send.dicomweb]]: a DICOMweb service that derived series go to by STOW-RS."""

    name: DestinationName
    url: Annotated[PlainUrl, AfterValidator(lambda url: url.rstrip("/"))]
    auth: Literal["none", "basic", "bearer", "oauth"] = "none"
    username: str = ""
    secret_file: Path | None = None
    token_url: PlainUrl | None = None
    client_id: str = ""
    scope: str = ""
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """What each way of saying who we are needs; and a secret goes over no open line."""
        needs = {"none": (), "basic": ("username", "secret_file"), "bearer": ("secret_file",)}.get(
            self.auth, ("token_url", "client_id", "secret_file")
        )
        missing = [key for key in needs if not getattr(self, key)]
        if missing:
            raise ValueError(f'auth = "{self.auth}" needs {" and ".join(missing)}')
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if self.auth != "none" and not all(is_private(url) for url in (self.url, self.token_url) if url):
            raise ValueError(f'auth = "{self.auth}" would send a secret without encryption: use https')
        return self


def is_private(url: str) -> bool:
    """Whether nobody reads along: by TLS, or on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


class FolderSettings(Table):
    """One [[send.folder]]: an existing folder that derived series are written into."""

    name: DestinationName
    path: Path


class SendSettings(Table):
    """[send]: delivery."""

    pacs: tuple[DestinationSettings, ...] = ()
    dicomweb: tuple[WebSettings, ...] = ()
    folder: tuple[FolderSettings, ...] = ()
    tls: TlsSettings | None = None
    connect_timeout_s: float = Field(default=10.0, gt=0)
    response_timeout_s: float = Field(default=60.0, gt=0)
    commitment_wait_s: float = Field(default=30.0, ge=0)
    retry_first_s: float = Field(default=30.0, gt=0)
    retry_longest_s: float = Field(default=3600.0, gt=0)
    attempts: int = Field(default=10, ge=1)
    circuit_failures: int = Field(default=3, ge=1)


class PullSettings(Table):
    """[pull]: fetching earlier series from a PACS."""

    maximum_series: int = Field(default=50, ge=1)
    maximum_instances: int = Field(default=5000, ge=1)
    instances_per_second: float = Field(default=25.0, gt=0)
    instances_at_once: int = Field(default=100, ge=1, le=500)
    response_timeout_s: float = Field(default=120.0, gt=0)
    arrival_s: float = Field(default=30.0, gt=0)


class LedgerSettings(Table):
    """[ledger]: the SQL database."""

    url: str = "sqlite:///var/ledger.sqlite"
    lease_s: float = Field(default=60.0, gt=0)
