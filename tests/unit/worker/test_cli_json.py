"""What shows something shows it to programs too: by --json, in the shapes of the API, and nothing else on stdout."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner, Result

from dicom_node.ledger import users
from dicom_node.ledger.users import Role
from tests.phantom import chest, write_dicom
from tests.unit.worker.nodes import open_at
from tests.unit.worker.test_retention import arrive, restore
from worker.cli.main import app
from worker.console.doors import DOORS
from worker.console.openapi import document
from worker.wiring import Node

# Commands that run, act or write files: what they did is their exit code and a sentence.
ACTS = {
    "up", "console", "listen", "clock", "worker", "retry", "cancel", "release", "reject", "prioritise", "purge",
    "drain", "resume", "migrate", "report", "certs", "restore", "train", "train-segmenter", "pack-training", "compare",
    "users add", "users disable", "users enable", "users role", "users password", "tokens revoke",
    "users logout", "notices test", "complete", "restore-again", "resend", "export", "quarantine retry",
    "quarantine export", "quarantine remove",
    "audit export", "sbom",  # these write forms of their own
}  # fmt: skip
RULE = '[[rules]]\nname = "sharp <b>"\nkernel = ["B7*"]\nnetwork = "cubic"\n'
FOLDER = '[[send.folder]]\nname = "share"\npath = "{}"\n'


def commands(group: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its options, those of groups too."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with a series whose result waits for its folder, a user and a rule."""
    node = open_at(tmp_path, blocks=FOLDER.format(tmp_path / "share") + RULE, receive="port = 0")
    restore(node, arrive(node))
    users.add(node.database, "ada", "no password", Role.ADMIN)
    (tmp_path / "share").mkdir()
    return node


def admin(node: Node, *arguments: str) -> Result:
    config = node.settings.receive.spool.parent / "settings.toml"
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, [*arguments, "--config", str(config)])


def shown(node: Node, *arguments: str) -> Any:
    done = admin(node, *arguments, "--json")
    assert done.exit_code == 0, (arguments, done.output)
    if arguments[:2] == ("audit", "list") or arguments[0] == "log":  # row by row, however many
        return [json.loads(line) for line in done.stdout.splitlines()]
    return json.loads(done.stdout)


def test_whatever_shows_something_takes_json() -> None:
    found = {name: "--json" in options(command) for name, command in commands()}
    assert {name for name, takes in found.items() if not takes} == ACTS


def test_every_one_prints_json_alone(node: Node, tmp_path: Path) -> None:
    images = write_dicom(chest(shape=(21, 32, 32), pixel_mm=10).thick, tmp_path / "scan", series_uid="2.25.77", seed=1)
    asked = {
        "status": [], "jobs": [], "show": ["1"], "commitments": [], "check-config": [], "echo": ["share"],
        "rules test": [str(images[0].parent)], "rules list": [], "users list": [], "tokens list": [],
        "tokens add": ["grafana", "--user", "ada"], "users sessions": [], "audit list": [], "audit verify": [],
        "settings": [], "feedback": ["--summary"], "log": ["1"], "quarantine list": [], "workers": [],
        "partners": [],
    }  # fmt: skip
    assert {name for name, command in commands() if "--json" in options(command)} == {*asked, "pull"}
    for name, arguments in asked.items():
        assert isinstance(shown(node, *name.split(), *arguments), dict | list), name
    assert shown(node, "notices")["lasting"] == []


def test_the_shapes_are_those_of_the_api(node: Node) -> None:
    """Field by field: what a command prints is what its address answers with."""
    described = document([door for door in DOORS if door.answers])["components"]["schemas"]
    same = {"status": "Now", "jobs": "JobsPage", "commitments": "CommitmentsPage", "rules list": "Rules"}
    same |= {"workers": "Workers", "partners": "Partners", "quarantine list": "Quarantine", "notices": "Notices"}
    same |= {"users list": "Users", "tokens list": "Tokens", "show 1": "SeriesDetail"}
    for command, kind in same.items():
        assert set(shown(node, *command.split())) == set(described[kind]["properties"]), command
    assert shown(node, "rules", "list")["rules"][0]["conditions"] == {"kernel": ["B7*"]}
    assert shown(node, "users", "list")["users"][0]["name"] == "ada"
    assert shown(node, "jobs", "--state", "restored")["jobs"][0]["series_id"] == 1
    assert shown(node, "jobs", "--state", "failed")["jobs"] == []
    detail = json.dumps(shown(node, "show", "1"))
    assert str(node.settings.receive.spool) not in detail
    assert str(node.settings.worker.results) not in detail


def test_errors_stay_on_stderr_with_their_exit_codes(node: Node) -> None:
    done = admin(node, "show", "99", "--json")
    assert (done.stdout, done.exit_code) == ("", 1)
    missing = CliRunner().invoke(app, ["status", "--json", "--config", "/nowhere/settings.toml"])
    assert missing.stdout == ""
    assert missing.exit_code != 0


def test_a_token_is_made_shown_once_and_revoked(node: Node) -> None:
    made = shown(node, "tokens", "add", "grafana", "--user", "ada", "--role", "operator", "--days", "7")
    assert made["token"].startswith("thinslice_")
    assert made["entry"]["role"] == "operator"
    plain = admin(node, "tokens", "add", "nightly", "--user", "ada").stdout.splitlines()
    assert plain[-1].startswith("thinslice_")
    listed = admin(node, "tokens", "list").stdout
    assert "grafana" in listed
    assert made["token"] not in listed
    assert admin(node, "tokens", "revoke", "1").stdout == "The token grafana of ada lets nobody in any more.\n"
    assert admin(node, "tokens", "revoke", "1").exit_code == 1
    assert admin(node, "tokens", "add", "x", "--user", "nobody").exit_code == 1
