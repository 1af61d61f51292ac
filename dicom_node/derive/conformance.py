"""Our own judge: what breaks the standard, or could pass for an original, does not leave (promises P6 and P9).

It reads the same table as the writer, so an attribute that the table does not name is an error. Every message names the
attribute and the clause, never a value: values may be the patient's.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from pydicom import config
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import MAX_VALUE_LEN, validate_value

from dicom_node.derive.attributes import RULES, Action
from dicom_node.derive.consistency import SeriesConsistency
from dicom_node.derive.inherit import UNPAIRED
from dicom_node.derive.values import ENUMERATED, allows_multiplicity
from dicom_node.errors import ConformanceError
from dicom_node.uid import IMPLEMENTATION_CLASS_UID

# Values that a derived slice of ours must have (PS3.3 C.7.3.1, C.7.6.1, C.7.6.3, C.8.2.1).
FIXED: Mapping[str, object] = {
    "SOPClassUID": CTImageStorage,
    "Modality": "CT",
    "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 1,
    "RescaleSlope": 1,
    "RescaleIntercept": 0,
    "RescaleType": "HU",
}
ALLOWED: Mapping[str, frozenset[str]] = {
    **ENUMERATED,
    "ContentQualification": frozenset({"PRODUCT", "RESEARCH", "SERVICE"}),
    "SpatialLocationsPreserved": frozenset({"YES", "NO", "REORIENTED_ONLY"}),
}
_TEXT = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
_POSITIVE = ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "WindowWidth", "Rows", "Columns")
ORTHOGONALITY = 1e-4
# Type 2 sequences, which may have no item (PS3.3 C.7.6.14, C.17.1, C.17.2).
MAY_BE_EMPTY = frozenset(
    {"AcquisitionContextSequence", "PerformedProcedureCodeSequence", "ReferencedPerformedProcedureStepSequence"}
)


def check(data_sets: Iterable[Dataset]) -> None:
    """Judge a derived series, slice by slice and as a whole.

    Raises
    ------
    ConformanceError
        The first rule that is broken, with the attribute and its clause.
    """
    series = SeriesConsistency()
    for data_set in data_sets:
        check_instance(data_set)
        series.add(data_set)
    series.finish()


def check_instance(data_set: Dataset) -> None:
    """Judge one derived slice by the CT Image IOD (PS3.3 A.3), PS3.5's encoding rules and our markings.

    Raises
    ------
    ConformanceError
        The first rule that is broken, with the attribute and its clause.
    """
    for rule in (
        check_file_meta,
        _check_policy,
        check_elements,
        _check_fixed,
        _check_conditions,
        _check_geometry,
        _check_pixels,
        _check_markings,
        _check_references,
    ):
        rule(data_set)


def fail(keyword: str, clause: str, why: str) -> None:
    """Say which attribute breaks which clause."""
    raise ConformanceError(f"{keyword} {why} (PS3.3 {clause}): the derived series is kept back")


def check_file_meta(data_set: Dataset) -> None:
    """The File Meta Information is ours and of this data set."""
    meta = data_set.file_meta
    expected = {
        "MediaStorageSOPClassUID": data_set.get("SOPClassUID"),
        "MediaStorageSOPInstanceUID": data_set.get("SOPInstanceUID"),
        "TransferSyntaxUID": ExplicitVRLittleEndian,
        "ImplementationClassUID": IMPLEMENTATION_CLASS_UID,
    }
    for keyword, value in expected.items():
        if meta.get(keyword) != value:
            fail(keyword, "PS3.10 7.1", "of the file does not fit the data set")


def _check_policy(data_set: Dataset) -> None:
    """Type 1 has a value, type 2 is present (PS3.5 7.4), and nothing is there that the table does not let out."""
    for rule in RULES.values():
        if rule.type < 3 and rule.keyword not in data_set:
            fail(rule.keyword, rule.clause, f"is missing (type {rule.type})")
        if rule.type == 1 and data_set[rule.keyword].is_empty:
            fail(rule.keyword, rule.clause, "is empty (type 1)")
    for element in data_set:
        kept = RULES.get(element.keyword)
        if kept is None or kept.action is Action.DROPPED:
            fail(element.keyword or str(element.tag), "A.3", "must not be in a derived CT image")


def check_elements(data_set: Dataset, character_sets: Sequence[str] = ()) -> None:
    """VR, VM, length and character set of every value, in items too (PS3.5 6.1, 6.2, 6.4)."""
    character_sets = character_sets or _character_sets(data_set)
    for element in data_set:
        if not element.keyword:
            fail(str(element.tag), "A.3", "is private or unknown and must not leave")
        if element.VR == "SQ":
            _check_items(element, character_sets)
        elif not element.is_empty:
            _check_values(element, character_sets)


def _check_items(element: DataElement, character_sets: Sequence[str]) -> None:
    if not element.value and element.keyword not in MAY_BE_EMPTY:
        fail(element.keyword, "PS3.5 7.5", "is a sequence without items")
    for item in element.value:
        check_elements(item, character_sets)
        if element.keyword.endswith("CodeSequence"):
            for part in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"):
                if not item.get(part):
                    fail(f"{part} in {element.keyword}", "8.8", "is missing or empty (type 1)")


def _check_values(element: DataElement, character_sets: Sequence[str]) -> None:
    keyword, clause = element.keyword, "PS3.5 6.2"
    if dictionary_VR(element.tag) != element.VR and keyword != "PixelData":
        fail(keyword, "PS3.6 6", f"has VR {element.VR}")
    values = element.value if element.VM > 1 else [element.value]
    if not allows_multiplicity(keyword, len(values)):
        fail(keyword, "PS3.6 6", f"has {len(values)} values")
    for value in values if element.VR in _TEXT else ():
        text = str(value)
        try:
            validate_value(element.VR, text, config.RAISE)
        except ValueError:
            fail(keyword, clause, f"holds a value that VR {element.VR} does not allow")
        if element.VR not in {"UT", "UR", "UC"} and len(text) > MAX_VALUE_LEN.get(element.VR, len(text)) * _groups(
            element
        ):
            fail(keyword, clause, f"is longer than VR {element.VR} allows")
        if keyword in ALLOWED and text not in ALLOWED[keyword] | {""}:
            fail(
                keyword, RULES[keyword].clause if keyword in RULES else "C.12.4", "is not one of its enumerated values"
            )
        if not _encodable(text, character_sets):
            fail(keyword, "C.12.1.1.2", "cannot be written in SpecificCharacterSet")


def _groups(element: DataElement) -> int:
    """A person name's limit counts for each of its three component groups."""
    return 3 if element.VR == "PN" else 1


