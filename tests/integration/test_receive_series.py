"""What storescu of DCMTK does to a series at a real node: mixed, late, contradictory, and the node's own output."""

import json
import os
import random
import subprocess
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from dicom_node.ledger import queries
from dicom_node.ledger.queries import JobView
from sr_engine.volume import Volume
from tests.nodes import AE_TITLE, HOST, Node, running
from tests.phantom import chest, write_dicom
from tests.servers import Pacs
from tests.waiting import until

# By its full path: pynetdicom brings another program of the same name.
STORESCU = "/usr/bin/storescu"
THIN = 41

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, qrscp_server: Pacs) -> Iterator[Node]:
    """One node for all tests of the module; each sends series of its own."""
    with running(Node(tmp_path_factory.mktemp("node"), qrscp_server)) as node:
        yield node


@pytest.fixture(scope="module")
def thick() -> Volume:
    return chest(shape=(THIN, 64, 64), pixel_mm=5.4).thick


@pytest.fixture
def images(thick: Volume, tmp_path: Path, request: pytest.FixtureRequest) -> list[Path]:
    """A thick series with UIDs of this test's own."""
    return write_dicom(thick, tmp_path / "input", seed=zlib.crc32(request.node.name.encode()))


def storescu(node: Node, images: list[Path], calling: str = "CT1") -> None:
    """Send with DCMTK over one association."""
    command = [STORESCU, "-R", "-xe", "-aec", AE_TITLE, "-aet", calling, HOST, str(node.port), *map(str, images)]
    environment = os.environ | {"TCP_NODELAY": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def series_of(images: list[Path]) -> str:
    return str(dcmread(images[0], stop_before_pixels=True).SeriesInstanceUID)


def jobs_of(node: Node, images: list[Path]) -> list[JobView]:
    """The jobs of a series, newest first."""
    ledger = node.ledger()
    found = [job for job in queries.jobs(ledger, limit=100) if job.series_uid == series_of(images)]
    ledger.close()
    return found


def until_states(node: Node, images: list[Path], *states: str) -> list[JobView]:
    """Until the jobs of a series, newest first, are in these states."""

    def look() -> list[JobView] | None:
        found = jobs_of(node, images)
        return found if [job.state for job in found] == list(states) else None

    try:
        return until(f"jobs that are {states}", look, 120.0, every_s=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}; jobs: {jobs_of(node, images)}") from None


def events(node: Node, job: JobView) -> list[str]:
    ledger = node.ledger()
    found = [row.event for row in queries.audit_of(ledger, [f"series:{job.series_id}"])]
    ledger.close()
    return found


def in_pacs(pacs: Pacs, series_uid: str | None) -> int:
    """How many instances of a series lie in the PACS's folder."""
    files = [path for path in (pacs.folder / "instances").rglob("*") if path.is_file()]
    return sum(dcmread(path, stop_before_pixels=True).SeriesInstanceUID == series_uid for path in files)


def derived_of(job: JobView) -> list[Path]:
    """The files of a job's result."""
    return sorted(Path(job.result or "").rglob("*.dcm"))


def changed(source: Path, target: Path, **elements: object) -> Path:
    """A copy of an image with other elements; None drops one."""
    image = dcmread(source)
    for keyword, value in elements.items():
        if value is None:
            image.pop(keyword, None)
        else:
            setattr(image, keyword, value)
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    target.parent.mkdir(exist_ok=True)
    image.save_as(target, enforce_file_format=True)
    return target


def test_three_series_interleaved_in_one_association_stay_apart(
    node: Node, thick: Volume, images: list[Path], tmp_path: Path
) -> None:
    """Row 25."""
    sets = [images, *(write_dicom(thick, tmp_path / f"more {seed}", seed=seed) for seed in (251, 252))]
    mixed = [path for each in sets for path in each]
    random.Random(25).shuffle(mixed)
    storescu(node, mixed)
    derived = {until_states(node, each, "verified")[0].derived_series_uid for each in sets}
    assert len(derived) == 3


def test_late_slices_make_a_second_derived_series_and_nothing_is_mixed(
    node: Node, images: list[Path], qrscp_server: Pacs
) -> None:
    """Row 24: nine tenths, quiet, restored and verified; then the rest."""
    most = len(images) * 9 // 10
    storescu(node, images[:most])
    (first,) = until_states(node, images, "verified")
    storescu(node, images[most:])
    second, older = until_states(node, images, "verified", "superseded")
    assert (older.id, older.slices, second.slices, second.revision) == (first.id, most, len(images), 2)
    assert second.derived_series_uid != first.derived_series_uid
    assert in_pacs(qrscp_server, second.derived_series_uid) == THIN
    assert in_pacs(qrscp_server, first.derived_series_uid) == first.thin_slices
    made = [{dcmread(path).SOPInstanceUID for path in derived_of(job)} for job in (first, second)]
    assert [len(each) for each in made] == [first.thin_slices, THIN]
    assert made[0].isdisjoint(made[1])


def test_a_conflict_after_delivery_is_held_and_leaves_what_was_delivered(
    node: Node, images: list[Path], tmp_path: Path, qrscp_server: Pacs
) -> None:
    """Row 27, late."""
    storescu(node, images)
    (delivered,) = until_states(node, images, "verified")
    other = changed(images[2], tmp_path / "other" / "1.dcm", PixelData=bytes(64 * 64 * 2))
    storescu(node, [other])
    held, older = until_states(node, images, "held", "verified")
    assert held.reason.startswith("conflict: one SOP Instance UID came with two different contents")
    assert (older.id, held.revision) == (delivered.id, 2)
    assert in_pacs(qrscp_server, delivered.derived_series_uid) == THIN
    assert events(node, held).count("series.conflict") == 1
    notes = [json.loads(path.read_text()) for path in (node.spool / "quarantine").glob("*-*.json")]
    (note,) = [each for each in notes if each["calling_ae"] == "CT1" and "conflict" in each["reason"]]
    assert note["earlier_sha256"] != note["later_sha256"]
    assert all((node.spool / note[which]).is_file() for which in ("earlier", "later"))
    assert "PHANTOM" not in json.dumps(note)
    storescu(node, [*images, other])
    until("the repeat is in the audit trail", lambda: "instances.duplicate" in events(node, held))
    assert [job.state for job in jobs_of(node, images)] == ["held", "verified"]


def test_one_series_of_two_patients_from_two_senders_at_once_is_held(
    node: Node, images: list[Path], tmp_path: Path
) -> None:
    """Row 28."""
    forged = [changed(path, tmp_path / "forged" / path.name, PatientID="OTHER") for path in images[1::2]]
    with ThreadPoolExecutor(2) as senders:
        list(senders.map(lambda pair: storescu(node, *pair), [(images[::2], "CT1"), (forged, "CT2")]))
    (job,) = until_states(node, images, "held")
    assert job.reason == "conflict: slices of more than one patient share this series UID"


REWRITTEN = {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "DerivationDescription": None}
STRIPPED = {
    **REWRITTEN,
    "DerivationCodeSequence": None,
    "ContributingEquipmentSequence": None,
    "Manufacturer": "SCANNER MAKER",
    "ManufacturerModelName": "CT",
}


@pytest.mark.parametrize(
    ("changes", "new_uids", "calling", "reason"),
    [
        ({}, False, "PACS", "made by thinslice itself"),
        (REWRITTEN, False, "PACS", "made by thinslice itself"),
        ({**REWRITTEN, "Manufacturer": "PACS", "ManufacturerModelName": "1"}, True, "PACS", "made by thinslice itself"),
        (STRIPPED, False, "PACS", "made by thinslice itself: the ledger knows its series UID"),
        (STRIPPED, True, AE_TITLE, f"sent under this node's own AE title, {AE_TITLE}"),
        ({**STRIPPED, "DerivationCodeSequence": ...}, True, "PACS", "a resampled image by its DerivationCodeSequence"),
        (STRIPPED, True, "PACS", "already thin"),
    ],
    ids=["as sent", "ImageType", "equipment", "all but the UIDs", "our AE title", "all but the code", "all"],
)
def test_a_derived_series_that_comes_back_is_skipped_whatever_a_pacs_made_of_it(
    node: Node,
    images: list[Path],
    tmp_path: Path,
    changes: dict[str, object],
    new_uids: bool,
    calling: str,
    reason: str,
) -> None:
    """Row 33."""
    storescu(node, images)
    (job,) = until_states(node, images, "verified")
    kept = {keyword: value for keyword, value in changes.items() if value is not ...}
    returned = []
    series = generate_uid()
    for path in derived_of(job):
        uids = {"SeriesInstanceUID": series, "SOPInstanceUID": generate_uid()} if new_uids else {}
        returned.append(changed(path, tmp_path / "returned" / path.name, **kept, **uids))
    storescu(node, returned, calling)
    (looped,) = until_states(node, returned, "skipped")
    assert looped.reason.startswith(reason)
