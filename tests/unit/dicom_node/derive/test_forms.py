"""What goes with the derived slices, or in their place: one patient, one study, marked, and the same at every retry."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydantic import ValidationError
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, KeyObjectSelectionDocumentStorage, LegacyConvertedEnhancedCTImageStorage

from dicom_node.derive import forms
from dicom_node.derive.form import FormSource, finish, nameless
from dicom_node.derive.manifest import MANIFEST, load_series
from dicom_node.derive.plan import series_plan
from dicom_node.derive.report import SCHEME, report
from dicom_node.derive.writer import write_series
from dicom_node.errors import ConformanceError
from dicom_node.records import DerivedSeries, ReplacedResult, ThickSeries
from dicom_node.settings import DeriveSettings
from dicom_node.uid import IMPLEMENTATION_CLASS_UID, form_series_uid, form_uid, instance_uid, series_uid
from sr_engine.volume import ModelIdentity
from tests.unit.dicom_node.derive.samples import CUBIC, NETWORK, thick_series, thin_volume, write_source

NOW = datetime(2026, 11, 21, 7, 30, 15, tzinfo=UTC)
ALL = DeriveSettings(forms=("slices", "enhanced", "report", "notice"))
OLD = ReplacedResult("old", 3, (*(instance_uid("old", k) for k in range(3)), form_uid("old", "report"), "2.25.1"))


@pytest.fixture
def thick(tmp_path: Path) -> ThickSeries:
    return thick_series(write_source(tmp_path / "source"))


def write(
    thick: ThickSeries,
    folder: Path,
    settings: DeriveSettings = ALL,
    model: ModelIdentity = NETWORK,
    *old: ReplacedResult,
) -> DerivedSeries:
    return write_series(thick, thin_volume(thick, model=model), "job", settings, folder, NOW, replaced=old)


def made(thick: ThickSeries, folder: Path, model: ModelIdentity = NETWORK) -> dict[str, Dataset]:
    """Every form by the name of its file, with a rejection note."""
    written = write(thick, folder, ALL, model, OLD)
    return {item.path.stem: pydicom.dcmread(item.path) for item in written.instances if not item.path.stem.isdigit()}


def test_without_a_setting_a_result_is_its_slices(thick: ThickSeries, tmp_path: Path) -> None:
    written = write(thick, tmp_path / "out", DeriveSettings())
    assert {item.sop_class_uid for item in written.instances} == {CTImageStorage}
    assert sorted(path.suffix for path in written.folder.iterdir()) == [".dcm"] * 16 + [".json"]


def test_a_result_without_images_is_no_setting() -> None:
    with pytest.raises(ValidationError, match="at least slices or enhanced"):
        DeriveSettings(forms=("report",))


def test_the_order_in_which_forms_are_named_changes_nothing() -> None:
    """The settings are in the job's key: another order would be another job."""
    assert DeriveSettings(forms=("report", "enhanced", "slices")).forms == ("slices", "enhanced", "report")


def test_equal_arguments_make_byte_identical_forms(thick: ThickSeries, tmp_path: Path) -> None:
    """Promise P4."""
    one, two = (write(thick, tmp_path / name, ALL, NETWORK, OLD) for name in ("a", "b"))
    assert [item.sop_instance_uid for item in one.instances] == [item.sop_instance_uid for item in two.instances]
    for first, second in zip(one.instances, two.instances, strict=True):
        assert first.path.read_bytes() == second.path.read_bytes(), first.path.name
    assert (one.folder / MANIFEST).read_bytes() == (two.folder / MANIFEST).read_bytes()


def test_references_have_an_order_of_their_own(thick: ThickSeries, tmp_path: Path) -> None:
    """Highdicom lists them by a set, whose order differs between processes."""
    enhanced = made(thick, tmp_path / "out")["enhanced"]
    for series in enhanced.ReferencedSeriesSequence:
        uids = [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence]
        assert uids == sorted(uids)


def test_every_form_is_of_the_same_patient_and_study_in_a_series_of_its_own(thick: ThickSeries, tmp_path: Path) -> None:
    source = pydicom.dcmread(thick.slices[0].path)
    found = made(thick, tmp_path / "out")
    assert list(found) == ["enhanced", "report", "notice", "rejection"]
    for form, data_set in found.items():
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate"):
            assert data_set[keyword].value == source[keyword].value, (form, keyword)
        assert data_set.SeriesInstanceUID == form_series_uid("job", form)
        assert data_set.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
        assert not [element for element in data_set.iterall() if element.tag.is_private]
    assert [int(data_set.SeriesNumber) for data_set in found.values()] == [2003, 3003, 4003, 5003]


