"""Whose images these are: read from a kept file at the moment when somebody may see it, and kept nowhere."""

from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from dicom_node.errors import UnreadableInstance
from dicom_node.series.elements import Elements
from dicom_node.series.headers import read_file_meta

# In the order in which people read them (PS3.3 C.7.1.1, C.7.2.1).
SHOWN = {
    "Name": "PatientName", "Patient ID": "PatientID", "Born": "PatientBirthDate", "Sex": "PatientSex",
    "Accession number": "AccessionNumber", "Study date": "StudyDate", "Study": "StudyDescription",
}  # fmt: skip
LONGEST = 324  # letters: what a name may have in its three groups (PS3.5 6.2) is less than twice that


@dataclass(frozen=True)
class Patient:
    """What a file says of its patient, for a person's eyes alone; ``facts`` by what people call them."""

    facts: dict[str, str]

    def __repr__(self) -> str:
        """Nothing: a log or a traceback may show it."""
        return "Patient()"


def read_patient(path: Path) -> Patient:
    """Whose image a Part 10 file is, in its own character set; what is missing is empty.

    Raises
    ------
    UnreadableInstance
        The file cannot be parsed; the sentence holds no patient data.
    """
    try:
        with path.open("rb") as file:
            read_file_meta(file)
            file.seek(0)
            wanted = ["SpecificCharacterSet", *SHOWN.values()]
            elements = Elements(dcmread(file, stop_before_pixels=True, specific_tags=wanted))
        return Patient({called: _shown(keyword, elements.text(keyword)) for called, keyword in SHOWN.items()})
    except UnreadableInstance:
        raise
    except Exception as error:  # noqa: BLE001  the cause may quote patient data
        raise UnreadableInstance(f"the data set cannot be parsed ({type(error).__name__})") from None


def _shown(keyword: str, text: str) -> str:
    if keyword == "PatientName":
        text = _person(text)
    elif keyword.endswith("Date") and len(text) == 8 and text.isdecimal():
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    # Nothing that a terminal or a page would obey, such as a change of the writing direction.
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:LONGEST])


def _person(name: str) -> str:
    """A Person Name for people (PS3.5 6.2.1): in Latin letters, then in its own and how they are spoken."""
    groups = (" ".join(group.replace("^", " ").split()) for group in name.split("="))
    first, *others = [group for group in groups if group] or [""]
    return f"{first} ({', '.join(others)})" if others else first
