"""What is not a whole, original CT slice any more: found before anything is made of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.faults.kit.invariants import check
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node

pytestmark = pytest.mark.faults

More = Callable[..., list[Path]]


@pytest.mark.slow
@pytest.mark.row(30, "bytes that rotted on disk since they were acknowledged: held, the file is named, nothing is sent")
def test_row_30_an_image_is_damaged_on_disk_after_it_was_acknowledged(
    node: Node, pacs: ScriptedPacs, images: list[Path]
) -> None:
    node.extra["series"] = "quiet_s = 8.0\nquiet_released_s = 8.0"
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored(images)
    stored = sorted((node.spool / "series").glob("*/*.dcm"))
    with stored[1].open("r+b") as file:  # one pixel
        file.seek(-100, 2)
        file.write(b"\x7f\x01")
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "held"
    assert "damaged on disk" in job.reason
    assert pacs.holdings() == {}


@pytest.mark.slow
@pytest.mark.row(31, "a damaged compressed frame: held, the image is named, the next series is restored")
@pytest.mark.parametrize(
    ("syntax", "start"),
    [("1.2.840.10008.1.2.4.90", b"\xff\x4f\xff\x51"), ("1.2.840.10008.1.2.4.80", b"\xff\xd8\xff\xf7")],
    ids=["JPEG 2000", "JPEG-LS"],
)
def test_row_31_a_compressed_image_is_corrupt(
    node: Node, pacs: ScriptedPacs, images: list[Path], more_images: More, syntax: str, start: bytes
) -> None:
    compressed = more_images(1, transfer_syntax=syntax)
    content = bytearray(compressed[2].read_bytes())
    header = content.index(start) + len(start)
    content[header : header + 30] = bytes(30)
    compressed[2].write_bytes(content)
    node.start()
    scanner = Scanner(node.port, syntax=syntax)
    scanner.push(compressed)
    good = Scanner(node.port)
    good.push_until_stored(images)
    jobs = check(node, [*scanner.acknowledged, *good.acknowledged], pacs)
    assert sorted(job.state for job in jobs)[-1] == "verified"
    assert {job.state for job in jobs} <= {"verified", "held"}
    assert all(job.state == "held" for job in jobs if job.series_uid != _series(images))


def _series(images: list[Path]) -> str:
    return str(dcmread(images[0], stop_before_pixels=True).SeriesInstanceUID)
