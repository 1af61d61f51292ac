"""The console as a web application: every request passes this one guard, whatever it asks for."""

import asyncio
import hmac
import math
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from dicom_node.errors import InputError, LedgerError, NodeError, NotHere
from dicom_node.ledger.sessions import SessionView
from worker import as_json
from worker.console.accounts import TooOften
from worker.console.asked import Asked, Unreadable, bare, read
from worker.console.doors import DOORS, FIRST, FORM_COOKIE, LOGIN, ME, Door
from worker.console.office import STATIC, Console, problem, told
from worker.console.shapes import Failed
from worker.settings import ConsoleSettings

log = structlog.get_logger()

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # not no-referrer, under which a browser calls the origin of our own forms "null"
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
LONGEST_ADDRESS, LONGEST_HEADERS = 8 * 1024, 32 * 1024
ASTRAY = {404: "There is no such page.", 405: "Nothing of that kind can be done here."}
# What a first password opens: the page on which it is replaced, and the way out.
WITH_FIRST = (ME, f"{ME}/password", "/logout")
BUSY = "Others are trying files at this moment. Try again in a minute."
FILES_AT_ONCE = 2
Endpoint = Callable[[Request], Awaitable[Response]]
ONE_YEAR_OF_TLS = "max-age=31536000"


def make_app(console: Console) -> ASGIApp:
    """The application of a console."""
    routes = [Route(door.path, _endpoint(console, door), methods=[door.method]) for door in DOORS]
    app = Starlette(
        routes=[*routes, Mount("/static", StaticFiles(directory=STATIC))],
        exception_handlers={HTTPException: _astray(console)},  # type: ignore[dict-item] # Starlette's own example
    )
    return _Headed(
        TrustedHostMiddleware(app, hosts(console.settings), www_redirect=False), by_tls=console.settings.by_tls
    )


def hosts(settings: ConsoleSettings) -> list[str]:
    """Names by which the console may be called: its public one, and this machine's own where it listens there."""
    public, everywhere = urlsplit(settings.public_url).hostname, settings.host in ("0.0.0.0", "::")  # noqa: S104
    own = [] if everywhere else [settings.host]
    local = ["127.0.0.1", "localhost"] if everywhere or settings.is_local else []
    return list(dict.fromkeys([*([public] if public else []), *own, *local]))


def answer(console: Console, door: Door, asked: Asked) -> Response:
    """What the guard makes of a request: who asks, may they, did they mean it; then the handler's word."""
    try:
        asked = _identified(console, asked)
        refusal = _refusal(console, door, asked)
        return refusal or door.handler(console, _with_body(door, asked))
    except TooOften as error:
        response = _tell(console, door, asked, 429, str(error))
        response.headers["Retry-After"] = str(math.ceil(error.wait_s))
        return response
    except NotHere as error:
        return _tell(console, door, asked, 404, str(error))
    except InputError as error:
        return _tell(console, door, asked, 400, str(error))
    except LedgerError as error:
        return _tell(console, door, asked, 503, str(error))
    except NodeError as error:
        return _tell(console, door, asked, 409, str(error))
    except Exception:
        log.exception("the console could not answer", method=asked.method, door=door.path)
        return _tell(console, door, asked, 500, "The console made a mistake. What it was stands in its log.")


def _identified(console: Console, asked: Asked) -> Asked:
    """Who asks: a program by its token, which is good for data alone, or a person by their cookie."""
    scheme, _, token = asked.headers.get("authorization", "").partition(" ")
    if not asked.is_data or scheme.lower() != "bearer":
        cookie = asked.cookies.get(console.cookie, "")
        return replace(asked, session=console.accounts.session(cookie, deed=not asked.live))
    program = console.accounts.program(token.strip(), asked.peer_ip)
    if program is None:
        return replace(asked, bad_token=True)
    return replace(asked, session=SessionView("", program.user_name, program.role, ""), token=program.name)


def _with_body(door: Door, asked: Asked) -> Asked:
    """With what a program sent as its form. A program means what it asks for: nobody asks it again."""
    if not asked.is_data or asked.method != "POST":
        return asked
    fields = vars(as_json.parsed(door.takes, asked.body)) if door.takes else {}
    return replace(
        asked, form={**{name: str(value) for name, value in fields.items() if value is not None}, "sure": "yes"}
    )


def _refusal(console: Console, door: Door, asked: Asked) -> Response | None:
    turned_away = _turned_away(console, door, asked)
    if turned_away is not None:
        return turned_away
    if asked.method == "POST" and not _is_meant(asked):
        return _tell(
            console, door, asked, 403, "This form is too old, or did not come from this console. Load the page again."
        )
    if asked.body and _media_type(asked) != "application/json":
        return _tell(console, door, asked, 415, "Send JSON, with the Content-Type application/json.")
    return None


