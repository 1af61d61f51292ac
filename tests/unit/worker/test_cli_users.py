"""`thinslice users`, and what `thinslice console` says when it cannot start."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dicom_node.errors import InputError, SettingsError
from dicom_node.ledger import users
from tests.servers import free_port
from tests.unit.worker.nodes import open_at
from worker.cli.main import app
from worker.console.accounts import Accounts
from worker.console.serving import ConsoleServer
from worker.wiring import Node

TWICE = "a sentence is good\n" * 2


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node."""
    return open_at(tmp_path)


def admin(node: Node, *arguments: str, answer: str = "") -> Result:
    config = node.settings.receive.spool.parent / "settings.toml"
    runner = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"})
    return runner.invoke(app, ["users", *arguments, "--config", str(config)], input=answer)


def test_users_are_added_shown_changed_and_disabled(node: Node) -> None:
    assert "Nobody yet" in admin(node, "list").output
    added = admin(node, "add", "Ada", "--role", "admin", answer=TWICE)
    assert added.output.endswith("ada may use the console as admin.\n")
    assert "sentence" not in added.output
    admin(node, "add", "bob", answer=TWICE)
    before = users.credentials(node.database, "bob")
    assert admin(node, "role", "bob", "operator").output == "bob is operator now.\n"
    admin(node, "password", "bob", answer=TWICE)
    assert users.credentials(node.database, "bob") != before
    admin(node, "disable", "bob")
    assert "disabled" in admin(node, "list").output
    admin(node, "enable", "bob")
    assert [(item.name, item.role, item.disabled) for item in users.everyone(node.database)] == [
        ("ada", "admin", False), ("bob", "operator", False),
    ]  # fmt: skip


def test_a_first_password_is_shown_once_and_has_to_be_replaced(node: Node) -> None:
    added = admin(node, "add", "ada", "--first", "--role", "admin", "--reason", "is new").output
    password = added.split()[-1]
    door = Accounts(node.database, node.settings.console)
    found = door.session(door.login("ada", password, "127.0.0.1"), deed=True)
    assert found
    assert found.is_first
    assert "first password" in admin(node, "list").output
    assert "ada" in admin(node, "sessions").output
    assert admin(node, "logout", "ada").output == "1 ended.\n"
    assert "no such session" in admin(node, "logout", "ada").output
    again = admin(node, "password", "ada", "--first").output.split()[-1]
    assert again != password
    assert door.login("ada", again, "127.0.0.1")


def test_what_cannot_be_is_a_sentence(node: Node) -> None:
    assert isinstance(admin(node, "add", "a b", answer=TWICE).exception, InputError)
    assert isinstance(admin(node, "add", "ada", answer="short\nshort\n").exception, InputError)
    assert isinstance(admin(node, "disable", "nobody").exception, InputError)


def test_check_config_names_the_console_and_warns_of_open_lines(tmp_path: Path) -> None:
    checked = {}
    for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104
        folder = tmp_path / host
        folder.mkdir()
        open_at(folder, receive="port = 0", console=f'port = {free_port()}\nhost = "{host}"')
        runner = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1"})
        checked[host] = runner.invoke(app, ["check-config", "--config", str(folder / "settings.toml")]).output
    assert "ok  console    127.0.0.1:" in checked["127.0.0.1"]
    assert "read passwords" not in checked["127.0.0.1"]
    assert "read passwords" in checked["0.0.0.0"]  # noqa: S104


def test_the_console_says_why_it_cannot_listen(tmp_path: Path, node: Node) -> None:
    with pytest.raises(SettingsError, match=r"\[console\].port is not set"):
        ConsoleServer(node)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        folder = tmp_path / "other"
        folder.mkdir()
        with pytest.raises(SettingsError, match="cannot listen"):
            ConsoleServer(open_at(folder, console=f"port = {taken.getsockname()[1]}"))