def test_every_form_says_what_made_it_and_when(thick: ThickSeries, tmp_path: Path) -> None:
    """Promise P9."""
    for form, data_set in made(thick, tmp_path / "out").items():
        assert data_set.SeriesDescription == f"TVSRN-V2 1.0mm AI DERIVED {form.upper()}"
        assert (data_set.Manufacturer, data_set.ContentQualification) == ("thinslice", "RESEARCH")
        assert data_set.SoftwareVersions
        assert data_set.ContributingEquipmentSequence[-1].ManufacturerModelName == "TVSRN-V2"
        times = {str(element.value) for element in data_set if element.keyword.endswith("CreationTime")}
        assert times | {data_set.SeriesTime, str(data_set.get("ContentTime", data_set.SeriesTime))} == {"073015.000000"}


def test_the_manifest_lists_the_forms_after_the_slices(thick: ThickSeries, tmp_path: Path) -> None:
    written = write(thick, tmp_path / "out")
    read = load_series(tmp_path / "out")
    assert read.instances == written.instances
    assert [item.path.stem for item in read.instances[15:]] == ["0016", "enhanced", "report", "notice"]
    assert (read.thin_slices, read.series_instance_uid) == (16, series_uid("job"))
    assert len(read.series_uids) == 4


def test_the_enhanced_image_is_the_volume_of_the_slices(thick: ThickSeries, tmp_path: Path) -> None:
    """Voxels, spacing, orientation and position, as highdicom reads both."""
    written = write(thick, tmp_path / "out")
    slices = [pydicom.dcmread(item.path) for item in written.instances[:16]]
    expected = hd.get_volume_from_series(slices)
    enhanced = hd.imread(tmp_path / "out" / "enhanced.dcm").get_volume()
    np.testing.assert_array_equal(enhanced.array, expected.array)
    np.testing.assert_allclose(enhanced.affine, expected.affine, atol=1e-9)
    assert enhanced.frame_of_reference_uid == slices[0].FrameOfReferenceUID


