"""Commands for the people who may use the console."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.errors import InputError
from dicom_node.ledger import sessions, users
from dicom_node.ledger.users import Role
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, local, node_from, print_json
from worker.cli.complete import user_names
from worker.console import answers
from worker.console.accounts import FIRST_PASSWORD, first_password, hash_password
from worker.console.names import user_name
from worker.console.shapes import Sessions

app = typer.Typer(help="The people who may use the console.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name that the user logs in with.", autocompletion=user_names)]
Password = Annotated[str, typer.Option(help="Asked for; better not given here.", show_default=False)]
First = Annotated[
    bool, typer.Option("--first", help="Make a first password and show it: good for a week, to be replaced at once.")
]
Reason = Annotated[str, typer.Option(help="Why, for the audit trail.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Name that the user logs in with.")],
    role: Annotated[Role, typer.Option(help="viewer looks, operator acts, admin sees to users.")] = Role.VIEWER,
    config: Config = DEFAULT_CONFIG,
    password: Password = "",
    first: First = False,
    reason: Reason = "",
) -> None:
    """Let someone use the console."""
    plain, (given, good_for) = user_name(name), _given(password, first=first)
    hashed = hash_password(given)
    if not users.add(node_from(config).database, plain, hashed, role, good_for=good_for, reason=reason):
        raise InputError(f"there is a user {plain} already")
    console.print(f"{plain} may use the console as {role}.{_shown(given, first=first)}")


@app.command("list")
def list_users(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show who may use the console."""
    node = node_from(config)
    if as_json:
        print_json(answers.users_of(node))
        return
    found = users.everyone(node.database)
    table = Table("name", "role", "", "comes by", "since", box=None)
    for item in found:
        since = item.created_at.astimezone().strftime("%Y-%m-%d")
        state = "disabled" if item.disabled else "first password" if item.first_until else ""
        table.add_row(escape(item.name), item.role, state, escape(item.issuer or "password"), since)
    console.print(table if found else "Nobody yet: open the console, or `thinslice users add NAME --role admin`.")


@app.command("disable")
def disable(name: Name, config: Config = DEFAULT_CONFIG, reason: Reason = "") -> None:
    """Let someone no longer in, and end what they have open."""
    _told(users.disable(node_from(config).database, user_name(name), reason), f"{name} is not let in any more.", name)


@app.command("enable")
def enable(name: Name, config: Config = DEFAULT_CONFIG, reason: Reason = "") -> None:
    """Let someone in again."""
    _told(users.enable(node_from(config).database, user_name(name), reason), f"{name} is let in again.", name)


@app.command("role")
def role(name: Name, role: Role, config: Config = DEFAULT_CONFIG, reason: Reason = "") -> None:
    """Give someone another role; they have to log in again."""
    _told(users.set_role(node_from(config).database, user_name(name), role, reason), f"{name} is {role} now.", name)


@app.command("password")
def password(
    name: Name, config: Config = DEFAULT_CONFIG, password: Password = "", first: First = False, reason: Reason = ""
) -> None:
    """Give someone another password; they have to log in again."""
    plain, (given, good_for) = user_name(name), _given(password, first=first)
    hashed = hash_password(given)
    changed = users.set_password(node_from(config).database, plain, hashed, good_for=good_for, reason=reason)
    _told(changed, f"{name} has a new password.{_shown(given, first=first)}", name)


@app.command("sessions")
def list_sessions(
    name: Annotated[str, typer.Argument(help="Of this user alone.", autocompletion=user_names)] = "",
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show who is logged in, and from where."""
    found = sessions.opened(node_from(config).database, user_name(name) if name else "")
    if as_json:
        print_json(Sessions(tuple(found)))
        return
    table = Table("session", "name", "from", "since", "last used", "ends", box=None)
    for item in found:
        times = (local(at) for at in (item.created_at, item.seen_at, item.expires_at))
        table.add_row(item.handle, escape(item.user_name), item.peer_ip, *times)
    console.print(table if found else "Nobody is logged in.")


@app.command("logout")
def logout(
    name: Name,
    session: Annotated[str, typer.Option(help="This session alone; `sessions` shows them.")] = "",
    config: Config = DEFAULT_CONFIG,
    reason: Reason = "",
) -> None:
    """End someone's sessions."""
    ended = sessions.end(node_from(config).database, user_name(name), handle=session, reason=reason)
    console.print(f"{ended} ended." if ended else f"{escape(name)} has no such session.")


def _given(password: str, *, first: bool) -> tuple[str, timedelta | None]:
    """The password: made, given or asked for; and how long it is good for."""
    if first:
        return first_password(), FIRST_PASSWORD
    return password or typer.prompt("Password", hide_input=True, confirmation_prompt=True), None


def _shown(password: str, *, first: bool) -> str:
    return f" The first password, for a week and for nothing but choosing another: {password}" if first else ""


def _told(done: bool, sentence: str, name: str) -> None:
    if not done:
        raise InputError(f"there is no user {name!r}; `thinslice users list` shows them")
    console.print(escape(sentence))
