"""Certificates for a trial of TLS."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dicom_node.authority import Authority
from dicom_node.errors import SettingsError
from worker.cli.common import console


def certs(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it is not there.")],
    host: Annotated[
        list[str] | None, typer.Option(help="A name or address that the node is called by; may be given again.")
    ] = None,
    peer: Annotated[
        list[str] | None, typer.Option(help="The AE title of a scanner or PACS of the trial; may be given again.")
    ] = None,
    days: Annotated[float, typer.Option(min=0.01, help="How long they are valid.")] = 30.0,
) -> None:
    """Make a test authority and certificates of it, for the node and its peers. In a hospital, use the hospital's own.

    The authority's key is not kept: run it again for other certificates, and replace them all.
    """
    if (folder / "authority.pem").exists():
        raise SettingsError(f"{folder} has certificates already: name another folder, or remove that one")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = datetime.now(UTC)
    authority = Authority.new("thinslice test authority", now, days)
    authority.write(folder)
    authority.issue(folder, "node", host or ["localhost", "127.0.0.1"], now, days)
    for name in peer or []:
        authority.issue(folder, name, [], now, days)
    files = "\n".join(f'{key} = "{folder / file}"' for key, file in FILES.items())
    console.print(
        f"[green]ok[/]  {folder}, valid for {days:g} days. In the settings, for [receive.tls] and [send.tls]:"
    )
    console.print(escape(files), soft_wrap=True)
    for name in peer or []:
        console.print(escape(f'[[receive.peers]]\nae_title = "{name}"\ncertificates = ["{name}"]'), soft_wrap=True)


FILES = {"certificate": "node.pem", "key": "node-key.pem", "authorities": "authority.pem"}
COMMANDS = {"certs": certs}
