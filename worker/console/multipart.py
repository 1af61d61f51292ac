"""Forms that bring a file (multipart/form-data, RFC 7578): in memory alone, and no name of a file is looked at."""

from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser

MOST_PARTS = 10
LONGEST_HEADER, LONGEST_FIELD = 2000, 4000


def fields_and_file(content_type: str, body: bytes) -> tuple[dict[str, str], bytes | None]:
    """The fields of a form, and its one file; None where none was chosen. ValueError where it is no such form."""
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_boundary()
    if not boundary:
        raise ValueError("no boundary")
    fields: dict[str, str] = {}
    file = None
    for described, content in _parts(body, boundary.encode()):
        name = described.get_param("name", header="content-disposition")
        if described.get_filename() is not None:
            file = content or file
        elif isinstance(name, str) and len(content) <= LONGEST_FIELD:
            fields[name] = content.decode()
        else:
            raise ValueError("a field without a name, or one that is too long")
    return fields, file


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[Message, bytes]]:
    """Header and content of each part (RFC 2046 5.1.1)."""
    mark = b"--" + boundary
    begin = body.find(mark)
    for _ in range(MOST_PARTS):
        begin += len(mark)
        if body[begin : begin + 2] == b"--":
            return
        end = body.find(b"\r\n" + mark, begin)
        middle = body.find(b"\r\n\r\n", begin, begin + LONGEST_HEADER)
        if min(begin - len(mark), middle, end) < 0 or middle > end:
            break
        yield BytesHeaderParser().parsebytes(body[begin + 2 : middle]), body[middle + 4 : end]
        begin = end + 2
    raise ValueError("cut off, or of too many parts")
