"""What goes with the derived slices, judged by dciodvfy, read by dcm2niix and highdicom, and kept by real PACSs."""

import json
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from dicom_node.derive.writer import write_series
from dicom_node.destinations import Destination
from dicom_node.ledger import queries
from dicom_node.records import DerivedInstance, DerivedSeries, InstanceOutcome, ReplacedResult
from dicom_node.send.query import stored_instances
from dicom_node.send.scu import store
from dicom_node.settings import DeriveSettings, SendSettings
from dicom_node.uid import form_uid, instance_uid
from tests.judges import dcentvfy_errors, dciodvfy_errors, dcm2niix, dcmp2pgm, dsrdump
from tests.phantom import chest, write_dicom
from tests.servers import Pacs
from tests.unit.dicom_node.derive.samples import CUBIC, NETWORK, thick_series, thin_volume, write_source
from tests.unit.worker.nodes import open_at
from tests.unit.worker.rows import queue_series, view
from worker.steps.deliver import deliver
from worker.steps.restore import restore_next

pytestmark = pytest.mark.dicom
NOW = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
ALL = DeriveSettings(forms=("slices", "enhanced", "report", "notice"))
OLD = ReplacedResult("old", 2, (instance_uid("old", 0), instance_uid("old", 1), form_uid("old", "enhanced")))
SETTINGS = SendSettings(connect_timeout_s=10, response_timeout_s=30)
NODE = "THINSLICE"
# Paired and unpaired parts of the body, contrast media, odd texts: other scanners' dialects.
OTHERS = [
    ("abdomen_3mm_2.5mm_siemens_KiTS-00072", 4, 2),
    ("chest_2.5mm_ge_lung_CMB-CRC-MSB-01068_part", 4, 2),
    ("chest_5mm_4.25mm_ge_ACRIN-FLT-Breast_001_part", 4, 2),
    ("chest_5mm_toshiba_R168", 4, 2),
    ("ct_3slice_dcmqi", 3, 2),
    ("head_phantom_5mm_philips", 4, 2),
]


@pytest.fixture
def result(tmp_path: Path, request: pytest.FixtureRequest) -> DerivedSeries:
    """Slices, all forms and a rejection note, with UIDs of this test's own."""
    thick = thick_series(write_source(tmp_path / "source"))
    return write_series(thick, thin_volume(thick), request.node.nodeid, ALL, tmp_path / "out", NOW, replaced=(OLD,))


def forms_of(result: DerivedSeries) -> list[DerivedInstance]:
    return [item for item in result.instances if not item.path.stem.isdigit()]


@pytest.mark.parametrize(("folder", "count", "ratio"), OTHERS)
def test_forms_of_other_scanners_series_are_clean(
    shared_data: Path, tmp_path: Path, folder: str, count: int, ratio: int
) -> None:
    thick = thick_series(shared_data / "dicom" / folder, count)
    for forms in (ALL.forms, ("enhanced", "report", "notice")):
        settings = DeriveSettings(forms=forms)
        out = tmp_path / forms[0]
        made = forms_of(write_series(thick, thin_volume(thick, ratio), folder, settings, out, NOW, replaced=(OLD,)))
        assert {item.path.name: dciodvfy_errors(item.path) for item in made} == {
            f"{name}.dcm": [] for name in ("enhanced", "report", "notice", "rejection")
        }


@pytest.mark.parametrize("model", [CUBIC, NETWORK], ids=lambda model: model.name)
def test_forms_of_a_phantom_are_clean_and_agree_with_its_slices(tmp_path: Path, model: object) -> None:
    write_dicom(chest(shape=(31, 64, 64), pixel_mm=5.4).thick, tmp_path / "source", descending=True)
    thick = thick_series(tmp_path / "source")
    thin = thin_volume(thick, model=model)
    written = write_series(thick, thin, "phantom", ALL, tmp_path / "out", NOW, replaced=(OLD,))
    assert [line for item in forms_of(written) for line in dciodvfy_errors(item.path)] == []
    assert dcentvfy_errors([item.path for item in (written.instances[0], *forms_of(written))]) == []


