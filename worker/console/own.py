"""A person's own page: their password, and where else they are logged in."""

from starlette.responses import RedirectResponse, Response

from dicom_node.errors import InputError
from dicom_node.ledger import sessions
from dicom_node.ledger.sessions import HANDLE, SessionView
from worker.console.accounts import LoginRefused
from worker.console.asked import Asked
from worker.console.entering import let_in, same_twice
from worker.console.office import Console, back, page

ME = "/me"


def me(console: Console, asked: Asked) -> Response:
    """The page."""
    return _page(console, asked)


def password(console: Console, asked: Asked) -> Response:
    """Replace one's password, by the old one."""
    session, form = _session(asked), asked.form
    try:
        new = same_twice(form.get("new", ""), form.get("again", ""))
        token = console.accounts.change_password(session, form.get("old", ""), new, asked.peer_ip)
    except (LoginRefused, InputError) as error:
        return _page(console, asked, 400, str(error))
    return let_in(console, RedirectResponse("/" if session.is_first else ME, 303), token)


def end_sessions(console: Console, asked: Asked) -> Response:
    """End one of one's other sessions, or all of them."""
    session = _session(asked)
    database, handle = console.acting(asked).database, asked.form.get("handle", "")
    ended = sessions.end(database, session.user_name, handle=handle, but=session.token_sha256)
    return back(console, asked, ME, said_of(ended))


def said_of(ended: int) -> str:
    """What ending sessions came to."""
    return f"{ended} session{'s are' if ended > 1 else ' is'} ended." if ended else "There was nothing left to end."


def _page(console: Console, asked: Asked, status: int = 200, trouble: str = "") -> Response:
    session = _session(asked)
    found = sessions.opened(console.node.database, session.user_name)
    return page(console, asked, "me.html", status, found=found, here=session.token_sha256[:HANDLE], trouble=trouble)


def _session(asked: Asked) -> SessionView:
    if asked.session is None:
        raise InputError("log in first")  # the guard has seen to it
    return asked.session