def _turned_away(console: Console, door: Door, asked: Asked) -> Response | None:
    if asked.bad_token or (door.role is not None and asked.session is None):
        return _ask_for_login(console, door, asked)
    if asked.session is not None and asked.session.is_first and door.role is not None and door.path not in WITH_FIRST:
        if door.is_data:
            return _tell(console, door, asked, 403, "Replace your first password before anything else.")
        return RedirectResponse(ME, 303)
    if door.role is not None and not asked.may(door.role):
        return _tell(console, door, asked, 403, f"This is for the role {door.role}. Ask an admin of this node.")
    return None


def _ask_for_login(console: Console, door: Door, asked: Asked) -> Response:
    if door.is_data or asked.live:
        sentence = "This token lets nobody in." if asked.bad_token else "Log in first, or send a token."
        return told(Failed(sentence), 401, {"WWW-Authenticate": "Bearer"} if door.is_data else None)
    if console.asks_for_first:
        return RedirectResponse(FIRST, 303)
    return RedirectResponse(LOGIN if asked.method == "POST" else f"{LOGIN}?next={quote(asked.path)}", 303)


def _is_meant(asked: Asked) -> bool:
    """Whether a form came from a page of this session; before there is one, of this browser."""
    if asked.token:
        return True  # no browser sends one by itself
    expected = asked.session.csrf if asked.session else asked.cookies.get(FORM_COOKIE, "")
    given = asked.headers.get("x-csrf", "") if asked.is_data else asked.form.get("csrf", "")
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode()) and asked.is_from_here


def _media_type(asked: Asked) -> str:
    return asked.headers.get("content-type", "").partition(";")[0].strip().lower()


def _tell(console: Console, door: Door, asked: Asked, status: int, sentence: str) -> Response:
    if door.is_data:
        return told(Failed(sentence), status)
    return problem(console, asked, status, sentence)


def _endpoint(console: Console, door: Door) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            asked = await read(request, is_data=door.is_data, takes_file=door.takes_file)
        except Unreadable as error:
            response = await run_in_threadpool(_tell, console, door, bare(request), error.status, str(error))
            response.headers["Connection"] = "close"  # what is left of the form is not read
            return response
        return await run_in_threadpool(answer, console, door, asked)

    return _in_turn(console, door, endpoint) if door.takes_file else endpoint


def _in_turn(console: Console, door: Door, endpoint: Endpoint) -> Endpoint:
    """Read files of those who may bring them alone, and few at a time: each is in memory."""
    turns = asyncio.Semaphore(FILES_AT_ONCE)

    def refused(request: Request) -> Response | None:
        session = console.accounts.session(request.cookies.get(console.cookie, ""), deed=False)
        return _turned_away(console, door, replace(bare(request), method="POST", session=session))

    async def guarded(request: Request) -> Response:
        response = await run_in_threadpool(refused, request)
        if response is None and turns.locked():
            response = await run_in_threadpool(_tell, console, door, bare(request), 503, BUSY)
        if response is not None:
            response.headers["Connection"] = "close"  # the file is not read
            return response
        async with turns:
            return await endpoint(request)

    return guarded


def _astray(console: Console) -> Callable[[Request, HTTPException], Awaitable[Response]]:
    """What is said where no door is: to somebody who is logged in, with the way to the others."""

    async def handler(request: Request, error: HTTPException) -> Response:
        sentence = ASTRAY.get(error.status_code, error.detail)
        if request.url.path.startswith("/api/"):
            return told(Failed(sentence), error.status_code, error.headers)
        door = Door("GET", "", lambda console, asked: problem(console, asked, error.status_code, sentence), None)
        response = await run_in_threadpool(answer, console, door, bare(request))
        response.headers.update(error.headers or {})
        return response

    return handler


class _Headed:
    """Puts the same headers on every answer, also on those of a refused host or a failure."""

    def __init__(self, app: ASGIApp, *, by_tls: bool) -> None:
        self._app = app
        self._headers = HEADERS | ({"Strict-Transport-Security": ONE_YEAR_OF_TLS} if by_tls else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""

        async def send_headed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        crooked = _crooked(scope)
        await (crooked or self._app)(scope, receive, send_headed)


def _crooked(scope: Scope) -> Response | None:
    """The answer to a request that no browser sends: not looked into, and hung up on."""
    names = [name for name, _ in scope["headers"]]
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
        status, sentence = 414, "The address is too long."
    elif sum(len(name) + len(value) for name, value in scope["headers"]) > LONGEST_HEADERS:
        status, sentence = 431, "The headers are too long."
    elif b"transfer-encoding" in names and b"content-length" in names:  # RFC 9112 6.1: request smuggling
        status, sentence = 400, "The request says twice how long it is."
    else:
        return None
    return told(Failed(sentence), status, {"Connection": "close"})
