"""Commands that check an installation before it meets patients."""

import os
import socket
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dicom_node.errors import NodeError, SettingsError
from dicom_node.receive.scp import ports
from dicom_node.send.scu import echo as send_echo
from dicom_node.tls import client_context, server_context
from worker.cli.common import DEFAULT_CONFIG, Config, console, settings_from
from worker.settings import Settings
from worker.wiring import open_node, prepare


def check_config(config: Config = DEFAULT_CONFIG) -> None:
    """Check the settings, the ledger, the folders, the port and the network's weights; `echo` checks a PACS."""
    settings = settings_from(config)
    console.print(f"[green]ok[/]  settings   {escape(str(config))}")
    prepare(settings)
    console.print(f"[green]ok[/]  ledger     {escape(_without_password(settings.ledger.url))}")
    for name, folder in (("spool", settings.receive.spool), ("results", settings.worker.results)):
        _check_folder(name, folder)
        console.print(f"[green]ok[/]  {name:<9}  {escape(str(folder))}")
    for kind, port in ports(settings.receive).items():
        _check_port(settings.receive.host, port)
        console.print(f"[green]ok[/]  listener   {settings.receive.ae_title} on {settings.receive.host}:{port}, {kind}")
    _check_tls(settings)
    model = open_node(settings, "check").model
    weights = f"weights {model.version}" if model.learned else "needs no weights"
    console.print(f"[green]ok[/]  network    {model.title} ({weights})")
    for pacs in settings.send.pacs:
        console.print(
            f"    pacs       {pacs.name}: {pacs.ae_title} on {pacs.host}:{pacs.port}; try `thinslice echo {pacs.name}`"
        )
    if not settings.send.pacs:
        console.print("[yellow]--[/]  pacs       none is configured: results stay on this node")


def echo(
    pacs: Annotated[str, typer.Argument(help="Name of a PACS in the settings.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Send a C-ECHO to a PACS: whether it answers, and knows our AE title."""
    settings = settings_from(config)
    destinations = {item.name: item for item in settings.send.pacs}
    if pacs not in destinations:
        known = ", ".join(destinations) or "none"
        raise SettingsError(f"{config} names no PACS {pacs!r}; it names: {known}")
    node = open_node(settings, "admin")
    destination = node.destinations[pacs]
    send_echo(destination, settings.receive.ae_title, settings.send)
    console.print(f"[green]ok[/]  {pacs}: {destination.ae_title} on {destination.host}:{destination.port} answers")


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


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        taken = port and probe.connect_ex((host, port)) == 0
    if taken:
        raise NodeError(
            f"port {port} is in use (by this node, if it runs): choose another [receive].port or stop that program"
        )


def _without_password(url: str) -> str:
    scheme, _, rest = url.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


COMMANDS = {"check-config": check_config, "echo": echo}
