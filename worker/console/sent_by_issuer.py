"""Logging in by an OpenID provider: the way there, and the way back.

The cookie of a login under way is SameSite=Lax, since it is another site that leads back here. The session's stays
Strict: a browser keeps it from a request that another site began, so the answer is no redirect but a page, which goes
on by itself and is ours.
"""

import secrets
from functools import partial
from urllib.parse import quote, unquote

from starlette.responses import RedirectResponse, Response

from dicom_node.errors import InputError
from worker.console.accounts import LoginRefused
from worker.console.asked import Asked
from worker.console.entering import let_in, local, login_form
from worker.console.issuer import Issuer
from worker.console.office import Console, page
from worker.console.provider import IssuerError

BEGIN = "/oidc/begin"
UNDER_WAY_S = 600.0
LONGEST_WAY = 300


def begin(console: Console, asked: Asked) -> Response:
    """Send somebody to the provider."""
    issuer, to = _issuer(console), local(asked.query.get("next", "/"))[:LONGEST_WAY]
    secret = secrets.token_urlsafe(32)
    try:
        response: Response = RedirectResponse(issuer.begin(secret), 303)
    except IssuerError as error:
        return login_form(console, asked, to, 503, str(error))
    console.keep(response, _cookie(console), f"{secret}.{quote(to, safe='')}", UNDER_WAY_S, "lax")
    return response


def back(console: Console, asked: Asked) -> Response:
    """Let in whom the provider has sent back, or say on the login page why not."""
    issuer = _issuer(console)
    secret, _, way = asked.cookies.get(_cookie(console), "").partition(".")
    to, who = local(unquote(way)), partial(issuer.finish, secret, asked.query)
    try:
        token = console.accounts.login_by_issuer(issuer.name, who, asked.peer_ip)
        response = let_in(console, page(console, asked, "entered.html", to=to), token)
    except LoginRefused as error:
        response = login_form(console, asked, to, 403, str(error))
    console.drop(response, _cookie(console), "lax")
    return response


def _issuer(console: Console) -> Issuer:
    if console.issuer is None:
        raise InputError("nobody logs in by an identity provider here: [console.oidc] names none")
    return console.issuer


def _cookie(console: Console) -> str:
    return f"{console.cookie}-oidc"
