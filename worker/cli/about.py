"""Commands that say what this installation is: its parts, and its settings as they are in force."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dicom_node.errors import InputError
from worker import sbom
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, settings_from
from worker.shown_settings import shown


def bill(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file to write; else it is printed.")] = None,
) -> None:
    """Say what is installed: packages, licences and weights, as CycloneDX JSON (a software bill of materials)."""
    text = sbom.bill()
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}") from error
    console.print(f"{len(sbom.packages())} packages: {escape(str(output))}")


def settings(
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show the settings in force, defaults and environment included, without secrets."""
    tables = shown(settings_from(config))
    if as_json:
        typer.echo(json.dumps(tables, indent=1))
        return
    for name, keys in tables.items():
        for key, value in keys.items():
            console.print(f"[dim]{escape(name)}[/].{key} = {escape(value)}")


COMMANDS = {"sbom": bill, "settings": settings}
