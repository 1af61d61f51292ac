"""A request as the handlers see it: read, limited and plain."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from dicom_node.ledger.sessions import SessionView
from dicom_node.ledger.users import Role
from worker.console.multipart import fields_and_file

LONGEST_BODY = 64 * 1024
LONGEST_BODY_S = 10.0
LONGEST_UPLOAD, LONGEST_UPLOAD_S = 16 * 1024 * 1024, 60.0
MOST_FIELDS = 600  # a chosen series is one
# Numbers of rows are 32 bits wide.
HIGHEST = 2**31 - 1
LONGEST_REASON = 200


class Unreadable(Exception):
    """A request that is not looked into any further; ``status`` is its HTTP answer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes
    ----------
    numbers : mapping of str to int
        Numbers in the path.
    chosen : tuple of str
        Every value of the form's field ``series``, of which there may be many.
    words : mapping of str to str
        Other parts of the path.
    live : bool
        Asked by a page that refreshes itself: it wants the page's inside alone, and is no deed of a person.
    is_data : bool
        Asked of a door for programs: answered with JSON.
    body : bytes
        What a program sent, not looked into yet; of a page's form it is ``form``.
    upload : bytes or None
        The file that a form brought along, where its door takes one.
    session : SessionView or None
        Who asks, once that is found out.
    token : str
        Name of the token by which a program asks for them; empty for a person.
    bad_token : bool
        A program brought a token that lets nobody in.
    """

    method: str
    path: str
    numbers: Mapping[str, int]
    words: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    cookies: Mapping[str, str]
    headers: Mapping[str, str]
    peer_ip: str
    live: bool = False
    upload: bytes | None = field(default=None, repr=False)
    chosen: tuple[str, ...] = ()
    is_data: bool = False
    body: bytes = b""
    session: SessionView | None = field(default=None, compare=False)
    token: str = ""
    bad_token: bool = False

    def may(self, role: Role) -> bool:
        """Whether who asks has this role or a higher one."""
        return self.session is not None and Role(self.session.role).reaches(role)

    @property
    def reason(self) -> str:
        """What a person typed for the audit trail."""
        return " ".join(self.form.get("reason", "").split())[:LONGEST_REASON]

    @property
    def is_from_here(self) -> bool:
        """Whether a form was sent by one of our own pages, as far as the browser says (the Origin header)."""
        origin = self.headers.get("origin")
        return origin is None or urlsplit(origin).netloc == self.headers.get("host")


async def read(request: Request, *, is_data: bool = False, takes_file: bool = False) -> Asked:
    """Read a request. Unreadable where it is too long, too slow, no form, or asks for one thing twice."""
    body = b""
    if request.method == "POST":
        longest, longest_s = (LONGEST_UPLOAD, LONGEST_UPLOAD_S) if takes_file else (LONGEST_BODY, LONGEST_BODY_S)
        try:
            body = await asyncio.wait_for(_body(request, longest), longest_s)
        except TimeoutError as error:
            raise Unreadable(408, "The form did not arrive in time.") from error
        except ClientDisconnect as error:
            raise Unreadable(400, "The form cannot be read.") from error
    parts, query = request.path_params.items(), dict(request.query_params)
    numbers = {name: value for name, value in parts if isinstance(value, int)}
    fields, upload = ([], None) if is_data else _form(request, body, takes_file)
    if max(numbers.values(), default=0) > HIGHEST:
        raise Unreadable(404, "There is nothing of that number.")
    if is_data and len(query) < len(request.query_params.multi_items()):
        raise Unreadable(400, "Something is asked for twice.")
    if any("\0" in value for value in (*query.values(), *(value for _, value in fields))):
        raise Unreadable(400, "There is a character that no text has.")  # and that PostgreSQL refuses
    return Asked(
        method=request.method,
        path=request.url.path,
        numbers=numbers,
        words={name: value for name, value in parts if isinstance(value, str)},
        query=query,
        form=dict(fields),
        cookies=request.cookies,
        headers=request.headers,
        peer_ip=request.client.host if request.client else "",
        live="x-live" in request.headers,
        upload=upload,
        chosen=tuple(value for name, value in fields if name == "series"),
        is_data=is_data,
        body=body if is_data else b"",
    )


def bare(request: Request) -> Asked:
    """A request of which nothing but the cookies is looked at."""
    return Asked("GET", request.url.path, {}, {}, {}, {}, request.cookies, request.headers, "")


def _form(request: Request, body: bytes, takes_file: bool) -> tuple[list[tuple[str, str]], bytes | None]:
    """Its fields in turn, and the file that came with them."""
    try:
        if takes_file and body:
            form, upload = fields_and_file(request.headers.get("content-type", ""), body)
            return list(form.items()), upload
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS), None
    except ValueError as error:
        raise Unreadable(400, "The form cannot be read.") from error


async def _body(request: Request, longest: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > longest:
            raise Unreadable(413, "The form is longer than anything that this console asks for.")
    return bytes(body)