def test_the_enhanced_image_is_marked_frame_by_frame(thick: ThickSeries, tmp_path: Path) -> None:
    image = made(thick, tmp_path / "out")["enhanced"]
    assert list(image.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
    assert len(image.PerFrameFunctionalGroupsSequence) == image.NumberOfFrames == 16
    for frame in image.PerFrameFunctionalGroupsSequence:
        assert "Not for primary diagnosis" in frame.FrameContentSequence[0].FrameComments
        assert "artificial intelligence" in frame.DerivationImageSequence[0].DerivationDescription
    evidence = image.SourceImageEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert [item.ReferencedSOPInstanceUID for item in evidence.ReferencedSOPSequence] == [
        header.sop_instance_uid for header in thick.slices
    ]


def test_the_enhanced_image_says_nothing_twice(thick: ThickSeries, tmp_path: Path) -> None:
    """What is left over from the slices holds no second, empty patient."""
    image = made(thick, tmp_path / "out")["enhanced"]
    (rest,) = image.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence
    assert "KVP" in rest
    assert [element.keyword for element in rest if element.keyword in image] == []


def test_the_enhanced_image_may_stand_in_place_of_the_slices(thick: ThickSeries, tmp_path: Path) -> None:
    written = write(thick, tmp_path / "out", DeriveSettings(forms=("enhanced", "report", "notice")))
    assert [item.path.name for item in written.instances] == ["enhanced.dcm", "report.dcm", "notice.dcm"]
    assert (written.series_instance_uid, written.thin_slices) == (form_series_uid("job", "enhanced"), 16)
    document, state = (pydicom.dcmread(written.folder / f"{form}.dcm") for form in ("report", "notice"))
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    (shown,) = state.ReferencedSeriesSequence[0].ReferencedImageSequence
    for item in (*evidence.ReferencedSOPSequence, shown):
        assert item.ReferencedSOPClassUID == LegacyConvertedEnhancedCTImageStorage
        assert item.ReferencedSOPInstanceUID == form_uid("job", "enhanced")


def test_a_lossy_source_stays_lossy_in_the_enhanced_image(tmp_path: Path) -> None:
    thick = thick_series(
        write_source(tmp_path / "source", LossyImageCompression="01", LossyImageCompressionRatio=["8", "2"])
    )
    image = made(thick, tmp_path / "out")["enhanced"]
    assert (image.LossyImageCompression, list(image.LossyImageCompressionRatio)) == ("01", [8, 2])


@pytest.mark.parametrize(("part", "side"), [("CHEST", "U"), ("LUNG", None), ("", None)])
def test_no_side_of_the_body_is_invented(tmp_path: Path, part: str, side: str | None) -> None:
    """A frame's anatomy has to name the side; that of a lung is not known."""
    thick = thick_series(write_source(tmp_path / "source", BodyPartExamined=part))
    shared = made(thick, tmp_path / "out")["enhanced"].SharedFunctionalGroupsSequence[0]
    anatomy = shared.get("FrameAnatomySequence")
    assert (anatomy[0].FrameLaterality if anatomy else None) == side


def test_the_report_names_model_settings_and_figures_with_units(thick: ThickSeries, tmp_path: Path) -> None:
    document = made(thick, tmp_path / "out")["report"]
    assert (document.CompletionFlag, document.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    texts = [element.value for element in document.iterall() if element.keyword == "TextValue"]
    assert f"digest of weights and configuration: sha256 {NETWORK.digest}" in texts
    assert {"TVSRN-V2", "2026.1", "data consistency: no", "thin slices for each thick step: 5"} <= set(texts)
    assert any("Not for primary diagnosis" in text for text in texts)
    numbers = {
        item.ConceptNameCodeSequence[0].CodeValue: item.MeasuredValueSequence[0]
        for item in _items(document)
        if item.ValueType == "NUM"
    }
    units = {code: value.MeasurementUnitsCodeSequence[0].CodeValue for code, value in numbers.items()}
    assert (float(numbers["MEAN_OFFSET"].NumericValue), units["MEAN_OFFSET"]) == (0.1, "[hnsf'U]")
    assert (float(numbers["112179"].NumericValue), units["112179"]) == (-1024, "[hnsf'U]")
    assert (float(numbers["112226"].NumericValue), units["112226"]) == (1, "mm")
    assert "LUNG_OFFSET" not in numbers  # no lung was found
    assert document.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == SCHEME


def test_the_report_keeps_what_a_network_did_before_data_consistency(thick: ThickSeries, tmp_path: Path) -> None:
    thin = thin_volume(thick)
    thin = replace(thin, check=replace(thin.check, network_rms_hu=7.5))
    write_series(thick, thin, "job", ALL, tmp_path / "out", NOW)
    document = pydicom.dcmread(tmp_path / "out" / "report.dcm")
    assert "data consistency: yes" in [item.TextValue for item in _items(document) if item.ValueType == "TEXT"]
    codes = [item.ConceptNameCodeSequence[0].CodeValue for item in _items(document)]
    assert "NETWORK_RMS" in codes


def test_the_notice_is_written_over_every_slice(thick: ThickSeries, tmp_path: Path) -> None:
    state = made(thick, tmp_path / "out")["notice"]
    (annotation,) = state.GraphicAnnotationSequence
    (text,) = annotation.TextObjectSequence
    assert text.UnformattedTextValue == "AI-derived thin slices - not for primary diagnosis"
    shown = state.ReferencedSeriesSequence[0]
    expected = [instance_uid("job", k) for k in range(16)]
    assert shown.SeriesInstanceUID == series_uid("job")
    assert [item.ReferencedSOPInstanceUID for item in shown.ReferencedImageSequence] == expected
    assert (state.SoftcopyVOILUTSequence[0].WindowCenter, state.SoftcopyVOILUTSequence[0].WindowWidth) == (40, 400)


def test_interpolation_is_nowhere_called_ai(thick: ThickSeries, tmp_path: Path) -> None:
    for form, data_set in made(thick, tmp_path / "out", CUBIC).items():
        words = [str(element.value) for element in data_set.iterall() if element.VR != "SQ"]
        assert [word for word in words if re.search(r"\bAI\b|[Aa]rtificial", word)] == [], form
        if form == "notice":
            assert "Interpolated thin slices - not for primary diagnosis" in words


def test_the_rejection_note_names_every_instance_of_what_was_replaced(thick: ThickSeries, tmp_path: Path) -> None:
    note = made(thick, tmp_path / "out")["rejection"]
    assert note.SOPClassUID == KeyObjectSelectionDocumentStorage
    title = note.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113001", "DCM")
    (study,) = note.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == note.StudyInstanceUID
    rejected = {
        series.SeriesInstanceUID: [item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence]
        for series in study.ReferencedSeriesSequence
    }
    # 2.25.1 is none of the old job's own: an earlier rejection note, which stays.
    assert rejected == {
        series_uid("old"): list(OLD.sop_instance_uids[:3]),
        form_series_uid("old", "report"): [form_uid("old", "report")],
    }
    kinds = [item.ValueType for item in note.ContentSequence if "ReferencedSOPSequence" in item]
    assert kinds == ["IMAGE"] * 3 + ["COMPOSITE"]
    assert any("Replaced" in item.get("TextValue", "") for item in note.ContentSequence)


def test_another_rejection_is_another_note(thick: ThickSeries, tmp_path: Path) -> None:
    """A PACS keeps the first content that it got under a UID."""
    more = replace(OLD, job_key="older", sop_instance_uids=(instance_uid("older", 0),))
    one = write(thick, tmp_path / "a", DeriveSettings(), NETWORK, OLD).instances[-1]
    two = write(thick, tmp_path / "b", DeriveSettings(), NETWORK, OLD, more).instances[-1]
    assert one.sop_class_uid == two.sop_class_uid == KeyObjectSelectionDocumentStorage
    assert one.sop_instance_uid != two.sop_instance_uid


def test_an_unusual_name_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Highdicom logs a name without caret when it is given one (promise P8)."""
    thick = thick_series(write_source(tmp_path / "source", PatientName="ODDNAME"))
    with caplog.at_level(0):
        assert made(thick, tmp_path / "out")["report"].PatientName == "ODDNAME"
    assert "ODDNAME" not in caplog.text


def test_names_in_other_scripts_survive(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", SpecificCharacterSet="ISO_IR 144", PatientName="Иванов^Иван")
    for data_set in made(thick_series(source), tmp_path / "out").values():
        assert (data_set.PatientName, data_set.SpecificCharacterSet) == ("Иванов^Иван", "ISO_IR 192")


def test_a_form_that_cannot_be_made_leaves_no_result(
    thick: ThickSeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does its reason quote what a library says."""

    def broken(_source: FormSource) -> Dataset:
        raise ValueError("SAMPLE^ONE is no name")

    monkeypatch.setattr(forms, "MAKERS", {**forms.MAKERS, "report": broken})
    with pytest.raises(ConformanceError, match="'report' cannot be made") as raised:
        write(thick, tmp_path / "out")
    assert "SAMPLE" not in str(raised.value)
    assert not (tmp_path / "out" / MANIFEST).exists()


@pytest.mark.parametrize(
    ("keyword", "spoil"),
    [
        ("private", lambda document: document.add_new(0x00091010, "LO", "ours")),
        ("VerificationFlag", lambda document: setattr(document, "VerificationFlag", "verified")),
        ("SeriesInstanceUID", lambda document: setattr(document, "SeriesInstanceUID", series_uid("job"))),
        ("CodeMeaning", lambda document: delattr(document.ConceptNameCodeSequence[0], "CodeMeaning")),
        ("MediaStorageSOPInstanceUID", lambda document: setattr(document, "SOPInstanceUID", "2.25.3")),
    ],
)
def test_a_form_that_breaks_the_standard_or_our_markings_does_not_leave(
    thick: ThickSeries, tmp_path: Path, keyword: str, spoil: Callable[[Dataset], None]
) -> None:
    written = write(thick, tmp_path / "out", DeriveSettings())
    thin = thin_volume(thick)
    sources = [pydicom.dcmread(header.path) for header in thick.slices]
    plan = series_plan(sources, thick, thin, "job", ALL, NOW)
    source = FormSource(plan, thin, ALL, tuple(nameless(pydicom.dcmread(item.path)) for item in written.instances))
    document = report(source)
    with pydicom.config.disable_value_validation():
        spoil(document)
        with pytest.raises(ConformanceError, match=keyword):
            finish(document, source, "report")


def _items(document: Dataset) -> list[Dataset]:
    """All content items of a structured report."""
    return [item for child in document.get("ContentSequence", ()) for item in (child, *_items(child))]
