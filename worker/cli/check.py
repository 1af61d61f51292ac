"""Commands that check an installation before it meets patients."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dicom_node.destinations import AnyDestination, WebDestination
from dicom_node.errors import NodeError, SettingsError
from dicom_node.receive.scp import ports
from dicom_node.send.ways import way_to
from dicom_node.send.web import check_files
from dicom_node.tls import client_context, server_context, web_context
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, print_json, settings_from
from worker.cli.complete import destinations
from worker.console.provider import IssuerError, Provider, secret_of
from worker.console.shapes import Said
from worker.notice_settings import WebhookSettings
from worker.notices.telling import check_channel
from worker.oidc_settings import OidcSettings
from worker.settings import ConsoleSettings, Settings
from worker.wiring import open_node, prepare


@dataclass(frozen=True)
class Line:
    """One thing that was looked at: ``state`` is ok, open (to be tried with ``echo``) or warn."""

    state: str
    what: str
    found: str


@dataclass(frozen=True)
class Checked:
    """What check-config found in order; what is not in order ends it with a sentence."""

    checked: tuple[Line, ...]


MARKS = {"ok": "[green]ok[/]", "open": "  ", "warn": "[yellow]--[/]"}


def check_config(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Check the settings, the ledger, the folders, the port and the network's weights; `echo` tries a destination."""
    lines = []
    for line in _checks(config):
        lines.append(line)
        if not as_json:
            console.print(f"{MARKS[line.state]}  {line.what:<9}  {escape(line.found)}")
    if as_json:
        print_json(Checked(tuple(lines)))


def _checks(config: Path) -> Iterator[Line]:
    settings = settings_from(config)
    yield Line("ok", "settings", str(config))
    prepare(settings)
    yield Line("ok", "ledger", _without_password(settings.ledger.url))
    for name, folder in (("spool", settings.receive.spool), ("results", settings.worker.results)):
        _check_folder(name, folder)
        yield Line("ok", name, str(folder))
    for kind, port in ports(settings.receive).items():
        _check_port(settings.receive.host, port, "receive")
        yield Line("ok", "listener", f"{settings.receive.ae_title} on {settings.receive.host}:{port}, {kind}")
    _check_tls(settings)
    yield from _check_console(settings.console)
    node = open_node(settings, "check")
    for model in node.models.values():
        weights = f"weights {model.version}" if model.learned else "needs no weights"
        yield Line("ok", "network", f"{model.title} ({weights})")
    if settings.rules:
        yield Line("ok", "rules", ", ".join(rule.name for rule in settings.rules))
    for name, destination in node.destinations.items():
        yield _line_of(name, destination)
    for channel in settings.notices.channels:
        check_channel(channel)
        in_clear = isinstance(channel, WebhookSettings) and channel.url.startswith("http:")
        encrypted = ", not encrypted" if in_clear else ""
        yield Line("open", "notices", f"{channel.name}{encrypted}; try `thinslice notices test {channel.name}`")
    if not node.destinations:
        yield Line("warn", "send", "no destination is configured: results stay on this node")


def echo(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a destination in the settings: a PACS, DICOMweb or folder.", autocompletion=destinations
        ),
    ],
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Try a destination: whether a PACS answers C-ECHO, DICOMweb a query, whether a folder can be written."""
    settings = settings_from(config)
    node = open_node(settings, "admin")
    destination = node.destinations.get(name)
    if destination is None:
        known = ", ".join(node.destinations) or "none"
        raise SettingsError(f"{config} names no destination {name!r}; it names: {known}")
    way = way_to(destination)
    way.echo(destination, settings.receive.ae_title, settings.send)
    if as_json:
        print_json(Said(f"{name} answers."))
        return
    console.print(f"[green]ok[/]  {escape(f'{name}: {way.place(destination)} answers')}")


def _line_of(name: str, destination: AnyDestination) -> Line:
    """What check-config says of a destination; SettingsError where a file that is named for it cannot be used."""
    way, open_line = way_to(destination), ""
    if isinstance(destination, WebDestination):
        check_files(destination)
        open_line = ", not encrypted" if destination.url.startswith("http:") else ""
    return Line("open", way.kind, f"{name}: {way.place(destination)}{open_line}; try `thinslice echo {name}`")


def _check_folder(name: str, folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(f"the {name} folder {folder} cannot be written by this user")


def _check_tls(settings: Settings) -> None:
    """SettingsError where a TLS table names files that cannot be used."""
    if settings.receive.tls is not None:
        server_context(settings.receive.tls)
    if settings.send.tls is not None:
        client_context(settings.send.tls)
    if settings.audit.syslog is not None and settings.audit.syslog.tls is not None:
        client_context(settings.audit.syslog.tls)


def _check_console(settings: ConsoleSettings) -> Iterator[Line]:
    if settings.port is None:
        return
    _check_port(settings.host, settings.port, "console")
    yield Line("ok", "console", f"{settings.host}:{settings.port}")
    if not settings.is_local and not settings.by_tls:
        yield Line("warn", "console", "others can read passwords on the way: use TLS, see settings.toml")
    if settings.oidc is not None:
        yield _check_issuer(settings.oidc)


def _check_issuer(settings: OidcSettings) -> Line:
    """SettingsError where one of its files cannot be used; a provider that does not answer may do so later."""
    secret_of(settings)
    web_context(None, None, settings.authorities)
    try:
        Provider(settings).published()
    except IssuerError as error:
        return Line("warn", "login", f"{settings.issuer}: {error} Nobody can log in by it")
    return Line("ok", "login", f"{settings.issuer} answers")


def _check_port(host: str, port: int, table: str) -> None:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        taken = port and probe.connect_ex((host, port)) == 0
    if taken:
        raise NodeError(
            f"port {port} is in use (by this node, if it runs): choose another [{table}].port or stop that program"
        )


def _without_password(url: str) -> str:
    scheme, _, rest = url.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


COMMANDS = {"check-config": check_config, "echo": echo}
