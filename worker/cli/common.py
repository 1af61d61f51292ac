"""What the subcommands share: the settings option and the node they open."""

import getpass
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dicom_node.errors import InputError
from dicom_node.ledger import queries
from dicom_node.ledger.queries import SeriesView
from worker import as_json
from worker.settings import Settings, load
from worker.wiring import Node, open_node, prepare

console = Console(highlight=False, soft_wrap=True)

Config = Annotated[
    Path,
    typer.Option(
        "--config", "-c", envvar="THINSLICE_SETTINGS", help="The settings file.", show_default="settings.toml"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the console's API answers.")]
SeriesKey = Annotated[str, typer.Argument(help="Number of the series, or the beginning of its SeriesInstanceUID.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit trail.")]
WhyAsked = Annotated[str, typer.Option("--reason", help="Why, for the audit trail.", prompt="Why")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DEFAULT_CONFIG = Path("settings.toml")


def settings_from(config: Path) -> Settings:
    """Read the settings, or fail with a sentence."""
    return load(config)


def node_from(config: Path) -> Node:
    """The node's ledger and spool, for looking and acting beside a running node."""
    settings = load(config)
    prepare(settings)
    return open_node(settings, f"admin {_user()}")


def find_series(node: Node, key: str) -> SeriesView:
    """The one series that a person means. InputError when there is none, or more than one."""
    found = queries.find_series(node.database, key)
    if len(found) == 1:
        return found[0]
    exact = [item for item in found if str(item.id) == key or item.series_uid == key]
    if len(exact) == 1:
        return exact[0]
    problem = "no series" if not found else f"{len(found)} series"
    raise InputError(f"{problem} begin with {key!r}; `thinslice jobs` lists them")


def print_json(answer: object) -> None:
    """An answer of the API, or any other dataclass, alone on stdout."""
    typer.echo(as_json.dumped(answer, indent=1))


def local(moment: datetime) -> str:
    """A moment in this machine's time, for people."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _user() -> str:
    """Who acts, for the audit trail: the operating system's name for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may know a number alone
        return f"uid {os.getuid()}"
