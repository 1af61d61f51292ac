"""What a derived series takes over from its source, and in which shape."""

from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000

from dicom_node.derive.attributes import RULES, TABLE, as_markdown
from dicom_node.derive.inherit import inherited_attributes
from dicom_node.derive.values import allows_multiplicity, clean_value
from dicom_node.errors import InputError


def sources(count: int = 2, **values: object) -> list[Dataset]:
    """Source headers with the same values."""
    with pydicom.config.disable_value_validation():
        return [_source(values) for _ in range(count)]


def _source(values: dict[str, object]) -> Dataset:
    data_set = Dataset()
    data_set.StudyInstanceUID, data_set.FrameOfReferenceUID = "1.2.3", "1.2.4"
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


def test_table_names_every_attribute_once_and_by_its_standard_keyword():
    """A keyword that the dictionary does not know could never match."""
    assert len(RULES) == len(TABLE)
    assert [rule.keyword for rule in TABLE if tag_for_keyword(rule.keyword) is None] == []


def test_the_page_in_the_docs_is_made_from_the_table(repository: Path):
    """`python -m dicom_node.derive.attributes > docs/attributes.md` mends a failure."""
    assert (repository / "docs" / "attributes.md").read_text(encoding="utf-8") == as_markdown()


@pytest.mark.parametrize(
    ("keyword", "scanner_writes", "we_write"),
    [
        ("BodyPartExamined", "Thorax_Routine", "THORAX_ROUTINE"),
        ("BodyPartExamined", "chest / abdomen", None),
        ("PatientSex", "f", "F"),
        ("PatientSex", "Female", None),
        ("PatientAge", "45Y", "045Y"),
        ("PatientAge", "45", None),
        ("RotationDirection", "CCW", None),
        ("StudyDate", "1998.09.19", "19980919"),
        ("StudyDate", "19981399", None),
        ("AcquisitionNumber", "3.0", "3"),
        ("StudyDescription", "x" * 80, "x" * 64),
        ("StudyDescription", "Thorax\tnativ\x00", "Thorax nativ"),
        ("ProtocolName", " 5 mm ", "5 mm"),
        ("KVP", "one hundred", None),
        ("ScanOptions", ["HELICAL MODE", "contrast"], ["HELICAL MODE", "CONTRAST"]),
        ("AccessionNumber", ["A", "B"], None),
    ],
)
def test_values_are_put_into_legal_notation_or_left_out(keyword: str, scanner_writes: object, we_write: object):
    """Never guessed at: an age without a unit stays unknown."""
    assert clean_value(_raw(keyword, scanner_writes), keyword) == we_write


def _raw(keyword: str, value: object) -> Dataset:
    """A data set that holds a value as bytes from the wire would: without judging it."""
    data_set = Dataset()
    with pydicom.config.disable_value_validation():
        element = pydicom.DataElement(tag_for_keyword(keyword), "LO", value)
        data_set.add(element)
    return data_set


def test_a_decimal_of_too_many_characters_is_shortened_not_dropped():
    """Pydicom writes 17 and more characters without complaint; dciodvfy does not take them."""
    source = Dataset()
    source.add_new("ReconstructionDiameter", "LO", "400.123456789012345")
    assert len(clean_value(source, "ReconstructionDiameter")) <= 16
    assert float(clean_value(source, "ReconstructionDiameter")) == pytest.approx(400.123456789)


@pytest.mark.parametrize(
    ("keyword", "value"), [("PatientID", "7" * 65), ("PatientID", ["7", "8"]), ("FrameOfReferenceUID", "1.02.3")]
)
def test_an_identifier_that_breaks_the_standard_is_refused_not_altered(keyword: str, value: object):
    """Half an ID is somebody else's ID. The sentence names the attribute, not the value."""
    with pytest.raises(InputError, match=keyword) as refusal:
        clean_value(_raw(keyword, value), keyword)
    assert "7777" not in str(refusal.value)


def test_absent_attributes_of_type_2_are_present_and_empty():
    """Type 2 (PS3.5 7.4.3)."""
    heir = inherited_attributes(sources())
    assert all(keyword in heir for keyword in ("PatientName", "KVP", "AcquisitionNumber", "PositionReferenceIndicator"))


def test_what_varies_between_slices_is_not_claimed_for_all():
    """A modulated tube current is no property of the derived series; type 2 attributes become empty."""
    first, second = sources(XRayTubeCurrent="100", KVP="120", ConvolutionKernel="FC01")
    second.XRayTubeCurrent, second.KVP = "140", "100"
    heir = inherited_attributes([first, second])
    assert "XRayTubeCurrent" not in heir
    assert heir["KVP"].is_empty
    assert heir.ConvolutionKernel == "FC01"


