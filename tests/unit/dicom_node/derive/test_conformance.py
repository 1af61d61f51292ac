"""The conformance check catches every tampering that we could think of, and what dciodvfy catches."""

import copy
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_node.derive.attributes import RULES
from dicom_node.derive.conformance import check, check_instance
from dicom_node.derive.writer import write_series
from dicom_node.errors import ConformanceError
from dicom_node.settings import DeriveSettings
from tests.unit.dicom_node.derive.samples import thick_series, thin_volume, write_source

Change = Callable[[Dataset], object]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """A derived series that conforms."""
    folder = tmp_path_factory.mktemp("derived")
    thick = thick_series(write_source(folder / "source"))
    derived = write_series(
        thick, thin_volume(thick), "job", DeriveSettings(), folder / "out", datetime(2026, 11, 21, tzinfo=UTC)
    )
    return [pydicom.dcmread(instance.path) for instance in derived.instances]


@pytest.fixture
def image(series: list[Dataset]) -> Dataset:
    """One slice to tamper with."""
    return copy.deepcopy(series[1])


def test_an_untouched_series_passes(series: list[Dataset]) -> None:
    check(series)


@pytest.mark.parametrize("keyword", [rule.keyword for rule in RULES.values() if rule.type < 3])
def test_a_missing_type_1_or_type_2_attribute_is_found(image: Dataset, keyword: str) -> None:
    delattr(image, keyword)
    with pytest.raises(ConformanceError, match=keyword):
        check_instance(image)


@pytest.mark.parametrize("keyword", [rule.keyword for rule in RULES.values() if rule.type == 1])
def test_an_empty_type_1_attribute_is_found(image: Dataset, keyword: str) -> None:
    image[keyword].value = [] if image[keyword].VR == "SQ" else None
    with pytest.raises(ConformanceError, match=keyword):
        check_instance(image)


def _set(keyword: str, value: object) -> Change:
    def change(image: Dataset) -> None:
        with pydicom.config.disable_value_validation():
            setattr(image, keyword, value)

    return change


def _private(image: Dataset) -> None:
    image.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "x")


def _private_inside(image: Dataset) -> None:
    image.ContributingEquipmentSequence[0].private_block(0x0009, "ACME", create=True).add_new(1, "LO", "x")


def _overlay(image: Dataset) -> None:
    image.add_new(0x60003000, "OB", b"\0\0")


def _long_decimal(image: Dataset) -> None:
    image.SliceThickness = pydicom.valuerep.DSfloat("1.000000000000000000001")


def _no_device(image: Dataset) -> None:
    del image.ContributingEquipmentSequence[1].DeviceUID


def _no_model(image: Dataset) -> None:
    del image.ContributingEquipmentSequence[1]


def _no_meaning(image: Dataset) -> None:
    del image.DerivationCodeSequence[0].CodeMeaning


def _reused_uid(image: Dataset) -> None:
    image.SourceImageSequence[0].ReferencedSOPInstanceUID = image.SOPInstanceUID


def _reused_series(image: Dataset) -> None:
    image.ReferencedSeriesSequence[0].SeriesInstanceUID = image.SeriesInstanceUID


def _forgotten_source(image: Dataset) -> None:
    del image.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]


def _other_file_uid(image: Dataset) -> None:
    image.file_meta.MediaStorageSOPInstanceUID = "1.2.3"


def _half_a_picture(image: Dataset) -> None:
    image.PixelData = image.PixelData[:80]


def _no_width(image: Dataset) -> None:
    del image.WindowWidth


TAMPERINGS: list[tuple[str, Change]] = [
    ("0009", _private),
    ("0009", _private_inside),
    ("6000", _overlay),
    ("CTDIvol", _set("CTDIvol", 3.0)),
    ("PresentationIntentType", _set("PresentationIntentType", "FOR PRESENTATION")),
    ("ImageType", _set("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"])),
    ("ImageType", _set("ImageType", ["DERIVED", "SECONDARY"])),
    ("Modality", _set("Modality", "MR")),
    ("PatientSex", _set("PatientSex", "female")),
    ("BodyPartExamined", _set("BodyPartExamined", "Thorax")),
    ("PatientAge", _set("PatientAge", "45")),
    ("StudyDate", _set("StudyDate", "1998.09.19")),
    ("StudyDescription", _set("StudyDescription", "x" * 65)),
    ("StudyInstanceUID", _set("StudyInstanceUID", "1.02.3")),
    ("PatientID", _set("PatientID", ["1", "2"])),
    ("SliceThickness", _long_decimal),
    ("SliceThickness", _set("SliceThickness", 0)),
    ("SpacingBetweenSlices", _set("SpacingBetweenSlices", -1)),
    ("PatientName", _set("PatientName", "Иванов^Иван")),
    ("SpecificCharacterSet", _set("SpecificCharacterSet", "LATIN1")),
    ("Laterality", _set("Laterality", "")),
    ("Laterality", _set("BodyPartExamined", "LUNG")),
    ("WindowWidth", _no_width),
    ("WindowWidth", _set("WindowWidth", [400, 500])),
    ("DeidentificationMethod", _set("PatientIdentityRemoved", "YES")),
    ("ContrastBolusAgent", _set("ContrastBolusRoute", "IV")),
    ("ImageOrientationPatient", _set("ImageOrientationPatient", [1, 0, 0, 0.5, 1, 0])),
    ("ImagePositionPatient", _set("ImagePositionPatient", [1, 2])),
    ("PixelData", _half_a_picture),
    ("BitsStored", _set("BitsStored", 12)),
    ("RescaleIntercept", _set("RescaleIntercept", -1024)),
    ("LossyImageCompression", _set("LossyImageCompression", "YES")),
    ("ContentQualification", _set("ContentQualification", "CLINICAL")),
    ("ContributingEquipmentSequence", _no_device),
    ("ContributingEquipmentSequence", _no_model),
    ("CodeMeaning", _no_meaning),
    ("SeriesDescription", _set("SeriesDescription", "THORAX 1.0")),
    ("ImageComments", _set("ImageComments", "fine")),
    ("SOPInstanceUID", _reused_uid),
    ("SeriesInstanceUID", _reused_series),
    ("ReferencedSeriesSequence", _forgotten_source),
    ("MediaStorageSOPInstanceUID", _other_file_uid),
]


