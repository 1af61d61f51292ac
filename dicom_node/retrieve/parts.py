"""Reading a multipart/related body (RFC 2046, RFC 2387; PS3.18 8.6.1.2) part by part, without holding it whole."""

from collections.abc import Iterable, Iterator
from email.message import Message

from dicom_node.receive.door import too_large

HEAD_BYTES = 16384


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart body; None where the type is not multipart."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary()
    return boundary.encode() if boundary and message.get_content_maintype() == "multipart" else None


def parts(chunks: Iterable[bytes], boundary: bytes, maximum: int) -> Iterator[bytes]:
    """The bodies of the parts, as they come.

    Raises
    ------
    UnreadableInstance
        A part is larger than ``maximum`` bytes.
    EOFError
        The body ends before its last part does.
    """
    stream = _Stream(chunks)
    delimiter = b"\r\n--" + boundary
    stream.until(delimiter, HEAD_BYTES)
    while not stream.begins_with(b"--"):
        stream.until(b"\r\n\r\n", HEAD_BYTES)
        yield stream.until(delimiter, maximum)


class _Stream:
    """Chunks as one stream that is read from mark to mark."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = bytearray(b"\r\n")  # so that a first delimiter without a line break before it is one too

    def until(self, mark: bytes, maximum: int) -> bytes:
        searched = 0
        while (at := self._buffer.find(mark, searched)) < 0:
            if len(self._buffer) > maximum + len(mark):
                raise too_large(maximum)
            searched = max(0, len(self._buffer) - len(mark) + 1)
            self._read()
        content = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return content

    def begins_with(self, mark: bytes) -> bool:
        while len(self._buffer) < len(mark):
            self._read()
        return self._buffer.startswith(mark)

    def _read(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise EOFError
        self._buffer += chunk
