"""What the subcommands share: the settings option and the node they open."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from worker.settings import Settings, load
from worker.wiring import Node, open_node, prepare

console = Console(highlight=False, soft_wrap=True)

Config = Annotated[
    Path,
    typer.Option(
        "--config", "-c", envvar="THINSLICE_SETTINGS", help="The settings file.", show_default="settings.toml"
    ),
]
DEFAULT_CONFIG = Path("settings.toml")


def settings_from(config: Path) -> Settings:
    """Read the settings, or fail with a sentence."""
    return load(config)


def node_from(config: Path) -> Node:
    """The node's ledger and spool, for looking and acting beside a running node."""
    settings = load(config)
    prepare(settings)
    return open_node(settings, "admin")
