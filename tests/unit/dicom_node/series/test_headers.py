"""Reading headers leniently, and refusing what cannot be identified."""

import hashlib
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_node.errors import UnreadableInstance
from dicom_node.series.headers import by_series, data_set_digest, read_folder, read_header
from tests.unit.dicom_node.series.samples import ROOT, dataset, overwrite, write


def test_a_good_slice_is_read_as_it_is(tmp_path: Path):
    path = write(tmp_path, dataset())
    made = read_header(path, "digest")
    assert (made.path, made.sha256, made.problems) == (path, "digest", ())
    assert (made.position, made.pixel_spacing, made.slice_thickness) == ((-10, -20, 30), (0.7, 0.8), 5)
    assert made.orientation == (1, 0, 0, 0, 1, 0)
    assert (made.rows, made.columns, made.frames, made.acquisition_number) == (30, 40, 1, 1)
    assert (made.convolution_kernel, made.image_type) == (("STANDARD",), ("ORIGINAL", "PRIMARY", "AXIAL"))
    assert (made.images_in_acquisition, made.spacing_between_slices, made.gantry_tilt) == (None, None, None)
    assert not made.derived_by_us


def test_the_header_holds_no_patient_data(tmp_path: Path):
    """P8: the key tells patients apart and says nothing about them."""
    text = repr(read_header(write(tmp_path, dataset()), "digest"))
    assert "SECRET" not in text
    assert "Secret" not in text


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "IssuerOfPatientID"])
def test_patients_are_told_apart_by_each_part_of_their_identity(tmp_path: Path, keyword: str):
    one = read_header(write(tmp_path, dataset()), "").patient_key
    assert one == read_header(write(tmp_path, dataset(RescaleType="")), "").patient_key
    assert one != read_header(write(tmp_path, dataset(**{keyword: "Other"})), "").patient_key


@pytest.mark.parametrize(
    ("elements", "problem"),
    [
        ({"RescaleSlope": None}, "RescaleSlope is missing"),
        ({"RescaleIntercept": None}, "RescaleIntercept is missing"),
        ({"RescaleSlope": 0}, "RescaleSlope is not a usable factor"),
        ({"RescaleType": "US"}, "RescaleType is US, not HU"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "PhotometricInterpretation is MONOCHROME1, not MONOCHROME2"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel is 3, not 1"),
        ({"BitsAllocated": 32}, "BitsAllocated is 32, not 16"),
        ({"BitsAllocated": None}, "BitsAllocated is missing"),
        ({"HighBit": 11}, "BitsStored and HighBit do not describe the stored values"),
        ({"PixelSpacing": [0, 0]}, "PixelSpacing is not positive"),
        ({"PixelSpacing": None}, "PixelSpacing is missing"),
        ({"SliceThickness": 0}, "SliceThickness is not positive"),
        ({"SliceThickness": ""}, "SliceThickness is missing"),
        ({"ImagePositionPatient": [1, 2]}, "ImagePositionPatient is not 3 numbers"),
        ({"ImageOrientationPatient": None}, "ImageOrientationPatient is missing"),
        ({"FrameOfReferenceUID": None}, "FrameOfReferenceUID is missing"),
        ({"Modality": None}, "Modality is missing"),
        ({"Rows": 0}, "Rows or Columns is missing or zero"),
        ({"MultienergyCTAcquisition": "YES"}, "MultienergyCTAcquisition is YES"),
        ({"ModalityLUTSequence": [Dataset()]}, "a Modality LUT stands in place"),
    ],
)
def test_what_a_restoration_needs_and_misses_is_a_problem_in_words(tmp_path: Path, elements: dict, problem: str):
    (found,) = read_header(write(tmp_path, dataset(**elements)), "").problems
    assert found.startswith(problem)


@pytest.mark.parametrize("text", [b"5,0 ", b"5.0 mm", b"NaN ", b"1e400 ", b"1\\2 "])
def test_a_number_that_is_none_becomes_a_problem_and_none(tmp_path: Path, text: bytes):
    path = write(tmp_path, dataset())
    overwrite(path, "SliceThickness", "DS", text)
    made = read_header(path, "")
    assert (made.slice_thickness, made.problems) == (None, ("SliceThickness is not a number",))


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize(("value", "word"), [(b"", "missing"), (b"../../x ", "valid"), (b"1." * 40, "valid")])
def test_an_instance_without_identity_is_refused_by_the_keyword(tmp_path: Path, keyword: str, value: bytes, word: str):
    path = write(tmp_path, dataset())
    overwrite(path, keyword, "UI", value)
    with pytest.raises(UnreadableInstance, match=f"^{keyword} is .*{word}"):
        read_header(path, "")


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, "1.2.3.4"])
def test_a_transfer_syntax_that_is_not_read_is_refused_before_anything_is_inflated(tmp_path: Path, syntax: str):
    path = write(tmp_path, dataset())
    overwrite(path, "TransferSyntaxUID", "UI", syntax.encode())
    with pytest.raises(UnreadableInstance, match=r"transfer syntax .* is not read"):
        data_set_digest(path)
    with pytest.raises(UnreadableInstance, match=r"transfer syntax .* is not read"):
        read_header(path, "")


