"""Who may use the console: what an admin sees of it and does about it. The command line's `users` does the same."""

from collections import Counter

from starlette.responses import Response

from dicom_node.errors import InputError
from dicom_node.ledger import sessions, users
from dicom_node.ledger.browse import PAGE
from dicom_node.ledger.sessions import HANDLE
from dicom_node.ledger.users import Role
from worker.console.accounts import FIRST_PASSWORD, first_password, hash_password
from worker.console.asked import Asked
from worker.console.names import user_name
from worker.console.office import Console, back, page
from worker.console.own import said_of

# Acts that cannot be undone, with the question that comes first.
QUESTIONS = {
    "password": "Give them a new first password? The one they have is worth nothing from then on, and they are "
    "logged out everywhere.",
    "sessions": "Log them out? What they have half typed is lost.",
}


def everyone(console: Console, asked: Asked) -> Response:
    """Everybody, and a form to add one."""
    return _list(console, asked)


def one(console: Console, asked: Asked) -> Response:
    """One user, and what can be done about them."""
    name = asked.words["name"]
    user = users.one(console.node.database, name)
    if user is None:
        raise InputError("there is no such user")
    found = sessions.opened(console.node.database, user.name)
    return page(console, asked, "user.html", user=user, found=found, roles=list(Role))


def add(console: Console, asked: Asked) -> Response:
    """Let somebody in, with a first password that is shown this once."""
    try:
        name, password = _added(console, asked)
    except InputError as error:
        return _list(console, asked, 400, str(error))
    return _handed_over(console, asked, name, password)


def act(console: Console, asked: Asked) -> Response:
    """Do something about a user, or ask whether it is really meant."""
    deed, name, reason = asked.words["act"], asked.words["name"], asked.reason
    database, to = console.acting(asked).database, f"/users/{asked.words['name']}"
    if users.one(database, name) is None:
        raise InputError("there is no such user")
    if deed in QUESTIONS and asked.form.get("sure") != "yes":
        question, handle = QUESTIONS[deed], asked.form.get("handle", "")[:HANDLE]
        return page(
            console, asked, "user_sure.html", name=name, act=deed, question=question, reason=reason, handle=handle
        )
    match deed:
        case "role":
            role = _role(asked.form.get("role", ""))
            users.set_role(database, name, role, reason)
            return back(console, asked, to, f"{name} is {role} now, and has to log in anew.")
        case "disable":
            users.disable(database, name, reason)
            return back(console, asked, to, f"{name} is not let in any more.")
        case "enable":
            users.enable(database, name, reason)
            return back(console, asked, to, f"{name} is let in again.")
        case "sessions":
            ended = sessions.end(database, name, handle=asked.form.get("handle", ""), reason=reason)
            return back(console, asked, to, said_of(ended))
        case "password":
            password, hashed = _first_password(console)
            users.set_password(database, name, hashed, good_for=FIRST_PASSWORD, reason=reason)
            return _handed_over(console, asked, name, password)
    raise InputError("nothing of that kind can be done with a user")


def _list(console: Console, asked: Asked, status: int = 200, trouble: str = "") -> Response:
    database, after = console.node.database, asked.query.get("after", "")[:64]
    listed, found = users.everyone(database, after, PAGE + 1), sessions.opened(database)
    return page(
        console, asked, "users.html", status, everyone=listed[:PAGE], trouble=trouble,
        more=listed[PAGE - 1].name if len(listed) > PAGE else "", after=after, roles=list(Role),
        seen={item.user_name: item.seen_at for item in reversed(found)},
        opened=Counter(item.user_name for item in found),
        passwords=console.settings.passwords, oidc=console.settings.oidc, typed=asked.form.get("name", "")[:64],
    )  # fmt: skip


def _added(console: Console, asked: Asked) -> tuple[str, str]:
    """Name and first password of a new user. InputError where there is none to be had."""
    name, role = user_name(asked.form.get("name", "")), _role(asked.form.get("role", ""))
    password, hashed = _first_password(console)
    database = console.acting(asked).database
    if not users.add(database, name, hashed, role, good_for=FIRST_PASSWORD, reason=asked.reason):
        raise InputError(f"there is a user {name} already")
    return name, password


def _first_password(console: Console) -> tuple[str, str]:
    """A first password, and its hash."""
    if not console.settings.passwords:
        raise InputError("passwords are switched off: people come in by the identity provider")
    password = first_password()
    return password, hash_password(password)


def _handed_over(console: Console, asked: Asked, name: str, password: str) -> Response:
    """The one page that shows it: it is nowhere kept."""
    days = FIRST_PASSWORD.days
    return page(console, asked, "first_password.html", name=name, password=password, days=days)


def _role(text: str) -> Role:
    if text not in set(Role):
        raise InputError(f"choose a role: {', '.join(Role)}")
    return Role(text)
