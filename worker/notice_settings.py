"""[notices]: whom the node calls when something is amiss, and how often."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from dicom_node.settings import Port, Table

ChannelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Address = Annotated[str, StringConstraints(pattern=r"^[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,190}$")]
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Kind(StrEnum):
    """What can be amiss. The names are stable: settings, webhooks and metrics carry them."""

    JOB_FAILED = "job_failed"
    RESULT_HELD = "result_held"
    DELIVERY_PARKED = "delivery_parked"
    DESTINATION_DOWN = "destination_down"
    DISK_FULL = "disk_full"
    SCANNER_SILENT = "scanner_silent"
    PROCESS_SILENT = "process_silent"
    PROCESS_REFUSING = "process_refusing"
    NO_PROCESS = "no_process"
    PAUSED = "paused"
    WAITING_LONG = "waiting_long"
    UNVERIFIED_LONG = "unverified_long"
    BACKLOG = "backlog"
    COMMITMENT_UNTOLD = "commitment_untold"
    AUDIT_BROKEN = "audit_broken"
    AUDIT_UNSENT = "audit_unsent"


def _hook(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it begins with https:// and a host")
    if parts.username is not None or parts.fragment:
        raise ValueError("no user, password or # belongs here: who we are is said by the signature, see secret_file")
    return url


HookUrl = Annotated[str, AfterValidator(_hook)]


def _not_empty(addresses: Sequence[str]) -> Sequence[str]:
    if not addresses:
        raise ValueError("name at least one")
    return addresses


class ChannelSettings(Table):
    """What every channel has."""

    name: ChannelName
    kinds: tuple[Kind, ...] = ()
    secret_file: Path | None = None
    authorities: Path | None = None

    @property
    def wanted(self) -> tuple[Kind, ...]:
        """The kinds that go by it."""
        return self.kinds or tuple(Kind)


class WebhookSettings(ChannelSettings):
    """One [[notices.webhook]]: a URL that gets notices as JSON by POST."""

    url: HookUrl


class EmailSettings(ChannelSettings):
    """One [[notices.email]]: a mail server that takes notices for some recipients."""

    host: Annotated[str, Field(min_length=1)]
    port: Port = 587
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    username: str = ""
    sender: Address
    recipients: Annotated[tuple[Address, ...], AfterValidator(_not_empty)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.tls == "none" and self.host not in LOOPBACK:
            raise ValueError('tls = "none" is for a mail server on this machine alone: use starttls or implicit')
        if bool(self.username) != (self.secret_file is not None):
            raise ValueError("username and secret_file belong together: give both or neither")
        return self


class NoticesSettings(Table):
    """[notices]: when something counts as amiss, and how often somebody is told."""

    look_s: Annotated[float, Field(gt=0)] = 10.0
    repeat_minutes: Annotated[float, Field(ge=0)] = 240.0
    per_hour: Annotated[int, Field(ge=1)] = 12
    paused_minutes: Annotated[float, Field(ge=0)] = 60.0
    waiting_minutes: Annotated[float, Field(ge=0)] = 60.0
    unverified_minutes: Annotated[float, Field(ge=0)] = 240.0
    backlog: Annotated[int, Field(ge=0)] = 200
    scanners: tuple[str, ...] = ()
    keep_days: Annotated[float, Field(gt=0)] = 90.0
    webhook: tuple[WebhookSettings, ...] = ()
    email: tuple[EmailSettings, ...] = ()

    @property
    def channels(self) -> tuple[ChannelSettings, ...]:
        """Every channel, of whichever kind."""
        return (*self.webhook, *self.email)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [channel.name for channel in self.channels]
        if len(set(names)) < len(names):
            raise ValueError(f"names of webhooks and emails must differ: {', '.join(names)}")
        return self


def anchored_notices(settings: NoticesSettings, base: Path) -> NoticesSettings:
    """The settings with relative paths taken from the settings file's folder."""
    return settings.model_copy(
        update={
            "webhook": tuple(_anchored(channel, base) for channel in settings.webhook),
            "email": tuple(_anchored(channel, base) for channel in settings.email),
        }
    )


def _anchored(channel: ChannelSettings, base: Path) -> ChannelSettings:
    files = ("secret_file", "authorities")
    return channel.model_copy(update={key: file and base / file for key in files for file in [getattr(channel, key)]})
