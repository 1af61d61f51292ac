"""A multipart body is read part by part, however it is cut into chunks."""

import pytest

from dicom_node.errors import UnreadableInstance
from dicom_node.retrieve.parts import boundary_of, parts

BODIES = [b"first", b"", b"with --edge and \r\n--edg in it", bytes(range(256)) * 9]
HEAD = b"Content-Type: application/dicom\r\n\r\n"


def multipart(bodies: list[bytes], head: bytes = HEAD, preamble: bytes = b"") -> bytes:
    inner = b"".join(b"\r\n--edge\r\n" + head + body for body in bodies)
    return preamble + (inner if preamble else inner[2:]) + b"\r\n--edge--\r\n"


def chunked(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 100_000])
@pytest.mark.parametrize("preamble", [b"", b"for old readers"])
def test_every_part_comes_whole(size: int, preamble: bytes) -> None:
    assert list(parts(chunked(multipart(BODIES, preamble=preamble), size), b"edge", 10_000)) == BODIES


def test_parts_without_headers_are_parts() -> None:
    assert list(parts([multipart([b"one", b"two"], head=b"\r\n")], b"edge", 100)) == [b"one", b"two"]


@pytest.mark.parametrize("length", [10, 60, 300])
def test_a_body_that_ends_early_is_told(length: int) -> None:
    with pytest.raises(EOFError):
        list(parts([multipart(BODIES)[:length]], b"edge", 10_000))


def test_a_part_past_the_limit_is_refused_before_it_is_all_there() -> None:
    read = 0

    def endless() -> object:
        nonlocal read
        yield b"--edge\r\n" + HEAD
        while True:
            read += 1000
            yield bytes(1000)

    with pytest.raises(UnreadableInstance, match="maximum_instance_mb"):
        list(parts(endless(), b"edge", 5000))
    assert read < 10_000


def test_what_parted_a_body_stands_in_its_type() -> None:
    assert boundary_of('multipart/related; type="application/dicom"; boundary="a b"') == b"a b"
    assert boundary_of("multipart/related; boundary=x; type=application/dicom") == b"x"
    assert boundary_of("application/dicom") is None
    assert boundary_of("") is None
