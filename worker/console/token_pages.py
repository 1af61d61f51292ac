"""The page of tokens, by which programs use the API in a person's name. A token is shown once, on the page after it."""

from starlette.responses import Response

from dicom_node.errors import InputError, NotHere
from dicom_node.ledger import overview, tokens
from dicom_node.ledger.users import Role
from worker.console.accounts import LONGEST_TOKEN_DAYS, make_token
from worker.console.asked import Asked
from worker.console.office import Console, back, page


def tokens_page(console: Console, asked: Asked) -> Response:
    """One's own tokens; for an admin everybody's."""
    return _page(console, asked)


def add(console: Console, asked: Asked) -> Response:
    """Make a token for oneself."""
    name, role, days = (asked.form.get(key, "") for key in ("name", "role", "days"))
    try:
        wanted = Role(role)  # ValueError: no role of that name
        held = float(days) if days.replace(".", "", 1).isdecimal() else 0.0
        token, entry = make_token(console.acting(asked).database, _who(asked), name, wanted, held)
    except (InputError, ValueError) as error:
        return _page(console, asked, 400, trouble=str(error))
    return _page(console, asked, token=token, made=entry.name)


def revoke(console: Console, asked: Asked) -> Response:
    """Let a token in no more: one's own, or as an admin anybody's."""
    whose = "" if asked.may(Role.ADMIN) else _who(asked)
    entry = tokens.revoke(console.acting(asked).database, asked.numbers["token"], whose)
    if entry is None:
        raise NotHere("there is no such token of yours that holds")
    return back(console, asked, "/tokens", f"The token {entry.name} of {entry.user_name} lets nobody in any more.")


def _page(
    console: Console, asked: Asked, status: int = 200, token: str = "", made: str = "", trouble: str = ""
) -> Response:
    everybody = asked.may(Role.ADMIN)
    roles = [str(role) for role in Role if asked.may(role)]
    return page(
        console, asked, "tokens.html", status,
        tokens=tokens.everyone(console.node.database, "" if everybody else _who(asked)), everybody=everybody,
        token=token, made=made, trouble=trouble, roles=roles, longest=LONGEST_TOKEN_DAYS,
        at=overview.now(console.node.database),
    )  # fmt: skip


def _who(asked: Asked) -> str:
    return asked.session.user_name if asked.session else ""
