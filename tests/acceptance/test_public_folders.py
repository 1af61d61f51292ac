"""Every public folder goes through a running node, and ends as the table in docs/series.md promises."""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_node.derive.manifest import load_series
from dicom_node.ledger import queries
from dicom_node.ledger.queries import JobView
from dicom_node.records import SliceHeader
from dicom_node.series.headers import data_set_digest, read_header
from dicom_node.series.voxels import read_slice
from dicom_node.settings import SeriesSettings
from tests.acceptance.endings import wait_until_all_ended
from tests.nodes import HOST, Node, running
from tests.promises import Promise, parse, read_table
from tests.raw_sender import accepted, raw_sender, read_raw
from tests.servers import Pacs

pytestmark = [pytest.mark.slow, pytest.mark.dicom, pytest.mark.timeout(900)]

ROWS = read_table()
# One series in many transfer syntaxes, under UIDs that it shares with R168: each has a node of its own.
TRANSCODES = "dicom/transcodes_R168/"
DEFLATED = f"{TRANSCODES}deflated"
APART = [folder for folder in ROWS if folder.startswith(TRANSCODES) and folder != DEFLATED]
TOGETHER = [folder for folder in ROWS if not folder.startswith(TRANSCODES)]
OVERLAPPING = "dicom/chest_5mm_ge_TCGA-BC-A3KF_overlapping_acquisitions"
# Sound headers, broken pixels: held by what decoding finds, which the table quotes beside the verdict.
CORRUPT = "odd/derived/series/35_one_corrupt_slice"


@dataclass(frozen=True)
class Ending:
    """What became of a folder: how many of its files were refused, and the jobs of its series."""

    refused: int
    jobs: tuple[JobView, ...]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, qrscp_server: Pacs) -> Iterator[Node]:
    """The node that receives every folder."""
    with running(Node(tmp_path_factory.mktemp("node"), qrscp_server)) as node:
        yield node


@pytest.fixture(scope="module")
def endings(node: Node, shared_data: Path) -> dict[str, Ending]:
    """Every folder sent, and every job ended."""
    refused = {folder: send(node, shared_data / folder) for folder in TOGETHER}
    wait_until_all_ended(node, 600)
    return {folder: ending(node, shared_data / folder, refused[folder]) for folder in TOGETHER}


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def send(node: Node, folder: Path) -> int:
    """Send every file as it is; returns how many the node refused."""
    refused = 0
    with raw_sender((HOST, node.port)) as sender:
        for raw in map(read_raw, files_of(folder)):
            refused += not raw.is_wanted or sender.send(raw) != 0x0000
    return refused


def ending(node: Node, folder: Path, refused: int) -> Ending:
    ledger = node.ledger()
    uids = {str(dcmread(path, stop_before_pixels=True).get("SeriesInstanceUID") or "none") for path in files_of(folder)}
    series = [view for uid in sorted(uids) for view in queries.find_series(ledger, uid)]
    return Ending(refused, tuple(job for view in series for job in queries.jobs_of(ledger, view.id)))


def promise(job: JobView) -> Promise:
    """One job in the words of the table."""
    if job.state != "verified":  # the table says restored, and nothing but a confirmed result counts as that
        return Promise(job.state, job.label, job.reason)
    return Promise("restored", job.label, f"{job.slices} slices every {_step_mm(job):.3g} mm")


def _step_mm(job: JobView) -> float:
    """Distance of the thick slices, told from the result: the thin grid contains the thick positions."""
    figures = job.figures or {}
    return float(figures["spacing_mm"]) * int(figures["ratio"])


@pytest.mark.parametrize("folder", [folder for folder in TOGETHER if folder != CORRUPT])
def test_a_folder_ends_as_the_table_says(endings: dict[str, Ending], folder: str) -> None:
    promised = parse(ROWS[folder][0])
    refused = sum(count for each, count in promised.items() if each.state == "refused")
    stacks = Counter({each: count for each, count in promised.items() if each.state != "refused"})
    assert endings[folder].refused == refused
    assert Counter(map(promise, endings[folder].jobs)) == stacks


def test_a_corrupt_slice_holds_its_series_and_is_named(endings: dict[str, Ending]) -> None:
    quoted = re.search("“(.+)”", ROWS[CORRUPT][1])
    assert quoted
    assert [(job.state, job.reason) for job in endings[CORRUPT].jobs] == [("held", quoted[1])]


