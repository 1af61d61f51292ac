"""What every handler is handed: the node, the accounts, the templates, and how an answer is made."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dicom_node.ledger.users import Role
from worker import as_json
from worker.console import words
from worker.console.accounts import Accounts
from worker.console.asked import Asked
from worker.console.issuer import Issuer
from worker.console.looking import Looks
from worker.console.previews import Previews
from worker.console.searching import filters
from worker.console.shapes import Said
from worker.console.tally import Tally
from worker.deeds import DEEDS
from worker.settings import ConsoleSettings
from worker.wiring import Node

ROOM = Path(__file__).parent
STATIC = ROOM / "static"
# Where an OpenID provider sends people back to.
RETURN = "/oidc/back"


class Notes:
    """A sentence for the next page that a session sees: what its deed came to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: dict[str, str] = {}

    def leave(self, session: str, sentence: str) -> None:
        """Keep it; a page that never comes costs nothing worth counting."""
        with self._lock:
            self._notes[session] = sentence

    def take(self, session: str) -> str:
        """Take it away; empty where there is none."""
        with self._lock:
            return self._notes.pop(session, "")


@dataclass(frozen=True)
class Console:
    """One console. ``node`` acts as the console itself; ``acting`` gives the node in a person's name."""

    node: Node
    accounts: Accounts
    previews: Previews
    issuer: Issuer | None = None
    notes: Notes = field(default_factory=Notes)
    tally: Tally = field(default_factory=Tally)
    looks: Looks = field(default_factory=Looks)
    templates: Environment = field(default_factory=lambda: _templates())

    @property
    def settings(self) -> ConsoleSettings:
        """The console's settings."""
        return self.node.settings.console

    @property
    def cookie(self) -> str:
        """Name of the session's cookie; with the prefix no other host can set it (RFC 6265bis 4.1.3.2)."""
        return "__Host-thinslice" if self.settings.by_tls else "thinslice"

    def acting(self, asked: Asked) -> Node:
        """The node in the name of who asks, for the audit trail."""
        name = asked.session.user_name if asked.session else "nobody"
        actor = f"token {asked.token} of {name}" if asked.token else f"user {name}"
        return replace(self.node, database=self.node.database.acting_as(actor))

    @property
    def asks_for_first(self) -> bool:
        """Whether strangers are asked to make the first user; where they come by a provider, only the output asks."""
        return self.issuer is None and self.accounts.waits_for_first()

    def keep(
        self,
        response: Response,
        name: str,
        value: str,
        seconds: float | None = None,
        samesite: Literal["strict", "lax"] = "strict",
    ) -> None:
        """Set a cookie that no script reads, and that only this site's own pages send back.

        Parameters
        ----------
        samesite : str
            ``lax``: also sent when another site leads here, as a provider does after a login.
        """
        age = None if seconds is None else int(seconds)
        response.set_cookie(name, value, max_age=age, secure=self.settings.by_tls, httponly=True, samesite=samesite)

    def drop(self, response: Response, name: str, samesite: Literal["strict", "lax"] = "strict") -> None:
        """Have a cookie forgotten."""
        response.delete_cookie(name, secure=self.settings.by_tls, httponly=True, samesite=samesite)


Handler = Callable[[Console, Asked], Response]


def open_console(node: Node) -> Console:
    """The console of a node."""
    settings = node.settings.console
    oidc = settings.oidc
    issuer = Issuer(oidc, f"{settings.public_url.rstrip('/')}{RETURN}") if oidc else None
    return Console(node, Accounts(node.database, settings), Previews(settings.previews), issuer)


def page(console: Console, asked: Asked, template: str, status: int = 200, **facts: Any) -> Response:
    """A page, or its inside alone for one that refreshes itself."""
    session = asked.session
    content = console.templates.get_template(template).render(
        layout="inside.html" if asked.live else "layout.html",
        ae_title=console.node.settings.receive.ae_title,
        keeps_log=console.node.settings.worker.logs is not None,
        path=asked.path,
        session=session,
        operates=asked.may(Role.OPERATOR),
        csrf=session.csrf if session else "",
        note="" if asked.live or session is None else console.notes.take(session.token_sha256),
        **facts,
    )
    return HTMLResponse(content, status)


def problem(console: Console, asked: Asked, status: int, sentence: str) -> Response:
    """A page with one sentence."""
    return page(console, asked, "problem.html", status, sentence=sentence)


def told(answer: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A dataclass as JSON."""
    return Response(as_json.dumped(answer), status, headers, media_type="application/json")


def back(console: Console, asked: Asked, to: str, sentence: str, *, ok: bool = True) -> Response:
    """After a deed: to a page that says what came of it; a program is told at once, and whether it is good news."""
    if asked.is_data:
        return told(Said(sentence, ok))
    if asked.session is not None:
        console.notes.leave(asked.session.token_sha256, sentence)
    return RedirectResponse(to, 303)


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(ROOM / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(words.FILTERS)
    environment.globals.update(
        meaning=words.meaning, version=_version_of_static(), icons=words.ICONS, deeds=DEEDS, filters=filters
    )
    return environment


def _version_of_static() -> str:
    content = b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()))
    return hashlib.sha256(content).hexdigest()[:12]