def test_private_stale_and_unlisted_attributes_stay_behind():
    """The table is a list of what may pass, not of what may not."""
    (source,) = sources(1, SmallestImagePixelValue=0, CTDIvol=3.0, StationName="CT1", PixelPaddingValue=0)
    source.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "secret")
    source.add_new(0x60003000, "OB", b"\0\0")
    heir = inherited_attributes([source])
    names = {element.keyword for element in heir}
    assert names <= set(RULES)
    assert not names & {"SmallestImagePixelValue", "CTDIvol", "StationName", "PixelPaddingValue"}


def test_the_source_is_neither_changed_nor_shared():
    """Highdicom copies by reference; an edit of the derived slice must not reach the source in memory."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "P5", "99X", "CT Thorax"
    first, second = sources(PatientName="A^B", ProcedureCodeSequence=Sequence([code]))
    before = str(first)
    heir = inherited_attributes([first, second])
    heir.PatientName = "C^D"
    heir.ProcedureCodeSequence[0].CodeMeaning = "changed"
    assert str(first) == before


@pytest.mark.parametrize("part", ["CHEST", "chest", "ABDOMEN", "HEAD"])
def test_unpaired_body_parts_have_no_laterality(part: str):
    """Laterality is type 2C (C.7.3.1)."""
    assert "Laterality" not in inherited_attributes(sources(BodyPartExamined=part, Laterality=""))


@pytest.mark.parametrize("part", ["LUNG", "", "Thorax nativ 5mm lange Bezeichnung", "BREAST"])
def test_paired_or_unknown_body_parts_have_an_empty_laterality(part: str):
    """Otherwise dciodvfy reports an error."""
    assert inherited_attributes(sources(BodyPartExamined=part))["Laterality"].is_empty


def test_a_known_side_of_a_paired_part_is_kept():
    assert inherited_attributes(sources(BodyPartExamined="BREAST", Laterality="L")).Laterality == "L"


def test_one_lossy_slice_makes_the_series_lossy_for_good():
    """C.7.6.1.1.5: once 01, never 00 again; ratio and method travel with it."""
    first, second = sources(LossyImageCompression="00")
    second.LossyImageCompression, second.LossyImageCompressionRatio = "01", "9.5"
    heir = inherited_attributes([first, second])
    assert (heir.LossyImageCompression, float(heir.LossyImageCompressionRatio)) == ("01", 9.5)


def test_a_lossy_transfer_syntax_counts_even_if_the_flag_is_silent():
    (source,) = sources(1)
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = JPEG2000
    assert inherited_attributes([source]).LossyImageCompression == "01"


@pytest.mark.parametrize("keyword", ["SyntheticData", "BurnedInAnnotation", "RecognizableVisualFeatures"])
@pytest.mark.parametrize(
    ("flags", "result"), [(("YES", "NO"), "YES"), (("NO", "NO"), "NO"), (("NO", ""), None), (("", ""), None)]
)
def test_warnings_of_one_slice_hold_for_the_series(keyword: str, flags: tuple[str, str], result: str | None):
    """NO needs every slice to say so."""
    slices = sources()
    for source, flag in zip(slices, flags, strict=True):
        setattr(source, keyword, flag)
    assert inherited_attributes(slices).get(keyword) == result


def test_contrast_without_agent_gets_an_empty_agent():
    """C.7.6.4: once the module is there, its type 2 attribute is."""
    assert inherited_attributes(sources(ContrastBolusRoute="IV"))["ContrastBolusAgent"].is_empty


def test_a_broken_clinical_trial_is_left_out_and_a_whole_one_completed():
    broken = inherited_attributes(sources(ClinicalTrialSponsorName="NCI"))
    whole = inherited_attributes(
        sources(ClinicalTrialSponsorName="NCI", ClinicalTrialProtocolID="P", ClinicalTrialSubjectID="S")
    )
    assert "ClinicalTrialSponsorName" not in broken
    assert whole["ClinicalTrialSiteName"].is_empty


def test_deidentified_data_says_how():
    assert "DeidentificationMethod" in inherited_attributes(sources(PatientIdentityRemoved="YES"))


@pytest.mark.parametrize(
    ("keyword", "count", "allowed"),
    [
        ("PatientID", 1, True),
        ("PatientID", 2, False),
        ("ImageType", 3, True),
        ("ImageType", 1, False),
        ("KVP", 0, False),
    ],
)
def test_value_multiplicity_follows_the_data_dictionary(keyword: str, count: int, allowed: bool):
    assert allows_multiplicity(keyword, count) is allowed
