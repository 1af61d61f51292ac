"""A browser without a screen: it keeps cookies, follows nothing by itself, and sends a form's secret along."""

import html
import re
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from worker.console.serving import ConsoleServer

SECRET = re.compile(r'name="csrf" value="([^"]*)"')


@dataclass(frozen=True)
class Page:
    """An answer; ``headers`` by lower-case name."""

    status: int
    headers: dict[str, str]
    text: str
    content: bytes

    @property
    def csrf(self) -> str:
        """The secret of the page's forms."""
        found = SECRET.search(self.text)
        return html.unescape(found[1]) if found else ""


@dataclass
class Visitor:
    """Somebody with a browser."""

    server: ConsoleServer
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)

    def get(self, path: str, **headers: str) -> Page:
        """Ask for a page."""
        return self._ask("GET", path, None, headers)

    def post(self, path: str, page: str = "", csrf: str | None = None, **form: str) -> Page:
        """Send a form: the one on ``page``, or with this secret."""
        secret = self.get(page).csrf if csrf is None else csrf
        return self.send(path, urlencode({"csrf": secret, **form}).encode())

    def send(self, path: str, body: bytes, **headers: str) -> Page:
        """Send these bytes as a form."""
        return self._ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})

    def login(self, name: str, password: str, to: str = "/") -> Page:
        """Log in by the page."""
        return self.post("/login", "/login", name=name, password=password, next=to)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Page:
        place = urlsplit(self.server.local_url)
        connection = HTTPConnection(place.hostname or "", place.port or 0, timeout=20)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body, {**({"Cookie": cookies} if cookies else {}), **headers})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.set_cookies = [value for name, value in answer.getheaders() if name.lower() == "set-cookie"]
        for line in self.set_cookies:
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        plain = {name.lower(): value for name, value in answer.getheaders()}
        return Page(answer.status, plain, content.decode("utf-8", "replace"), content)
