"""settings.toml, read once. Environment variables named THINSLICE_<TABLE>__<KEY> come before the file."""

import difflib
import tomllib
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, IPvAnyNetwork, StringConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dicom_node.errors import SettingsError
from dicom_node.settings import (
    DeriveSettings,
    DestinationSettings,
    FolderSettings,
    LedgerSettings,
    Port,
    PullSettings,
    ReceiveSettings,
    RuleSettings,
    SendSettings,
    SeriesSettings,
    Table,
    TlsSettings,
    WebSettings,
    is_private,
)
from sr_engine.settings import NETWORK_NAMES, EngineSettings
from worker.audit_settings import AuditSettings
from worker.notice_settings import NoticesSettings, anchored_notices
from worker.oidc_settings import OidcSettings

ENVIRONMENT_PREFIX = "THINSLICE_"


class WorkerSettings(Table):
    """[worker]: how the parts run."""

    wiring: Literal["embedded", "celery"] = "embedded"
    broker_url: str = "redis://127.0.0.1:6379/0"
    results: Path = Path("var/results")
    tick_s: Annotated[float, Field(gt=0)] = 1.0
    ring_again_s: Annotated[float, Field(gt=0)] = 10.0
    heartbeat_s: Annotated[float, Field(gt=0)] = 5.0
    attempts: Annotated[int, Field(ge=1)] = 5
    deaths_allowed: Annotated[int, Field(ge=1)] = 3
    job_limit_s: Annotated[float, Field(gt=0)] = 3600.0
    memory_limit_mb: Annotated[int, Field(ge=0)] = 0
    drain_s: Annotated[float, Field(ge=0)] = 60.0
    maximum_offset_hu: Annotated[float, Field(gt=0)] = 5.0
    maximum_rms_hu: Annotated[float, Field(gt=0)] = 100.0
    maximum_slice_shift_hu: Annotated[float, Field(gt=0)] = 60.0
    maximum_beyond_neighbours_percent: Annotated[float, Field(gt=0, le=100)] = 4.0
    maximum_beyond_range_percent: Annotated[float, Field(gt=0, le=100)] = 2.0
    maximum_seam: Annotated[float, Field(gt=1)] = 2.5
    hold_unfamiliar: bool = True
    rescan_s: Annotated[float, Field(gt=0)] = 60.0
    log_format: Literal["text", "json"] = "text"
    logs: Annotated[Path | None, BeforeValidator(lambda given: given or None)] = Path("var/logs")
    log_mb: Annotated[float, Field(gt=0)] = 10.0
    log_files: Annotated[int, Field(ge=1)] = 5


class RetentionSettings(Table):
    """[retention]: how long what is settled is kept; 0 days: for ever."""

    results_days: Annotated[float, Field(ge=0)] = 30.0
    spool_days: Annotated[float, Field(ge=0)] = 30.0
    quarantine_days: Annotated[float, Field(ge=0)] = 0.0
    early_percent: Annotated[float, Field(ge=0, lt=100)] = 10.0


class ConsoleSettings(Table):
    """[console]: the web pages by which people watch the node and act."""

    host: str = "127.0.0.1"
    port: Port | None = None
    public_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^/?#@]+/?)?$")] = ""
    certificate: Path | None = None
    key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    metrics_from: tuple[IPvAnyNetwork, ...] = (ip_network("127.0.0.1"),)
    session_hours: Annotated[float, Field(gt=0)] = 12.0
    idle_minutes: Annotated[float, Field(ge=0)] = 60.0
    target_minutes: Annotated[float, Field(gt=0)] = 15.0
    silent_hours: Annotated[float, Field(gt=0)] = 24.0
    previews: Path = Path("var/previews")
    passwords: bool = True
    patient_data: Literal["nobody", "admin", "operator", "viewer"] = "nobody"
    oidc: OidcSettings | None = None

    @property
    def by_tls(self) -> bool:
        """Whether people reach it by TLS, ours or a proxy's."""
        return self.certificate is not None or self.public_url.startswith("https://")

    @property
    def is_local(self) -> bool:
        """Whether it listens to this machine alone."""
        return self.host in ("127.0.0.1", "localhost", "::1")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        if self.oidc is None and not self.passwords:
            raise ValueError("passwords = false leaves no way in: it needs [console.oidc]")
        if self.oidc is not None and not is_private(self.public_url):
            raise ValueError("oidc needs public_url, with https: the provider sends people back there")
        return self


class Settings(BaseSettings):
    """Every table of settings.toml."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__"
    )

    receive: ReceiveSettings = ReceiveSettings()
    series: SeriesSettings = SeriesSettings()
    rules: tuple[RuleSettings, ...] = ()
    engine: EngineSettings = EngineSettings()
    derive: DeriveSettings = DeriveSettings()
    send: SendSettings = SendSettings()
    pull: PullSettings = PullSettings()
    ledger: LedgerSettings = LedgerSettings()
    worker: WorkerSettings = WorkerSettings()
    retention: RetentionSettings = RetentionSettings()
    console: ConsoleSettings = ConsoleSettings()
    notices: NoticesSettings = NoticesSettings()
    audit: AuditSettings = AuditSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then the file's tables."""
        return env_settings, init_settings


def load(path: Path) -> Settings:
    """Read and check a settings file.

    Raises
    ------
    SettingsError
        Naming the file, the key and, for a misspelt key, the nearest known one.
    """
    try:
        tables = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise SettingsError(f"{path} does not exist; name the settings file with --config") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    try:
        settings = Settings(**tables)
    except ValidationError as error:
        raise SettingsError(f"{path}: {'; '.join(_sentence(item) for item in error.errors())}") from error
    contradiction = next(_contradictions(settings), "")
    if contradiction:
        raise SettingsError(f"{path}: {contradiction}")
    return _anchored(settings, path.resolve().parent)