def test_dcmtk_reads_report_and_note_and_shows_an_image_under_the_notice(result: DerivedSeries, tmp_path: Path) -> None:
    image, _, said, notice, note = (item.path for item in (result.instances[4], *forms_of(result)))
    assert 'NUM:(,,"Mean difference from source")="0.1" ([hnsf\'U],UCUM,"Hounsfield unit")' in dsrdump(said)
    assert dsrdump(note).count("<contains IMAGE:") == len(OLD.sop_instance_uids)
    shown = np.asarray(dcmp2pgm(image, notice, tmp_path / "shown.pgm"), dtype=float)
    hounsfield = pydicom.dcmread(image).pixel_array
    expected = np.clip((hounsfield - 39.5) / 399 + 0.5, 0, 1) * 255  # PS3.3 C.11.2.1.2, center 40, width 400
    assert 0 < expected.mean() < 255
    np.testing.assert_allclose(shown, expected, atol=2)


def test_dcm2niix_makes_the_same_volume_of_the_enhanced_image(tmp_path: Path) -> None:
    """Rows and columns differ, so that a swap would show; the source counts from head to feet."""
    write_dicom(chest(shape=(31, 48, 64), pixel_mm=5.4).thick, tmp_path / "source", descending=True)
    thick = thick_series(tmp_path / "source")
    thin = thin_volume(thick, model=CUBIC)
    slices, enhanced = (
        write_series(thick, thin, "phantom", DeriveSettings(forms=(form,)), tmp_path / form, NOW)
        for form in ("slices", "enhanced")
    )
    (expected,) = dcm2niix(slices.folder, tmp_path / "nii-slices")
    (found,) = dcm2niix(enhanced.folder, tmp_path / "nii-enhanced")
    np.testing.assert_array_equal(found.get_fdata(), expected.get_fdata())
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-3)
    volume = hd.imread(enhanced.instances[0].path).get_volume()
    assert np.linalg.norm(volume.affine[:3, 0]) == pytest.approx(thin.volume.spacing_mm[0])


def from_orthanc(pacs: Pacs, uid: str) -> pydicom.Dataset:
    def asked(path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(urllib.request.Request(f"{pacs.url}{path}", data=body), timeout=10) as answer:
            content: bytes = answer.read()
            return content

    (identifier,) = [row["ID"] for row in json.loads(asked("/tools/lookup", uid.encode())) if row["Type"] == "Instance"]
    return pydicom.dcmread(BytesIO(asked(f"/instances/{identifier}/file")))


def from_dcmqrscp(pacs: Pacs, uid: str) -> pydicom.Dataset:
    kept = (pydicom.dcmread(path) for path in (pacs.folder / "store").iterdir() if path.name != "index.dat")
    return next(data_set for data_set in kept if uid == data_set.SOPInstanceUID)


@pytest.mark.parametrize(
    ("server", "kept"),
    [("orthanc_server", from_orthanc), ("dcmqrscp_server", from_dcmqrscp)],
    ids=["orthanc", "dcmqrscp"],
)
def test_a_pacs_takes_every_form_lists_it_and_gives_it_back_unchanged(
    server: str,
    kept: Callable[[Pacs, str], pydicom.Dataset],
    result: DerivedSeries,
    request: pytest.FixtureRequest,
) -> None:
    pacs: Pacs = request.getfixturevalue(server)
    destination = Destination(pacs.name, pacs.ae_title, pacs.host, pacs.port, storage_commitment=False)
    outcomes: list[InstanceOutcome] = []
    store(destination, NODE, result.instances, SETTINGS, outcomes.append)
    assert [item.status for item in outcomes] == [0] * 20
    for item in forms_of(result):
        listed = stored_instances(destination, NODE, result.study_instance_uid, item.series_instance_uid, SETTINGS)
        assert listed == {item.sop_instance_uid}
        assert kept(pacs, item.sop_instance_uid) == pydicom.dcmread(item.path), item.path.name


def test_a_node_delivers_every_form_and_has_it_confirmed(orthanc_server: Pacs, tmp_path: Path) -> None:
    pacs = f'ae_title = "{orthanc_server.ae_title}"\nhost = "{orthanc_server.host}"\nport = {orthanc_server.port}'
    node = open_at(
        tmp_path,
        derive='forms = ["slices", "enhanced", "report", "notice"]',
        send=f'[[send.pacs]]\nname = "main"\n{pacs}',
    )
    job_id = queue_series(node, tmp_path / "spool", seed=55)
    assert restore_next(node, node.model_digests, lambda _claim: None)
    assert deliver(node, 1)
    assert deliver(node, 1)
    (delivery,) = queries.deliveries_of(node.database, job_id)
    assert (delivery.state, delivery.verified_by, delivery.stored, delivery.total) == ("verified", "C-FIND", 24, 24)
    assert view(node, job_id).thin_slices == 21
