"""Who may come in: passwords, logins and sessions. The ledger keeps digests; tokens and passwords are never kept.

A login is counted before it is tried (``dicom_node.ledger.throttle``), a token is new at each login, and whatever
changes a user ends their sessions.
"""

import hashlib
import hmac
import re
import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from dicom_node.errors import InputError
from dicom_node.ledger import sessions, throttle, tokens, users
from dicom_node.ledger.database import Database
from dicom_node.ledger.sessions import SessionView
from dicom_node.ledger.tokens import Program, TokenView
from dicom_node.ledger.users import Role
from worker.settings import ConsoleSettings

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 200
# Failures in a row before one has to wait: of one name from one address, and of one address.
ALLOWED_OF_NAME, ALLOWED_OF_ADDRESS = 5, 20
# Each hash takes 64 MiB and a good part of a core.
HASHES_AT_ONCE = threading.BoundedSemaphore(2)
HASHER = PasswordHasher()
# A token begins with it, so that one in a log or a leaked file is seen for what it is.
MARK = "thinslice_"
TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,39}")
LONGEST_TOKEN_DAYS = 366.0
REFUSED = "This name and this password do not belong together."


class LoginRefused(Exception):
    """A login that failed; the sentence tells no more than a stranger may know."""


class TooOften(Exception):
    """Somebody has to wait before the next try, ``wait_s`` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"Too many tokens were wrong: wait {wait_s:.0f} seconds, then try again.")
        self.wait_s = wait_s


def user_name(name: str) -> str:
    """The name as the ledger keeps it. InputError where it is none."""
    plain = name.strip().lower()
    if not NAME.fullmatch(plain):
        raise InputError(
            "a user name has 1 to 63 letters, digits, dots, dashes or @, and begins with a letter or digit"
        )
    return plain


def hash_password(password: str) -> str:
    """Hash of a new password. InputError where it is too short or too long."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InputError(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; a sentence is a good one"
        )
    with HASHES_AT_ONCE:
        return HASHER.hash(password)


def make_token(database: Database, user: str, name: str, role: Role, days: float) -> tuple[str, TokenView]:
    """A token for a program, shown this once, and its entry. InputError where it cannot be made."""
    plain = name.strip()
    if not TOKEN_NAME.fullmatch(plain):
        raise InputError("a token's name has 1 to 40 letters, digits, spaces, dots, dashes or @: name the program")
    if not 0 < days <= LONGEST_TOKEN_DAYS:
        raise InputError(f"a token holds for {LONGEST_TOKEN_DAYS:.0f} days at the most")
    token = MARK + secrets.token_urlsafe(32)
    return token, tokens.add(database, user, plain, _digest(token), role, days)


class Accounts:
    """Logins and sessions of one console.

    Attributes
    ----------
    first_token : str
        Proof of whoever can read this process's output, for making the first user; empty once there is one.
    """

    def __init__(self, database: Database, settings: ConsoleSettings) -> None:
        self._database, self._settings = database, settings
        self._nobody = HASHER.hash(secrets.token_urlsafe(16))  # so that an unknown name takes as long as a known one
        self.first_token = "" if users.is_anyone(database) else secrets.token_urlsafe(32)

    def waits_for_first(self) -> bool:
        """Whether the first user is still to be made."""
        if self.first_token and users.is_anyone(self._database):
            self.first_token = ""
        return bool(self.first_token)

    def make_first(self, token: str, name: str, password: str) -> str:
        """Make the first user, an admin, by the token; returns their name. LoginRefused or InputError: not made."""
        if not self.first_token or not hmac.compare_digest(token.encode(), self.first_token.encode()):
            raise LoginRefused("This is not the token that the console has written to its output.")
        plain = user_name(name)
        if not users.add(self._database, plain, hash_password(password), Role.ADMIN, first=True):
            raise LoginRefused("There is a user already: log in.")
        self.first_token = ""
        return plain

    def login(self, name: str, password: str, peer_ip: str) -> str:
        """The token of a new session. LoginRefused where there is none to be had."""
        plain = name.strip().lower()[:64]
        keys = {_digest("name", plain, peer_ip): ALLOWED_OF_NAME, _digest("address", peer_ip): ALLOWED_OF_ADDRESS}
        wait_s = throttle.attempt(self._database, keys, peer_ip)
        if wait_s > 0:
            raise LoginRefused(f"Too many logins failed: wait {wait_s:.0f} seconds, then try again.")
        known = users.credentials(self._database, plain)
        right = self._is_right(known.password_hash if known else self._nobody, password)
        if known is None or known.disabled or not right:
            reason = "is disabled" if known and known.disabled else "wrong name or password"
            sessions.refused(self._database, known.name if known else "", peer_ip, reason)
            raise LoginRefused(REFUSED)
        throttle.succeeded(self._database, *keys)
        token = secrets.token_urlsafe(32)
        database = self._database.acting_as(f"user {known.name}")
        hours = self._settings.session_hours
        sessions.enter(database, known.user_id, _digest(token), secrets.token_urlsafe(32), peer_ip, hours)
        return token

    def session(self, token: str, *, deed: bool) -> SessionView | None:
        """The session of a token, while it holds."""
        idle_s = self._settings.idle_minutes * 60
        return sessions.find(self._database, _digest(token), idle_s, deed=deed) if token else None

    def program(self, token: str, peer_ip: str) -> Program | None:
        """Who comes with a token. None where it lets nobody in; TooOften where such were tried too often."""
        found = tokens.find(self._database, _digest(token))
        if found is None:
            wait_s = throttle.attempt(self._database, {_digest("token", peer_ip): ALLOWED_OF_ADDRESS}, peer_ip)
            if wait_s > 0:
                raise TooOften(wait_s)
        return found

    def logout(self, session: SessionView) -> None:
        """End a session."""
        sessions.leave(self._database.acting_as(f"user {session.user_name}"), session)

    @staticmethod
    def _is_right(password_hash: str, password: str) -> bool:
        with HASHES_AT_ONCE:
            try:
                return HASHER.verify(password_hash, password[: LONGEST_PASSWORD + 1])
            except (Argon2Error, InvalidHashError):
                return False


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