def test_a_restored_folder_stands_in_the_pacs(endings: dict[str, Ending], node: Node) -> None:
    """P5, and P4 over all folders: as many different derived series as jobs, each confirmed instance by instance."""
    restored = [job for each in endings.values() for job in each.jobs if job.state == "verified"]
    assert len({job.derived_series_uid for job in restored}) == len(restored) > 20
    for job in restored:
        (delivery,) = queries.deliveries_of(node.ledger(), job.id)
        assert (delivery.verified_by, delivery.stored, delivery.total) == ("C-FIND", job.thin_slices, job.thin_slices)


def test_overlapping_acquisitions_are_never_blended(endings: dict[str, Ending], shared_data: Path) -> None:
    images = [dcmread(path) for path in files_of(shared_data / OVERLAPPING)]
    acquisition = {image.SOPInstanceUID: int(image.AcquisitionNumber) for image in images}
    restored = [job for job in endings[OVERLAPPING].jobs if job.state == "verified"]
    assert len(restored) == 2
    blends = [sources_of(job, acquisition) for job in restored]
    assert sorted(blends) == [{1}, {2}]


def sources_of(job: JobView, acquisition: dict[str, int]) -> set[int]:
    """The acquisitions that a job's thin slices name as their sources."""
    derived = [dcmread(item.path, stop_before_pixels=True) for item in load_series(Path(job.result or "")).instances]
    return {acquisition[source.ReferencedSOPInstanceUID] for each in derived for source in each.SourceImageSequence}


def test_deflated_files_are_refused_at_the_association(node: Node, shared_data: Path) -> None:
    raws = [read_raw(path) for path in files_of(shared_data / DEFLATED)]
    assert {each.state for each in parse(ROWS[DEFLATED][0])} == {"refused"}
    assert len(raws) == parse(ROWS[DEFLATED][0]).total()
    assert accepted((HOST, node.port), [(raw.sop_class, raw.syntax) for raw in raws]) == []


@pytest.fixture(scope="module")
def transcodes(
    tmp_path_factory: pytest.TempPathFactory, shared_data: Path
) -> dict[str, tuple[Ending, dict[str, np.ndarray]]]:
    """Each transcode through a node of its own: how it ended, and the HU that its spool holds, by SOP Instance UID."""

    def through_a_node(folder: str) -> tuple[Ending, dict[str, np.ndarray]]:
        own = Node(tmp_path_factory.mktemp("transcode"), None)
        with running(own):
            refused = send(own, shared_data / folder)
            wait_until_all_ended(own)
            return ending(own, shared_data / folder, refused), hounsfield(own)

    with ThreadPoolExecutor(2) as two:
        return dict(zip(APART, two.map(through_a_node, APART), strict=True))


def hounsfield(node: Node) -> dict[str, np.ndarray]:
    """HU of every image in a node's spool, by SOP Instance UID."""
    headers = [read_header(path, data_set_digest(path)) for path in (node.spool / "series").rglob("*.dcm")]
    return {header.sop_instance_uid: decoded(header) for header in headers}


def decoded(header: SliceHeader) -> np.ndarray:
    return read_slice(header, SeriesSettings())


@pytest.mark.parametrize("folder", APART)
def test_a_transcode_ends_as_the_table_says(
    transcodes: dict[str, tuple[Ending, dict[str, np.ndarray]]], folder: str
) -> None:
    end, _ = transcodes[folder]
    assert end.refused == 0
    assert Counter(map(promise, end.jobs)) == parse(ROWS[folder][0])


@pytest.mark.parametrize("folder", APART)
def test_every_transfer_syntax_gives_the_same_pixels(
    transcodes: dict[str, tuple[Ending, dict[str, np.ndarray]]], shared_data: Path, folder: str
) -> None:
    """As received by C-STORE, voxel by voxel, against the files of R168 that the transcodes were made of."""
    _, voxels = transcodes[folder]
    assert len(voxels) == 3
    for path in files_of(shared_data / "dicom" / "chest_5mm_toshiba_R168"):
        header = read_header(path, data_set_digest(path))
        if header.sop_instance_uid in voxels:
            np.testing.assert_array_equal(voxels.pop(header.sop_instance_uid), decoded(header))
    assert voxels == {}
