"""Who may come in: passwords, logins and sessions. The ledger keeps digests; tokens and passwords are never kept.

A login is counted before it is tried (``dicom_node.ledger.throttle``), a token is new at each login, and whatever
changes a user ends their sessions. A first password is known to whoever gave it: it opens the page alone on which its
person replaces it, and that for a week.
"""

import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from dicom_node.errors import InputError
from dicom_node.ledger import issued, sessions, throttle, tokens, users
from dicom_node.ledger.database import Database
from dicom_node.ledger.sessions import SessionView
from dicom_node.ledger.tokens import Program, TokenView
from dicom_node.ledger.users import Credentials, Role
from worker.console.issuer import IssuedPerson
from worker.console.names import user_name
from worker.console.provider import IssuerError
from worker.settings import ConsoleSettings

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
FIRST_PASSWORD = timedelta(days=7)
# No letter or digit that is easily taken for another.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class LoginRefused(Exception):
    """A login that failed; the sentence tells no more than a stranger may know."""


class TooOften(Exception):
    """Somebody has to wait before the next try, ``wait_s`` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"Too many tokens were wrong: wait {wait_s:.0f} seconds, then try again.")
        self.wait_s = wait_s


def first_password() -> str:
    """A password to hand over to somebody: 80 random bits in groups that can be read aloud."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4))


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
        self.first_token = "" if not settings.passwords or users.is_anyone(database) else secrets.token_urlsafe(32)

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
        if not self._settings.passwords:
            raise LoginRefused("Passwords are switched off on this node.")
        plain = name.strip().lower()[:64]
        known = self._proven(plain, password, peer_ip)
        return self._open(known.user_id, known.name, peer_ip)

    def login_by_issuer(self, issuer: str, who: Callable[[], IssuedPerson], peer_ip: str) -> str:
        """The token of a new session for whom an OpenID provider has sent. LoginRefused where it has sent nobody."""
        key = _digest("issuer", peer_ip)
        self._count({key: ALLOWED_OF_ADDRESS}, peer_ip)
        try:
            person = who()
        except IssuerError as error:
            sessions.refused(self._database, "", peer_ip, str(error))
            raise LoginRefused(str(error)) from error
        user = issued.arrive(self._database, issuer, person.subject, person.name, person.role)
        if user.disabled:
            sessions.refused(self._database, user.name, peer_ip, "is disabled")
            raise LoginRefused("An admin of this node has decided that you are not let in.")
        throttle.succeeded(self._database, key, key)
        return self._open(user.user_id, user.name, peer_ip)

    def change_password(self, session: SessionView, old: str, new: str, peer_ip: str) -> str:
        """Replace one's own password; ends all one's sessions and returns the token of a new one.

        LoginRefused where the old one is wrong, which is counted as a login; InputError where the new one cannot be.
        """
        if session.issuer or not self._settings.passwords:
            raise InputError("you log in by the identity provider: change your password there")
        known = self._proven(session.user_name, old, peer_ip)
        if old == new:
            raise InputError("the new password is the old one")
        database = self._database.acting_as(f"user {session.user_name}")
        users.set_password(database, session.user_name, hash_password(new))
        return self._open(known.user_id, known.name, peer_ip)

    def session(self, token: str, *, deed: bool) -> SessionView | None:
        """The session of a token, while it holds, and while its person's way of coming in is still open."""
        idle_s = self._settings.idle_minutes * 60
        found = sessions.find(self._database, _digest(token), idle_s, deed=deed) if token else None
        oidc = self._settings.oidc
        ways = ([""] if self._settings.passwords else []) + ([oidc.issuer] if oidc else [])
        return found if found and found.issuer in ways else None

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

    def _count(self, keys: Mapping[str, int], peer_ip: str) -> None:
        wait_s = throttle.attempt(self._database, keys, peer_ip)
        if wait_s > 0:
            raise LoginRefused(f"Too many logins failed: wait {wait_s:.0f} seconds, then try again.")

    def _proven(self, name: str, password: str, peer_ip: str) -> Credentials:
        """Who this is, by a password that they may try only so often. LoginRefused for all others."""
        keys = {_digest("name", name, peer_ip): ALLOWED_OF_NAME, _digest("address", peer_ip): ALLOWED_OF_ADDRESS}
        self._count(keys, peer_ip)
        known = self._known(name, password, peer_ip)
        throttle.succeeded(self._database, *keys)
        return known

    def _known(self, name: str, password: str, peer_ip: str) -> Credentials:
        """Who this is. LoginRefused, in the same time, for whatever reason they are not let in."""
        known = users.credentials(self._database, name)
        right = self._is_right((known and known.password_hash) or self._nobody, password)
        if known is not None and right and not known.disabled and not known.expired:
            return known
        reason = "wrong name or password"
        if known is not None and known.disabled:
            reason = "is disabled"
        elif known is not None and known.expired:
            reason = "the first password has run out"
        sessions.refused(self._database, known.name if known else "", peer_ip, reason)
        raise LoginRefused(REFUSED)

    def _open(self, user_id: int, name: str, peer_ip: str) -> str:
        token, hours = secrets.token_urlsafe(32), self._settings.session_hours
        database = self._database.acting_as(f"user {name}")
        sessions.enter(database, user_id, _digest(token), secrets.token_urlsafe(32), peer_ip, hours)
        return token

    @staticmethod
    def _is_right(password_hash: str, password: str) -> bool:
        with HASHES_AT_ONCE:
            try:
                return HASHER.verify(password_hash, password[: LONGEST_PASSWORD + 1])
            except (Argon2Error, InvalidHashError):
                return False


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