def test_the_error_names_no_patient(tmp_path: Path):
    path = write(tmp_path, dataset())
    path.write_bytes(path.read_bytes()[:-2000].replace(b"SECRET-ID", b"SECRET-\xff\xff"))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UnreadableInstance) as caught:
        read_header(path, "")
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "elements",
    [{"ManufacturerModelName": "thinslice 0.1"}, {"Manufacturer": "THINSLICE"}],
)
def test_our_own_output_is_recognised(tmp_path: Path, elements: dict):
    """The loop guard: what comes back from the PACS must not be restored again."""
    assert read_header(write(tmp_path, dataset(**elements)), "").derived_by_us


def test_our_own_output_is_recognised_by_its_contributing_equipment(tmp_path: Path):
    for keyword in ("Manufacturer", "ManufacturerModelName"):
        item = Dataset()
        setattr(item, keyword, "Thinslice")
        assert read_header(write(tmp_path, dataset(ContributingEquipmentSequence=Sequence([item]))), "").derived_by_us


def test_a_scanner_of_another_maker_is_not_taken_for_us(tmp_path: Path):
    assert not read_header(write(tmp_path, dataset(Manufacturer="THINSLICE TESTS")), "").derived_by_us


@pytest.mark.parametrize(("code", "scheme", "found"), [("113085", "DCM", True), ("113040", "DCM", False)])
def test_a_resampled_image_is_recognised_by_its_derivation_code(tmp_path: Path, code: str, scheme: str, found: bool):
    """Spatial resampling; not 113040, lossy compression, after which an image is still a reconstruction."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code, scheme
    assert read_header(write(tmp_path, dataset(DerivationCodeSequence=Sequence([item]))), "").resampled == found


def test_two_identities_in_one_file_are_a_problem(tmp_path: Path):
    path = write(tmp_path, dataset())
    raw = path.read_bytes()
    other = f"{ROOT}.4".replace("7.4", "7.5").encode()
    path.write_bytes(raw.replace(f"{ROOT}.4".encode(), other, 1))
    assert read_header(path, "").problems == ("SOPInstanceUID differs from that in the file meta information",)


def test_the_digest_is_that_of_the_data_set_alone(tmp_path: Path):
    """Preamble and File Meta Information differ from sender to sender; equal data sets are one instance."""
    made = dataset()
    first = write(tmp_path, made, "first.dcm")
    made.file_meta.ImplementationVersionName = "OTHER"
    second = write(tmp_path, made, "second.dcm")
    assert first.read_bytes() != second.read_bytes()
    assert data_set_digest(first) == data_set_digest(second)
    body = first.read_bytes()[first.read_bytes().index(b"\x08\x00\x08\x00CS") :]
    assert data_set_digest(first) == hashlib.sha256(body).hexdigest()


def test_a_folder_gives_headers_and_refusals_and_drops_nothing(tmp_path: Path):
    (tmp_path / "below").mkdir()
    write(tmp_path / "below", dataset(), "good")
    made = dataset(SeriesInstanceUID=f"{ROOT}.8")
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    write(tmp_path, made, "implicit")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "empty").touch()
    headers, refusals = read_folder(tmp_path)
    assert [made.path.name for made in headers] == ["good", "implicit"]
    assert [(path.name, "no DICOM file" in reason) for path, reason in refusals] == [
        ("empty", True),
        ("notes.txt", True),
    ]
    assert list(by_series(headers)) == [f"{ROOT}.1", f"{ROOT}.8"]


def test_what_rules_compare_is_read_and_cut(tmp_path: Path):
    said = dataset(
        StationName="CT1", Manufacturer="ACME", ManufacturerModelName="Scan", SeriesDescription="x" * 64 + "Secret",
        StudyDescription="CT Thorax", ProtocolName=" routine ", BodyPartExamined="CHEST", ContrastBolusAgent="Omni",
    )  # fmt: skip
    made = read_header(write(tmp_path, said), "")
    assert (made.station, made.manufacturer, made.model, made.body_part) == ("CT1", "ACME", "Scan", "CHEST")
    assert (made.study_description, made.protocol, made.contrast) == ("CT Thorax", "routine", True)
    assert made.series_description == "x" * 64
    bare = read_header(write(tmp_path, dataset(ContrastBolusAgent="")), "")
    assert (bare.station, bare.body_part, bare.series_description, bare.contrast) == ("", "", "", False)
