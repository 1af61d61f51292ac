"""Logging in and out, and the first user of all."""

import secrets
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from dicom_node.errors import InputError
from worker.console.accounts import LoginRefused
from worker.console.asked import Asked
from worker.console.office import Console, page

LOGIN, FIRST = "/login", "/first"
# Before there is a session, a form proves by this cookie that a page of ours was open in the same browser.
FORM_COOKIE = "thinslice-form"
HOUR_S = 3600.0


def ask(console: Console, asked: Asked) -> Response:
    """The login page."""
    if console.asks_for_first:
        return RedirectResponse(FIRST, 303)
    return login_form(console, asked, local(asked.query.get("next", "/")))


def login(console: Console, asked: Asked) -> Response:
    """Name and password: a session under a new token, or the same page with the reason."""
    to = local(asked.form.get("next", "/"))
    try:
        token = console.accounts.login(asked.form.get("name", ""), asked.form.get("password", ""), asked.peer_ip)
    except LoginRefused as error:
        return login_form(console, asked, to, 403, str(error))
    return let_in(console, RedirectResponse(to, 303), token)


def logout(console: Console, asked: Asked) -> Response:
    """End the session."""
    if asked.session is not None:
        console.accounts.logout(asked.session)
    response = RedirectResponse(LOGIN, 303)
    console.drop(response, console.cookie)
    return response


def ask_first(console: Console, asked: Asked) -> Response:
    """The page for the first user."""
    if not console.accounts.waits_for_first():
        return RedirectResponse(LOGIN, 303)
    return _form(console, asked, "first.html", token=asked.query.get("token", ""), name="")


def make_first(console: Console, asked: Asked) -> Response:
    """Make the first user, who is an admin, and log them in."""
    if not console.accounts.waits_for_first():
        return RedirectResponse(LOGIN, 303)
    token, name, password = (asked.form.get(key, "") for key in ("token", "name", "password"))
    try:
        plain = console.accounts.make_first(token, name, same_twice(password, asked.form.get("again", "")))
        return let_in(console, RedirectResponse("/", 303), console.accounts.login(plain, password, asked.peer_ip))
    except (LoginRefused, InputError) as error:
        return _form(console, asked, "first.html", 400, token=token, name=name, trouble=str(error))


def let_in(console: Console, response: Response, token: str) -> Response:
    """The response, with the cookie of a new session."""
    console.keep(response, console.cookie, token, console.settings.session_hours * HOUR_S)
    console.drop(response, FORM_COOKIE)
    return response


def login_form(console: Console, asked: Asked, to: str, status: int = 200, trouble: str = "") -> Response:
    """The login page, with every way in that there is; ``to`` says where one wants to go."""
    oidc = console.settings.oidc
    button = oidc.button if oidc else ""
    facts = {"next": to, "button": button, "passwords": "yes" if console.settings.passwords else ""}
    return _form(console, asked, "login.html", status, trouble, **facts)


def _form(
    console: Console, asked: Asked, template: str, status: int = 200, trouble: str = "", **facts: str
) -> Response:
    """A page with a form for somebody without a session: always of a stranger, whoever asks."""
    secret = asked.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
    expected = asked.session.csrf if asked.session else secret
    response = page(console, asked, template, status, form_secret=expected, trouble=trouble, **facts)
    console.keep(response, FORM_COOKIE, secret)
    return response


def same_twice(password: str, again: str) -> str:
    """A password that was typed twice. InputError where the two differ."""
    if password != again:
        raise InputError("the two passwords differ")
    return password


def local(path: str) -> str:
    """A path of this console; a link may name no other site to go to after the login."""
    parts = urlsplit(path)
    is_ours = (
        path.startswith("/")
        and path.isprintable()
        and not path.startswith(("//", "/\\"))
        and not parts.netloc
        and not parts.scheme
    )
    return path if is_ours else "/"
