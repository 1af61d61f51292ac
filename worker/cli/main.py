"""The `thinslice` command: its subcommands by room, and what an error looks like to a person."""

import importlib.metadata
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dicom_node.errors import NodeError, SettingsError
from sr_engine.errors import EngineError
from worker.cli import (
    about,
    act,
    audit,
    certs,
    check,
    commitments,
    deeds,
    experiment,
    files,
    log,
    look,
    notices,
    opinion,
    partners,
    pauses,
    pull,
    quarantined,
    rules,
    run,
    tokens,
    train,
    users,
)
from worker.errors import WorkerError

USAGE_ERROR, FAILURE = 2, 1

app = typer.Typer(
    name="thinslice",
    help="A DICOM node beside your PACS: scanners send it thick-slice chest CT, it restores thin slices and sends them "
    "to the PACS as a derived series. Not for primary diagnosis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"thinslice {importlib.metadata.version('thinslice')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before the subcommand."""


for room, panel in (
    (run, "Run the node"),
    (look, "See and act"),
    (partners, "See and act"),
    (deeds, "See and act"),
    (pauses, "See and act"),
    (log, "See and act"),
    (act, "See and act"),
    (opinion, "See and act"),
    (pull, "See and act"),
    (commitments, "See and act"),
    (check, "Check the installation"),
    (certs, "Check the installation"),
    (about, "Check the installation"),
    (files, "Without a network"),
    (train, "Make weights"),
    (experiment, "Make weights"),
):
    for name, command in room.COMMANDS.items():
        app.command(name, rich_help_panel=panel)(command)
app.add_typer(rules.app, name="rules", rich_help_panel="Check the installation")
app.add_typer(notices.app, name="notices", rich_help_panel="See and act")
app.add_typer(users.app, name="users", rich_help_panel="See and act")
app.add_typer(audit.app, name="audit", rich_help_panel="See and act")
app.add_typer(quarantined.app, name="quarantine", rich_help_panel="See and act")
app.add_typer(tokens.app, name="tokens", rich_help_panel="See and act")


def main() -> None:
    """Run the command line; an expected error is one sentence on stderr and exit code 1, or 2 for settings."""
    try:
        app()
    except SettingsError as error:
        _tell(error, USAGE_ERROR)
    except (NodeError, EngineError, WorkerError) as error:
        _tell(error, FAILURE)


def _tell(error: Exception, code: int) -> None:
    Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
    sys.exit(code)