def _character_sets(data_set: Dataset) -> list[str]:
    value = data_set.get("SpecificCharacterSet") or ""
    names = [value] if isinstance(value, str) else list(value)
    if any(name not in python_encoding for name in names):
        fail("SpecificCharacterSet", "C.12.1.1.2", "is not a defined term")
    return names


def _encodable(text: str, character_sets: Sequence[str]) -> bool:
    try:
        text.encode(python_encoding[character_sets[0]])
    except UnicodeEncodeError:
        return False
    return True


def _check_fixed(data_set: Dataset) -> None:
    for keyword, value in FIXED.items():
        if keyword in data_set and data_set[keyword].value != value:
            fail(keyword, RULES[keyword].clause, "is not what a derived CT slice of ours has")
    if not all(value > 0 for keyword in _POSITIVE for value in _numbers(data_set, keyword)):
        fail(" or ".join(_POSITIVE), "C.7.6.2, C.7.6.3, C.11.2", "is not positive")


def _check_conditions(data_set: Dataset) -> None:
    """Type 1C and 2C."""
    part, laterality = data_set.get("BodyPartExamined"), data_set.get("Laterality")
    if (part in UNPAIRED) == (laterality is not None):
        fail("Laterality", "C.7.3.1", "must be present exactly where BodyPartExamined is not known to be unpaired")
    if len(_numbers(data_set, "WindowCenter")) != len(_numbers(data_set, "WindowWidth")):
        fail("WindowWidth", "C.11.2", "does not pair with WindowCenter")
    removed = data_set.get("PatientIdentityRemoved") == "YES"
    if removed and not (data_set.get("DeidentificationMethod") or data_set.get("DeidentificationMethodCodeSequence")):
        fail("DeidentificationMethod", "C.7.1.1", "is missing though PatientIdentityRemoved is YES (type 1C)")
    if "ContrastBolusAgent" not in data_set and any(word.startswith("Contrast") for word in data_set.dir()):
        fail("ContrastBolusAgent", "C.7.6.4", "is missing though the module is present (type 2)")


