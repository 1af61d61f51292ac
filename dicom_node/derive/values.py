"""Values as scanners write them, made into values as PS3.5 6.2 allows them, or left out.

Nothing is guessed: a value is trimmed, put into the notation its VR demands, or dropped. Names, identifiers and UIDs
say whose image it is, so they are never altered: one that breaks the standard is an InputError.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.valuerep import MAX_VALUE_LEN, format_number_as_ds, validate_value

from dicom_node.errors import InputError

# Identity: one character lost here may show one patient's images under another's name.
IDENTITY = frozenset(
    {
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "StudyInstanceUID",
        "FrameOfReferenceUID",
        "SOPClassUID",
        "SOPInstanceUID",
        "SeriesInstanceUID",
    }
)
# Enumerated values of the attributes that we copy (PS3.3). Another value is dropped.
ENUMERATED: Mapping[str, frozenset[str]] = {
    "PatientSex": frozenset("MFO"),
    "PatientSexNeutered": frozenset({"ALTERED", "UNALTERED"}),
    "PatientIdentityRemoved": frozenset({"YES", "NO"}),
    "AnatomicalOrientationType": frozenset({"BIPED", "QUADRUPED"}),
    "BurnedInAnnotation": frozenset({"YES", "NO"}),
    "RecognizableVisualFeatures": frozenset({"YES", "NO"}),
    "SyntheticData": frozenset({"YES", "NO"}),
    "LossyImageCompression": frozenset({"00", "01"}),
    "LongitudinalTemporalInformationModified": frozenset({"UNMODIFIED", "MODIFIED", "REMOVED"}),
    "RotationDirection": frozenset({"CW", "CC"}),
    "Laterality": frozenset("RL"),
}
_ONE_LINE = frozenset({"LO", "PN", "SH", "UC"})
_LONG_TEXT = frozenset({"LT", "ST", "UT"})
_NUMBERS = frozenset({"FD", "FL", "SL", "SS", "UL", "US"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_EXCEPT_BREAKS = re.compile(r"[\x00-\x09\x0b\x0e-\x1f\x7f]")


class UnusableError(ValueError):
    """A value that no trimming makes legal."""


def clean_value(source: Dataset, keyword: str) -> Any:
    """Value of one attribute, legal for its VR and VM; None where it is absent, empty or beyond repair.

    Parameters
    ----------
    source : Dataset
        Left unchanged; what comes back shares nothing with it.
    keyword : str
        DICOM keyword of the attribute.

    Raises
    ------
    InputError
        An attribute of IDENTITY breaks the standard.
    """
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in source:
        return None
    try:
        return _clean(keyword, source[tag].value)
    except (ValueError, TypeError, OverflowError, NotImplementedError, AttributeError):
        if keyword in IDENTITY:
            raise InputError(
                f"{keyword} of the source breaks DICOM PS3.5 6.2 and cannot be altered safely: mend it at its origin"
            ) from None
        return None


def _clean(keyword: str, value: Any) -> Any:
    representation = dictionary_VR(keyword)
    if representation == "SQ":
        return _clean_items(value)
    if value is None:
        return None
    values = list(value) if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
    cleaned = [_clean_one(keyword, representation, single) for single in values]
    if all(single in ("", None) for single in cleaned):
        return None
    if not allows_multiplicity(keyword, len(cleaned)):
        raise UnusableError(f"{keyword} has {len(cleaned)} values")
    return cleaned if len(cleaned) > 1 else cleaned[0]


def _clean_items(value: Any) -> ItemSequence | None:
    """Items with their own values cleaned; private elements and empty items are left out."""
    items = []
    for source in value:
        item = Dataset()
        for keyword in source.dir():
            cleaned = clean_value(source, keyword)
            if cleaned is not None:
                setattr(item, keyword, cleaned)
        if len(item) and _is_whole_code(item):
            items.append(item)
    return ItemSequence(items) if items else None


def _is_whole_code(item: Dataset) -> bool:
    """False for a coded entry without its value, scheme or meaning (PS3.3 8.8)."""
    parts = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    present = [part in item for part in parts]
    return all(present) or not any(present)


def _clean_one(keyword: str, representation: str, value: Any) -> Any:
    if representation in _NUMBERS:
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise UnusableError("not a finite number")
        return value
    text = str(value)
    if keyword in IDENTITY:
        text = text.rstrip("\0 ")
    else:
        text = _REPAIRS.get(representation, str.strip)(_plain_text(representation, text))
    if keyword in ENUMERATED and text and text not in ENUMERATED[keyword]:
        raise UnusableError("not an enumerated value")
    if representation not in MAX_VALUE_LEN and representation not in _REPAIRS and representation not in _KNOWN:
        raise UnusableError(f"{representation} is not copied")
    validate_value(representation, text, config.RAISE)
    return text


def _plain_text(representation: str, text: str) -> str:
    """``text`` without padding and control characters, cut to what its VR holds (PS3.5 Table 6.2-1)."""
    if representation in _LONG_TEXT:
        text = _CONTROL_EXCEPT_BREAKS.sub(" ", text).rstrip()
    elif representation in _ONE_LINE:
        text = _CONTROL.sub(" ", text).strip()
    else:
        return text.strip("\0 ")
    return text[: MAX_VALUE_LEN.get(representation, len(text))].rstrip()


def _repair_age(text: str) -> str:
    return text.zfill(4) if text else text


def _repair_date(text: str) -> str:
    """ACR-NEMA wrote 1998.09.19."""
    return text.replace(".", "") if re.fullmatch(r"\d{4}\.\d{2}\.\d{2}", text) else text


def _repair_decimal(text: str) -> str:
    if not text:
        return text
    number = float(text)
    if not math.isfinite(number):
        raise UnusableError("not a finite number")
    return text if len(text) <= MAX_VALUE_LEN["DS"] else format_number_as_ds(number)


def _repair_integer(text: str) -> str:
    number = float(text) if text else 0.0
    if not number.is_integer() or not -(2**31) <= number < 2**31:
        raise UnusableError("not an integer string")
    return str(int(number)) if text else text


_REPAIRS: Mapping[str, Callable[[str], str]] = {
    "AS": _repair_age,
    "CS": str.upper,
    "DA": _repair_date,
    "DS": _repair_decimal,
    "IS": _repair_integer,
}
_KNOWN = _ONE_LINE | _LONG_TEXT | {"DT", "TM", "UI", "UR"}


def allows_multiplicity(keyword: str, count: int) -> bool:
    """Whether PS3.6 lets an attribute have ``count`` values."""
    low, _, high = dictionary_VM(keyword).partition("-")
    if not high:
        return count == int(low)
    step = int(high[:-1] or 1) if high.endswith("n") else 1
    if count < int(low):
        return False
    return count % step == 0 if high.endswith("n") else count <= int(high)
