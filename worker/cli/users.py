"""Commands for the people who may use the console."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.errors import InputError
from dicom_node.ledger import users
from dicom_node.ledger.users import Role
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, node_from, print_json
from worker.cli.complete import user_names
from worker.console import answers
from worker.console.accounts import hash_password, user_name

app = typer.Typer(help="The people who may use the console.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name that the user logs in with.", autocompletion=user_names)]
Password = Annotated[
    str, typer.Option(prompt=True, confirmation_prompt=True, hide_input=True, help="Asked for; better not given here.")
]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Name that the user logs in with.")],
    role: Annotated[Role, typer.Option(help="viewer looks, operator acts, admin sees to users.")] = Role.VIEWER,
    config: Config = DEFAULT_CONFIG,
    password: Password = "",
) -> None:
    """Let someone use the console."""
    plain = user_name(name)
    if not users.add(node_from(config).database, plain, hash_password(password), role):
        raise InputError(f"there is a user {plain} already")
    console.print(f"{plain} may use the console as {role}.")


@app.command("list")
def list_users(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show who may use the console."""
    node = node_from(config)
    if as_json:
        print_json(answers.users_of(node))
        return
    found = users.everyone(node.database)
    table = Table("name", "role", "", "since", box=None)
    for item in found:
        since = item.created_at.astimezone().strftime("%Y-%m-%d")
        table.add_row(escape(item.name), item.role, "disabled" if item.disabled else "", since)
    console.print(table if found else "Nobody yet: open the console, or `thinslice users add NAME --role admin`.")


@app.command("disable")
def disable(name: Name, config: Config = DEFAULT_CONFIG) -> None:
    """Let someone no longer in, and end what they have open."""
    _told(users.disable(node_from(config).database, user_name(name)), f"{name} is not let in any more.", name)


@app.command("enable")
def enable(name: Name, config: Config = DEFAULT_CONFIG) -> None:
    """Let someone in again."""
    _told(users.enable(node_from(config).database, user_name(name)), f"{name} is let in again.", name)


@app.command("role")
def role(name: Name, role: Role, config: Config = DEFAULT_CONFIG) -> None:
    """Give someone another role; they have to log in again."""
    _told(users.set_role(node_from(config).database, user_name(name), role), f"{name} is {role} now.", name)


@app.command("password")
def password(name: Name, config: Config = DEFAULT_CONFIG, password: Password = "") -> None:
    """Give someone another password; they have to log in again."""
    changed = users.set_password(node_from(config).database, user_name(name), hash_password(password))
    _told(changed, f"{name} has a new password.", name)


def _told(done: bool, sentence: str, name: str) -> None:
    if not done:
        raise InputError(f"there is no user {name!r}; `thinslice users list` shows them")
    console.print(escape(sentence))