def _numbers(data_set: Dataset, keyword: str) -> list[float]:
    value = data_set.get(keyword)
    if value is None:
        return []
    return [float(single) for single in (value if data_set[keyword].VM > 1 else [value])]


def _check_geometry(data_set: Dataset) -> None:
    for keyword, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2)):
        numbers = _numbers(data_set, keyword)
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            fail(keyword, "C.7.6.2", f"is not {count} finite numbers")
    row, column = np.reshape(_numbers(data_set, "ImageOrientationPatient"), (2, 3))
    lengths = (float(np.linalg.norm(row)), float(np.linalg.norm(column)))
    if max(abs(length - 1) for length in lengths) > ORTHOGONALITY or abs(float(row @ column)) > ORTHOGONALITY:
        fail("ImageOrientationPatient", "C.7.6.2.1.1", "is not two orthogonal unit vectors")


def _check_pixels(data_set: Dataset) -> None:
    if len(data_set.PixelData) != data_set.Rows * data_set.Columns * 2:
        fail("PixelData", "C.7.6.3", "has not the length that Rows and Columns ask for")


def _check_markings(data_set: Dataset) -> None:
    """Promise P9: nobody takes a derived slice for an original one."""
    check_equipment(data_set)
    if "Not for primary diagnosis" not in str(data_set.get("ImageComments", "")):
        fail("ImageComments", "C.7.6.1", "lacks the notice")
    codes = [(item.CodeValue, item.CodingSchemeDesignator) for item in data_set.DerivationCodeSequence]
    if ("113085", "DCM") not in codes:
        fail("DerivationCodeSequence", "C.7.6.1, CID 7203", "does not say spatial resampling")


def check_equipment(data_set: Dataset) -> None:
    """Whatever belongs to a result names the model that made it, and what it is good for."""
    models = list(_items_with_purpose(data_set, "109102"))
    if len(models) != 1 or not all(models[0].get(word) for word in ("ManufacturerModelName", "DeviceUID")):
        fail("ContributingEquipmentSequence", "C.12.1.1.5", "does not name the model with its DeviceUID")
    if str(models[0].ManufacturerModelName).upper()[:24] not in str(data_set.get("SeriesDescription", "")):
        fail("SeriesDescription", "C.7.3.1", "does not say which model made the series")
    if not data_set.get("ContentQualification"):
        fail("ContentQualification", "C.12.1", "is missing")


def _items_with_purpose(data_set: Dataset, code: str) -> Iterator[Dataset]:
    for item in data_set.ContributingEquipmentSequence:
        purposes = item.get("PurposeOfReferenceCodeSequence") or [Dataset()]
        if purposes[0].get("CodeValue") == code:
            yield item


def _check_references(data_set: Dataset) -> None:
    """The sources are named, all in one series of the same study, and none of their UIDs is used again."""
    sources = [item.get("ReferencedSOPInstanceUID") for item in data_set.SourceImageSequence]
    if any(not item.get("ReferencedSOPClassUID") for item in data_set.SourceImageSequence) or not all(sources):
        fail("SourceImageSequence", "C.12.4.1.1", "has an item without SOP Class or Instance UID")
    if any(item.get("PurposeOfReferenceCodeSequence") is None for item in data_set.SourceImageSequence):
        fail("SourceImageSequence", "C.12.4.1.1", "has an item without purpose")
    if data_set.SOPInstanceUID in sources:
        fail("SOPInstanceUID", "C.12.1.1.1", "is that of a source slice")
    series = data_set.ReferencedSeriesSequence
    if any(item.get("SeriesInstanceUID") in (None, data_set.SeriesInstanceUID) for item in series):
        fail("SeriesInstanceUID", "C.12.2", "is missing among the references or that of the source series")
    listed = [
        one.get("ReferencedSOPInstanceUID") for item in series for one in item.get("ReferencedInstanceSequence", [])
    ]
    if listed != sources:
        fail("ReferencedSeriesSequence", "C.12.2", "does not list the slices of SourceImageSequence")