@pytest.mark.parametrize(("named", "tamper"), TAMPERINGS, ids=[str(n) for n in range(len(TAMPERINGS))])
def test_a_tampered_slice_is_found_and_the_attribute_named(image: Dataset, named: str, tamper: Change) -> None:
    tamper(image)
    with pytest.raises(ConformanceError, match=named) as refusal:
        check_instance(image)
    assert "PS3." in str(refusal.value)
    assert "SAMPLE" not in str(refusal.value)


@pytest.mark.dicom
def test_whatever_dciodvfy_calls_an_error_after_one_deletion_or_emptying_we_call_one_too(
    series: list[Dataset], tmp_path: Path
) -> None:
    """The judge may be stricter than dciodvfy, never milder."""
    missed = []
    for keyword in [element.keyword for element in series[1] if element.keyword != "PixelData"]:
        for tamper in (lambda image, word: delattr(image, word), _empty):
            image = copy.deepcopy(series[1])
            tamper(image, keyword)
            if _dciodvfy_errors(image, tmp_path / "one.dcm") and not _refused(image):
                missed.append(keyword)
    assert missed == []


def _empty(image: Dataset, keyword: str) -> None:
    image[keyword].value = [] if image[keyword].VR == "SQ" else None


def _refused(image: Dataset) -> bool:
    try:
        check_instance(image)
    except ConformanceError:
        return True
    return False


def _dciodvfy_errors(image: Dataset, path: Path) -> list[str]:
    image.save_as(path)
    judged = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.parametrize(
    ("message", "tamper"),
    [
        ("StudyInstanceUID differs", _set("StudyInstanceUID", "1.2.3")),
        ("FrameOfReferenceUID differs", _set("FrameOfReferenceUID", "1.2.3")),
        ("SeriesTime differs", _set("SeriesTime", "120000")),
        ("PixelSpacing differs", _set("PixelSpacing", [1, 1])),
        ("InstanceNumber does not run", _set("InstanceNumber", 99)),
        ("InstanceNumber is used twice", _set("InstanceNumber", 1)),
        ("ImagePositionPatient does not step", _set("ImagePositionPatient", [-4.5, -3.5, 103])),
        ("ImagePositionPatient does not step", _set("ImagePositionPatient", [5, -3.5, 102.25])),
    ],
)
def test_a_slice_that_does_not_fit_its_series_is_found(series: list[Dataset], message: str, tamper: Change) -> None:
    odd = copy.deepcopy(series)
    tamper(odd[2])
    with pytest.raises(ConformanceError, match=message):
        check(odd)


def test_a_uid_used_twice_is_found(series: list[Dataset]) -> None:
    odd = copy.deepcopy(series)
    odd[2].SOPInstanceUID = odd[2].file_meta.MediaStorageSOPInstanceUID = odd[1].SOPInstanceUID
    with pytest.raises(ConformanceError, match="SOPInstanceUID is used twice"):
        check(odd)


def test_a_missing_slice_is_found(series: list[Dataset]) -> None:
    with pytest.raises(ConformanceError, match="does not run from 1 to N"):
        check([*series[:3], *series[4:]])


def test_positions_that_turn_back_are_found(series: list[Dataset]) -> None:
    odd = copy.deepcopy(series)
    top = np.array(odd[-2].ImagePositionPatient, float)
    odd[-1].ImagePositionPatient = list(top - [0, 0, 1])
    with pytest.raises(ConformanceError, match="does not step"):
        check(odd)


def _leaning(series: list[Dataset], drift_mm: float) -> list[Dataset]:
    """The same slices, each moved sideways by a little more than the one before."""
    moved = [copy.deepcopy(image) for image in series]
    for index, image in enumerate(moved):
        x, *rest = image.ImagePositionPatient
        image.ImagePositionPatient = [f"{float(x) + index * drift_mm:.10g}", *rest]
    return moved


def test_an_even_shear_passes(series: list[Dataset]) -> None:
    """That of a tilted gantry; the step is measured along the normal."""
    check(_leaning(series, 0.36))


def test_one_slice_beside_the_line_of_a_shear_is_found(series: list[Dataset]) -> None:
    odd = _leaning(series, 0.36)
    odd[3].ImagePositionPatient = series[3].ImagePositionPatient
    with pytest.raises(ConformanceError, match="ImagePositionPatient does not step"):
        check(odd)


def test_an_empty_series_does_not_pass() -> None:
    with pytest.raises(ConformanceError):
        check([])
