"""Series pulled from a real PACS by C-GET, C-MOVE and DICOMweb: the same voxels as when they are pushed."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from pydicom import dcmread
from sqlalchemy import select

from deploy.demo.sender import send
from dicom_node.derive.manifest import load_series
from dicom_node.ledger import queries, receipts
from dicom_node.ledger.tables import instance, job
from dicom_node.retrieve.question import Question
from dicom_node.series.headers import data_set_digest
from tests import servers
from tests.acceptance.command_line import thinslice
from tests.phantom import chest, write_dicom
from tests.servers import HOST, Pacs, free_port
from tests.unit.worker.nodes import open_at
from tests.waiting import until
from worker import priors, pulling
from worker.priors import Planned
from worker.pulling import Outcome
from worker.receiving import Receiver
from worker.steps.judge import judge_series
from worker.steps.restore import restore_next
from worker.wiring import Node

pytestmark = [pytest.mark.dicom]
SLICES = 9
PATIENT = "PHANTOM"
OF_PATIENT = Question(patient_id=PATIENT)
WAYS = ("pushed", "move", "get", "dicomweb")
QUICK = "instances_per_second = 1000.0"


@dataclass(frozen=True)
class Archive:
    """A PACS that holds a thick series and a derived one of the same patient, and one of somebody else."""

    pacs: Pacs
    thick: list[Path]

    @property
    def series_uid(self) -> str:
        return str(dcmread(self.thick[0], stop_before_pixels=True).SeriesInstanceUID)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("archive")
    volume = chest(shape=(41, 64, 64), pixel_mm=5.4).thick
    thick = write_dicom(volume, folder / "thick")
    made = write_dicom(volume, folder / "made", series_uid="1.2.3.4.9")
    others = write_dicom(volume, folder / "others", seed=2)[:4]
    for path in made:
        _edit(path, ImageType=["DERIVED", "SECONDARY", "AXIAL"], SeriesDescription="REFORMAT")
    for path in others:
        _edit(path, PatientID="SOMEBODY")
    with servers.orthanc(folder / "pacs", node_port=free_port(), plugins=("DicomWeb",)) as pacs:
        for path in [*thick, *made, *others]:
            with urlopen(Request(f"{pacs.url}/instances", path.read_bytes())) as answer:
                assert answer.status == 200
        yield Archive(pacs, thick)


def _edit(path: Path, **values: object) -> None:
    data_set = dcmread(path)
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    data_set.save_as(path)


def node_at(folder: Path, pacs: Pacs, **lines: str) -> Node:
    folder.mkdir(parents=True, exist_ok=True)
    block = f'[[send.pacs]]\nname = "archive"\nae_title = "{pacs.ae_title}"\nhost = "{pacs.host}"\nport = {pacs.port}'
    block += f'\n\n[[send.dicomweb]]\nname = "web"\nurl = "{pacs.url}/dicom-web"'
    tables = {
        "receive": f"port = {pacs.node_port}",
        "series": "quiet_released_s = 0",
        "send": f"connect_timeout_s = 5\n\n{block}",
    }
    return open_at(folder, **(tables | lines))


@contextmanager
def listening(node: Node) -> Iterator[Node]:
    receiver = Receiver(node)
    receiver.start()
    try:
        yield node
    finally:
        receiver.listener.stop(limit_s=1)  # Orthanc keeps its association for a while
        receiver.stop()


def pull(
    node: Node, name: str, way: str, question: Question = OF_PATIENT, *, again: bool = False
) -> tuple[list[Planned], list[Outcome]]:
    source = priors.source(node, name, way)
    planned = priors.plan(node, source, question, again=again)
    return planned, list(pulling.pull(node, source, planned, lambda _: None))


def pulled(node: Node, archive: Archive, way: str) -> Node:
    """A node that has pulled the thick series."""
    planned, outcomes = pull(node, "web" if way == "dicomweb" else "archive", way)
    assert sorted(item.skip for item in planned) == ["", "derived, or no CT images"]
    assert [(item.series_uid, item.came, item.missing, item.reasons) for item in outcomes] == [
        (archive.series_uid, SLICES, 0, ())
    ]
    return node


def restored(node: Node, slices: int = SLICES) -> tuple[str, list[str]]:
    """The only job, restored: what its inputs hash to, and its derived pixels."""
    until("all are here", lambda: len(receipts.known_paths(node.database)) == slices, 60)
    (series_id,) = until("the series is due", lambda: receipts.due_series(node.database), 20)
    assert judge_series(node, series_id)
    assert restore_next(node, node.model_digests, lambda _: None)
    (done,) = queries.jobs_of(node.database, series_id)
    assert done.state == "restored", done.reason
    derived = load_series(Path(done.result or "")).instances
    with node.database.reading() as connection:
        key = str(connection.execute(select(job.c.job_key)).scalar_one())
    return key, [hashlib.sha256(dcmread(item.path).PixelData).hexdigest() for item in derived]


def senders(node: Node) -> set[tuple[str, str]]:
    with node.database.reading() as connection:
        rows = connection.execute(select(instance.c.calling_ae, instance.c.peer_ip)).all()
    return {(row.calling_ae, row.peer_ip) for row in rows}


def events(node: Node, series_uid: str) -> list[tuple[str, dict[str, object]]]:
    return [(row.event, json.loads(row.detail)) for row in queries.audit_of(node.database, [series_uid])]


def test_pushed_and_pulled_every_way_make_the_same_voxels(archive: Archive, tmp_path: Path) -> None:
    """One job key and the same pixels: the data sets are the same, byte for byte."""
    with listening(node_at(tmp_path / "pushed", archive.pacs)) as node:
        assert send(archive.thick, HOST, archive.pacs.node_port, "THINSLICE", lambda _: None) == []
        pushed = restored(node)
    with listening(node_at(tmp_path / "move", archive.pacs)) as node:
        assert restored(pulled(node, archive, "move")) == pushed
    for way in ("get", "dicomweb"):
        assert restored(pulled(node_at(tmp_path / way, archive.pacs), archive, way)) == pushed
    assert len(pushed[1]) == 41


@pytest.mark.parametrize("way", ["get", "dicomweb"])
def test_what_is_pulled_comes_from_the_pacs_and_is_on_record(archive: Archive, tmp_path: Path, way: str) -> None:
    node = pulled(node_at(tmp_path, archive.pacs), archive, way)
    assert senders(node) == {("ORTHANC" if way == "get" else "web", HOST)}
    (begun, asked), (ended, came) = events(node, archive.series_uid)
    assert (begun, asked["images"], asked["way"]) == ("pull.begun", SLICES, way)
    assert (ended, came["came"], came["missing"]) == ("pull.ended", SLICES, 0)


def test_what_is_here_is_not_pulled_again_unless_asked_for(archive: Archive, tmp_path: Path) -> None:
    node = pulled(node_at(tmp_path, archive.pacs), archive, "get")
    planned, outcomes = pull(node, "archive", "get")
    assert "here already" in [item.skip for item in planned]
    assert outcomes == []
    _, outcomes = pull(node, "archive", "get", again=True)
    assert [item.came for item in outcomes] == [SLICES]


@pytest.mark.parametrize("way", ["get", "dicomweb"])
def test_what_is_missing_alone_is_pulled(archive: Archive, tmp_path: Path, way: str) -> None:
    """A pull that died is begun again: what came is kept."""
    node = node_at(tmp_path, archive.pacs)
    with listening(node):
        send(archive.thick[:7], HOST, archive.pacs.node_port, "THINSLICE", lambda _: None)
        until("seven are here", lambda: len(receipts.known_paths(node.database)) == 7, 20)
    _, (outcome,) = pull(node, "web" if way == "dicomweb" else "archive", way)
    assert (outcome.asked, outcome.came) == (2, 2)
    assert len(receipts.known_paths(node.database)) == SLICES


def test_a_pacs_that_cannot_reach_the_node_says_so(archive: Archive, tmp_path: Path) -> None:
    node = node_at(tmp_path, archive.pacs, pull="arrival_s = 0.1")
    _, (outcome,) = pull(node, "archive", "move")
    assert outcome.missing == SLICES
    assert "see that the node listens" in outcome.reasons[0]


def test_the_command_shows_asks_and_fetches(archive: Archive, tmp_path: Path) -> None:
    node = node_at(tmp_path, archive.pacs)
    spool = tmp_path / "spool" / "series"
    command = ["pull", "archive", "--patient-id", PATIENT]
    shown = thinslice(tmp_path, *command, "--dry-run")
    assert (shown.code, shown.err, list(spool.iterdir())) == (0, "", [])
    assert "CHEST THICK" in shown.out
    said_no = thinslice(tmp_path, *command, said="n\n")
    assert f"Pull 1 series, {SLICES} images, about 0 MB?" in said_no.err
    assert (said_no.code, list(spool.iterdir())) == (0, [])
    done = thinslice(tmp_path, *command, "--yes", "--json")
    assert done.code == 0, done.err
    assert [item["came"] for item in json.loads(done.out)["pulled"]] == [SLICES]
    assert PATIENT not in "".join([shown.out, said_no.out, said_no.err, done.out, done.err])
    assert len(receipts.known_paths(node.database)) == SLICES


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_chest_makes_the_same_voxels_whichever_way_it_came(shared_data: Path, tmp_path: Path) -> None:
    """By DICOMweb byte for byte; by C-GET and C-MOVE as DCMTK writes it, which drops spaces at the ends of values."""
    paths = sorted((shared_data / "dicom" / "chest_5mm_toshiba_R168").iterdir())
    with servers.orthanc(tmp_path / "pacs", node_port=free_port(), plugins=("DicomWeb",)) as pacs:
        for path in paths:
            urlopen(Request(f"{pacs.url}/instances", path.read_bytes())).close()
        made = {way: _chest_by(way, node_at(tmp_path / way, pacs, pull=QUICK), pacs, paths) for way in WAYS}
    assert len(made["pushed"]) == 361
    assert all(pixels == made["pushed"] for pixels in made.values())


def _chest_by(way: str, node: Node, pacs: Pacs, paths: list[Path]) -> list[str]:
    """Derived pixels of a series that was sent, or pulled; its data sets on disk are the PACS's."""
    study = Question(study_uid=str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID))
    with listening(node):
        if way == "pushed":
            assert send(paths, HOST, pacs.node_port, "THINSLICE", lambda _: None) == []
        else:
            _, (outcome,) = pull(node, "web" if way == "dicomweb" else "archive", way, study)
            assert (outcome.came, outcome.missing) == (len(paths), 0)
        _, pixels = restored(node, len(paths))
    kept = sorted(map(Path, receipts.known_paths(node.database)))
    if way == "dicomweb":
        assert {path.stem.partition("-")[2] for path in kept} == {data_set_digest(path) for path in paths}
    sources = {str(item.SOPInstanceUID): list(item) for item in map(dcmread, paths)}
    assert {str(item.SOPInstanceUID): list(item) for item in map(dcmread, kept)} == sources
    return pixels
