"""What senders do to a series: sent again, late, interleaved, in parts, with forged or conflicting images."""

import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_node.ledger import queries
from tests.faults.kit.invariants import check, wait_for_rest
from tests.faults.kit.pacs import ScriptedPacs
from tests.faults.kit.scanner import Scanner
from tests.nodes import Node
from tests.waiting import until, until_state

pytestmark = pytest.mark.faults

THIN = 21
More = Callable[..., list[Path]]


def events(node: Node) -> list[str]:
    """Audit events of every series and job."""
    ledger = node.ledger()
    jobs = queries.jobs(ledger)
    subjects = {f"series:{job.series_id}" for job in jobs} | {f"job:{job.id}" for job in jobs}
    found = [row.event for row in queries.audit_of(ledger, sorted(subjects))]
    ledger.close()
    return found


def at_once(node: Node, parts: list[list[Path]]) -> Scanner:
    """Several senders at the same time; what they had acknowledged, together."""
    scanners = [Scanner(node.port, f"CT{number}") for number in range(len(parts))]
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(lambda pair: pair[0].push_until_stored(pair[1]), zip(scanners, parts, strict=True)))
    together = Scanner(node.port)
    for scanner in scanners:
        together.acknowledged.update(scanner.acknowledged)
    return together


@pytest.mark.slow
@pytest.mark.row(23, "no second job, no second series, the repeat is in the audit trail; during the work or after it")
def test_row_23_sent_again_at_once_and_after(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    node.start()
    scanner = at_once(node, [images, images, images])
    until_state(node, "verified")
    scanner.push_until_stored(images)
    until("the repeat is in the audit trail", lambda: events(node).count("instances.duplicate"))
    (job,) = check(node, scanner.acknowledged, pacs)
    assert job.state == "verified"
    assert set(pacs.came.values()) == {1}


@pytest.mark.slow
@pytest.mark.row(24, "a new job of all slices, the older one superseded and said so; the two are never mixed")
def test_row_24_late_slices(node: Node, pacs: ScriptedPacs, images: list[Path]) -> None:
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored(images[:-1])
    first = until_state(node, "verified", "held")
    scanner.push_until_stored(images[-1:])
    until("a second job", lambda: len(queries.jobs(node.ledger())) == 2)
    second, older = check(node, scanner.acknowledged, pacs)
    assert older.id == first.id
    assert (second.state, second.slices) == ("verified", len(images))
    assert older.state == "superseded"
    assert "replaces it" in older.reason
    assert second.derived_series_uid != older.derived_series_uid
    assert pacs.holdings()[second.derived_series_uid or ""] == THIN


@pytest.mark.slow
@pytest.mark.row(25, "two jobs, each of its own slices")
def test_row_25_two_series_interleaved(node: Node, pacs: ScriptedPacs, images: list[Path], more_images: More) -> None:
    mixed = images + more_images(1)
    random.Random(25).shuffle(mixed)
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored(mixed)
    until("two jobs", lambda: len(queries.jobs(node.ledger())) == 2)
    jobs = check(node, scanner.acknowledged, pacs)
    assert [job.state for job in jobs] == ["verified"] * 2
    assert sorted(pacs.holdings().values()) == [THIN, THIN]


@pytest.mark.slow
@pytest.mark.row(26, "one job of all slices")
def test_row_26_one_series_from_four_senders(node: Node, pacs: ScriptedPacs, tall_images: list[Path]) -> None:
    node.start()
    scanner = at_once(node, [tall_images[start::4] for start in range(4)])
    (job,) = check(node, scanner.acknowledged, pacs)
    assert (job.state, job.slices) == ("verified", len(tall_images))


@pytest.mark.slow
@pytest.mark.row(27, "both are kept, the series is held and says why, nothing is sent")
def test_row_27_same_uid_with_other_content(node: Node, pacs: ScriptedPacs, images: list[Path], tmp_path: Path) -> None:
    other = altered(images[2], tmp_path / "other.dcm", PixelData=bytes(64 * 64 * 2))
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored([*images, other])
    jobs = wait_for_rest(node, scanner.acknowledged)
    assert {job.state for job in jobs} == {"held"}
    check(node, scanner.acknowledged, pacs)
    assert pacs.holdings() == {}
    assert len(list((node.spool / "series").glob("*/*.dcm"))) == len(images) + 1


@pytest.mark.slow
@pytest.mark.row(28, "one SeriesInstanceUID for two patients or studies: held, nothing is sent")
@pytest.mark.parametrize("changes", [{"PatientID": "SECRET-2"}, {"StudyInstanceUID": "1.2.3.4"}])
def test_row_28_one_series_of_two_patients(
    node: Node, pacs: ScriptedPacs, images: list[Path], tmp_path: Path, changes: dict[str, str]
) -> None:
    forged = [altered(path, tmp_path / path.name, **changes) for path in images[3:]]
    node.start()
    scanner = at_once(node, [images[:3], forged])
    jobs = check(node, scanner.acknowledged, pacs)
    assert {job.state for job in jobs} <= {"held", "skipped"}
    assert pacs.holdings() == {}


@pytest.mark.slow
@pytest.mark.row(33, "a derived series that comes back is skipped with the reason, whatever its ImageType says now")
@pytest.mark.parametrize(
    "changes", [{}, {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}], ids=["as it is", "rewritten"]
)
def test_row_33_own_output_comes_back(
    node: Node, pacs: ScriptedPacs, images: list[Path], tmp_path: Path, changes: dict[str, object]
) -> None:
    node.start()
    scanner = Scanner(node.port)
    scanner.push_until_stored(images)
    job = until_state(node, "verified")
    derived = sorted(Path(job.result or "").rglob("*.dcm"))
    scanner.push_until_stored([altered(path, tmp_path / path.name, **changes) for path in derived])
    until("the derived series has its job", lambda: len(queries.jobs(node.ledger())) == 2)
    looped, _ = check(node, scanner.acknowledged, pacs)
    assert looped.state == "skipped"
    assert looped.reason
    assert len(pacs.holdings()) == 1


def altered(source: Path, target: Path, **changes: object) -> Path:
    """A copy of an image with other values."""
    shutil.copy(source, target)
    image = dcmread(target)
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    image.save_as(target, enforce_file_format=True)
    return target
