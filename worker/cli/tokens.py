"""Commands for the tokens by which programs use the console's API."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node.errors import InputError
from dicom_node.ledger import overview, tokens
from dicom_node.ledger.users import Role
from worker.cli.common import DEFAULT_CONFIG, AsJson, Config, console, local, node_from, print_json
from worker.cli.complete import user_names
from worker.console import answers
from worker.console.accounts import LONGEST_TOKEN_DAYS, make_token
from worker.console.names import user_name
from worker.console.shapes import Made

app = typer.Typer(help="The programs that may use the console's API.", no_args_is_help=True)

User = Annotated[
    str, typer.Option(help="In whose name the program acts; see `thinslice users`.", autocompletion=user_names)
]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What the program is called.")],
    user: User,
    role: Annotated[Role, typer.Option(help="What it may do: never more than the user.")] = Role.VIEWER,
    days: Annotated[float, typer.Option(help="How long it is let in.", min=0.01, max=LONGEST_TOKEN_DAYS)] = 90.0,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Let a program use the API. Its token is shown this once: `curl -H "Authorization: Bearer TOKEN" .../api/now`."""
    token, entry = make_token(node_from(config).database, user_name(user), name, role, days)
    if as_json:
        print_json(Made(token, entry))
        return
    console.print(f"{entry.name} may use the API as {role} for {user} until {local(entry.expires_at)}.", markup=False)
    typer.echo(token)


@app.command("list")
def list_tokens(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show which programs may use the API; the tokens themselves are kept nowhere."""
    node = node_from(config)
    found = answers.tokens_of(node)
    if as_json:
        print_json(found)
        return
    at = overview.now(node.database)
    table = Table("token", "program", "of", "may", "", "last used", "until", box=None)
    for item in found.tokens:
        state = "revoked" if item.revoked_at else "expired" if item.expires_at <= at else ""
        used = local(item.used_at) if item.used_at else "never"
        table.add_row(
            str(item.id), escape(item.name), escape(item.user_name), item.role, state, used, local(item.expires_at)
        )
    console.print(table if found.tokens else "None yet: `thinslice tokens add NAME --user USER`.")


@app.command("revoke")
def revoke(
    token: Annotated[int, typer.Argument(help="Number of the token; `thinslice tokens list` shows it.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Let a program in no more, at once."""
    entry = tokens.revoke(node_from(config).database, token)
    if entry is None:
        raise InputError(f"there is no token {token} that holds; `thinslice tokens list` shows them")
    console.print(f"The token {entry.name} of {entry.user_name} lets nobody in any more.", markup=False)