def _contradictions(settings: Settings) -> Iterator[str]:
    """What is wrong between keys that are right one by one."""
    send, receive = settings.send, settings.receive
    names = destination_names(settings)
    if len(set(names)) < len(names):
        yield f"[send] destinations' names must differ: {', '.join(names)}"
    if send.tls is None and any(pacs.tls for pacs in send.pacs):
        yield "a [[send.pacs]] has tls = true, which needs the files of [send.tls]"
    if send.tls is None and any(peer.tls for peer in receive.peers):
        yield "a [[receive.peers]] has tls = true, which needs the files of [send.tls]"
    if receive.storage_commitment and not any(peer.has_address for peer in receive.peers):
        yield (
            "[receive].storage_commitment needs a [[receive.peers]] with host and port: "
            "a commitment is reported on a connection that the node opens"
        )
    if receive.share_port and settings.ledger.url.startswith("sqlite"):
        yield (
            "[receive].share_port is for several listeners, which need one PostgreSQL ledger: "
            'set [ledger].url = "postgresql://..." or share_port = false'
        )
    rules = [rule.name for rule in settings.rules]
    if len(set(rules)) < len(rules):
        yield f"[[rules]] names must differ: {', '.join(rules)}"
    for rule in settings.rules:
        yield from _unknown_names(rule, names)


def _unknown_names(rule: RuleSettings, destinations: Sequence[str]) -> Iterator[str]:
    """What a rule names and there is not."""
    if rule.network not in (None, "best", *NETWORK_NAMES):
        yield f"[[rules]] {rule.name!r}: there is no network {rule.network!r}: choose best, {', '.join(NETWORK_NAMES)}"
    unknown = [name for name in rule.destinations or () if name not in destinations]
    if unknown:
        known = ", ".join(destinations) or "none"
        yield f"[[rules]] {rule.name!r}: [send] names no destination {unknown[0]!r}; it names: {known}"


def destination_names(settings: Settings) -> tuple[str, ...]:
    """Names of everything that results go to, of whichever kind."""
    send = settings.send
    found: list[DestinationSettings | WebSettings | FolderSettings] = [*send.pacs, *send.dicomweb, *send.folder]
    return tuple(item.name for item in found)


def _anchored(settings: Settings, base: Path) -> Settings:
    """The settings with relative paths taken from the settings file's folder, wherever the program is started."""
    receive = settings.receive.model_copy(
        update={"spool": base / settings.receive.spool, "tls": _anchored_tls(settings.receive.tls, base)}
    )
    send = _anchored_send(settings.send, base)
    logs = settings.worker.logs and base / settings.worker.logs
    worker = settings.worker.model_copy(update={"results": base / settings.worker.results, "logs": logs})
    weights = settings.engine.weights and base / settings.engine.weights
    engine = settings.engine.model_copy(update={"weights": weights})
    scheme, separator, file = settings.ledger.url.partition(":///")
    url = f"{scheme}{separator}{base / file}" if scheme.startswith("sqlite") else settings.ledger.url
    ledger = settings.ledger.model_copy(update={"url": url})
    console = settings.console.model_copy(
        update={
            "previews": base / settings.console.previews,
            "certificate": settings.console.certificate and base / settings.console.certificate,
            "key": settings.console.key and base / settings.console.key,
            "oidc": settings.console.oidc and settings.console.oidc.anchored(base),
        }
    )
    anchored = {
        "receive": receive,
        "send": send,
        "worker": worker,
        "engine": engine,
        "ledger": ledger,
        "console": console,
        "notices": anchored_notices(settings.notices, base),
        "audit": settings.audit.anchored(base),
    }
    return settings.model_copy(update=anchored)


def _anchored_send(send: SendSettings, base: Path) -> SendSettings:
    """The same for the files and folders of [send]."""
    files = ("secret_file", "authorities", "certificate", "key")
    services = (
        service.model_copy(update={key: file and base / file for key in files for file in [getattr(service, key)]})
        for service in send.dicomweb
    )
    folders = (folder.model_copy(update={"path": base / folder.path}) for folder in send.folder)
    tls = _anchored_tls(send.tls, base)
    return send.model_copy(update={"tls": tls, "dicomweb": tuple(services), "folder": tuple(folders)})


def _anchored_tls(tls: TlsSettings | None, base: Path) -> TlsSettings | None:
    """The same for the files of a TLS table."""
    return tls and tls.model_copy(update={key: base / getattr(tls, key) for key in TlsSettings.model_fields})


def _sentence(item: Any) -> str:
    where = [str(part) for part in item["loc"]]
    key = ".".join(where)
    if item["type"] != "extra_forbidden":
        return f"{key}: {item['msg']}"
    nearest = difflib.get_close_matches(where[-1], known_keys(where[:-1]), n=1, cutoff=0.0)
    return f"unknown key {key}: did you mean {'.'.join([*where[:-1], *nearest])}?"


def known_keys(table: list[str]) -> list[str]:
    """Keys that a table, given by its path, may have."""
    model: Any = Settings
    for part in table:
        if part.isdecimal():
            continue
        annotation = model.model_fields[part].annotation
        model = next(
            (item for item in getattr(annotation, "__args__", ()) if hasattr(item, "model_fields")), annotation
        )
    return list(model.model_fields)
