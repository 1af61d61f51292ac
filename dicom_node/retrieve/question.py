"""What a person asks a PACS for, and what it answers; the same for C-FIND and QIDO-RS."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol

from pydicom import Dataset
from pydicom.uid import CTImageStorage

from dicom_node.errors import InputError
from dicom_node.retrieve.intake import Intake
from dicom_node.series.elements import Elements, readable
from dicom_node.series.eligibility import is_derived
from dicom_node.series.headers import OUR_MODEL
from dicom_node.uid import PLAIN_UID

DATES = re.compile(r"\d{8}(-(\d{8})?)?|-\d{8}")
MATCHING = re.compile(r"[*?\\\0-\x1f]")  # what would match more than itself (PS3.4 C.2.2.2.4)
# More studies, or series of one study, than a person asks for.
ANSWERS_AT_MOST = 1000
USUAL_IMAGE_BYTES = 512 * 512 * 2

Ask = Callable[[Dataset, int], list[Dataset]]
"""Sends an identifier with its QueryRetrieveLevel; gives the answers. InputError where there are more than so many."""


@dataclass(frozen=True)
class Question:
    """Which series; what is empty is not asked for. InputError where a value is no such value.

    Attributes
    ----------
    patient_id : str
        Never logged, never kept.
    date : str
        StudyDate as PS3.5 6.2 writes it, or a range of two.
    description : str
        Pattern for StudyDescription or SeriesDescription; without ``*`` and ``?``, a part of it. Upper and lower case
        are the same.
    """

    patient_id: str = field(default="", repr=False)
    study_uid: str = ""
    series_uid: str = ""
    accession: str = field(default="", repr=False)
    date: str = ""
    modality: str = "CT"
    description: str = ""

    def __post_init__(self) -> None:
        if not (self.patient_id or self.study_uid or self.accession or self.date):
            raise InputError("say of whom or when: a patient ID, a study UID, an accession number or a date is needed")
        if any(uid and not PLAIN_UID.fullmatch(uid) for uid in (self.study_uid, self.series_uid)):
            raise InputError("a study or series UID is digits and dots, 64 at most")
        if self.date and not DATES.fullmatch(self.date):
            raise InputError("a date is YYYYMMDD, or a range YYYYMMDD-YYYYMMDD")
        if any(MATCHING.search(text) for text in (self.patient_id, self.accession, self.modality)):
            raise InputError("a patient ID, accession number or modality is asked for as it is: without * ? and \\")


@dataclass(frozen=True)
class FoundSeries:
    """A series that a PACS has. Texts are the PACS's, made safe to print; ``images`` is how many, or None."""

    study_uid: str
    series_uid: str
    study_date: str
    modality: str
    study_description: str
    description: str
    images: int | None


@dataclass(frozen=True)
class FoundImage:
    """An image that a PACS has. What it does not tell is empty or None."""

    sop_uid: str
    sop_class_uid: str
    image_type: tuple[str, ...]
    by_us: bool
    thickness_mm: float | None
    size: int

    @property
    def is_wanted(self) -> bool:
        """An original CT image, as far as the PACS tells."""
        return self.sop_class_uid in ("", CTImageStorage) and not is_derived(self.image_type) and not self.by_us


class Source(Protocol):
    """A PACS that series are pulled from, one way or another. It raises DestinationError and DestinationRefused."""

    name: str
    way: str

    def asking(self) -> AbstractContextManager[Ask]:
        """A way to ask it, open for several questions."""

    def fetch(self, series: FoundSeries, intake: Intake) -> Iterator[int]:
        """Have it send what the intake asks for; gives now and then how many images have come."""


def find_series(ask: Ask, question: Question, maximum: int) -> list[FoundSeries]:
    """The series that a question means, study by study. InputError where there are more than ``maximum``."""
    found: dict[str, FoundSeries] = {}
    for study in ask(_study_level(question), ANSWERS_AT_MOST):
        uid = Elements(study).text("StudyInstanceUID")
        if not PLAIN_UID.fullmatch(uid) or not _is_meant(study, question):
            continue
        for answer in ask(_series_level(uid, question), ANSWERS_AT_MOST):
            series = _found_series(study, answer)
            if series.study_uid == uid and _is_wanted(series, question):
                found[series.series_uid] = series
        if len(found) > maximum:
            raise InputError(f"more series than [pull].maximum_series = {maximum}: ask more narrowly, or raise it")
    return list(found.values())


def find_images(ask: Ask, series: FoundSeries, maximum: int) -> list[FoundImage]:
    """Every image of a series. InputError where there are more than ``maximum``."""
    found = {}
    for answer in ask(_image_level(series), maximum):
        elements = Elements(answer)
        uid = elements.text("SOPInstanceUID")
        if PLAIN_UID.fullmatch(uid) and elements.text("SeriesInstanceUID") in ("", series.series_uid):
            found[uid] = _found_image(uid, elements)
    return list(found.values())


def _study_level(question: Question) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    keys.PatientID, keys.AccessionNumber = question.patient_id, question.accession
    keys.StudyInstanceUID, keys.StudyDate, keys.StudyDescription = question.study_uid, question.date, ""
    if not (question.patient_id + question.accession).isascii():
        keys.SpecificCharacterSet = "ISO_IR 192"  # says how the keys themselves are written (PS3.4 C.4.1.1.3.1)
    return keys


def _series_level(study_uid: str, question: Question) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = "SERIES"
    keys.StudyInstanceUID, keys.SeriesInstanceUID = study_uid, question.series_uid
    keys.Modality, keys.SeriesDescription, keys.NumberOfSeriesRelatedInstances = question.modality, "", None
    return keys


def _image_level(series: FoundSeries) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = "IMAGE"
    keys.StudyInstanceUID, keys.SeriesInstanceUID = series.study_uid, series.series_uid
    keys.SOPInstanceUID = keys.SOPClassUID = keys.ImageType = keys.ManufacturerModelName = ""
    keys.SliceThickness = keys.Rows = keys.Columns = None
    return keys


def _is_meant(study: Dataset, question: Question) -> bool:
    """Some PACSs answer with what they have, whatever they are asked: nobody else's studies are pulled."""
    elements = Elements(study)
    asked = {
        "PatientID": question.patient_id,
        "AccessionNumber": question.accession,
        "StudyInstanceUID": question.study_uid,
    }
    answers = {keyword: elements.text(keyword) for keyword in asked}
    same = all(not answers[key] or not value or answers[key] == value.strip() for key, value in asked.items())
    first, dash, last = question.date.partition("-")
    day = elements.text("StudyDate")
    return same and (not question.date or not day or first <= day <= (last or ("9" if dash else first)))


def _is_wanted(series: FoundSeries, question: Question) -> bool:
    if not PLAIN_UID.fullmatch(series.series_uid) or question.series_uid not in ("", series.series_uid):
        return False
    if question.modality and series.modality not in ("", question.modality):
        return False
    pattern = question.description.casefold()
    if not set(pattern) & set("*?"):
        pattern = f"*{pattern}*"
    return any(fnmatchcase(text.casefold(), pattern) for text in (series.study_description, series.description))


def _found_series(study: Dataset, answer: Dataset) -> FoundSeries:
    whole, part = Elements(study), Elements(answer)
    return FoundSeries(
        study_uid=part.text("StudyInstanceUID") or whole.text("StudyInstanceUID"),
        series_uid=part.text("SeriesInstanceUID"),
        study_date=readable(whole.text("StudyDate")),
        modality=readable(part.text("Modality")),
        study_description=_printable(whole.text("StudyDescription")),
        description=_printable(part.text("SeriesDescription")),
        images=part.whole("NumberOfSeriesRelatedInstances"),
    )


def _printable(text: str) -> str:
    """Text for a terminal, in any script, as long as an LO may be."""
    return "".join(letter for letter in text if letter.isprintable())[:64]


def _found_image(uid: str, elements: Elements) -> FoundImage:
    rows, columns = elements.whole("Rows") or 0, elements.whole("Columns") or 0
    return FoundImage(
        sop_uid=uid,
        sop_class_uid=elements.text("SOPClassUID"),
        image_type=tuple(value.upper() for value in elements.texts("ImageType")),
        by_us=OUR_MODEL in elements.text("ManufacturerModelName").lower(),
        thickness_mm=elements.number("SliceThickness"),
        size=rows * columns * 2 or USUAL_IMAGE_BYTES,
    )
