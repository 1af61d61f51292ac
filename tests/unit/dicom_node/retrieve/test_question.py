"""What may be asked, and what of the answers is believed."""

from collections.abc import Callable

import pytest
from pydicom import Dataset

from dicom_node.errors import InputError
from dicom_node.retrieve.question import Question, find_images, find_series
from tests.unit.dicom_node.retrieve.archive import Archive, slices

THICK = slices(3)
OTHERS = slices(
    2, series="b", SeriesDescription="LUNG 1.0", PatientID="P2", StudyInstanceUID="1.2.3", StudyDate="20230101"
)


def asking(archive: Archive) -> Callable[[Dataset, int], list[Dataset]]:
    """Asks an archive without a network."""
    return lambda keys, _maximum: [answer for _, answer in archive.answers(keys) if answer is not None]


def everything(keys: Dataset, _maximum: int) -> list[Dataset]:
    """A PACS that answers with all it has, whatever it is asked."""
    return [image for image in [*THICK, *OTHERS] if keys.QueryRetrieveLevel]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"description": "CHEST"},
        {"series_uid": "1.2.3"},
        {"patient_id": "P*"},
        {"patient_id": "P?"},
        {"patient_id": "P1\\P2"},
        {"accession": "*"},
        {"study_uid": "1.2.*"},
        {"date": "2024"},
        {"date": "20240101-x"},
        {"patient_id": "P1", "modality": "*"},
    ],
)
def test_a_question_that_would_mean_too_much_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(InputError):
        Question(**values)


def test_a_question_does_not_show_whom_it_is_about() -> None:
    assert "P1" not in repr(Question(patient_id="P1", accession="P1"))


@pytest.mark.parametrize("date", ["", "20240301", "20240101-20240401", "20240101-", "-20240401"])
def test_a_series_is_found_by_patient_and_date(date: str) -> None:
    (found,) = find_series(asking(Archive(THICK + OTHERS)), Question(patient_id="P1", date=date), 10)
    assert (found.series_uid, found.description, found.study_date) == (THICK[0].SeriesInstanceUID, "THICK", "20240301")


@pytest.mark.parametrize(
    "question",
    [
        Question(patient_id="P1"),
        Question(study_uid=str(THICK[0].StudyInstanceUID)),
        Question(date="20240301"),
        Question(patient_id="P1", series_uid=str(THICK[0].SeriesInstanceUID)),
    ],
)
def test_a_pacs_that_ignores_its_keys_gives_nobody_elses_series(question: Question) -> None:
    assert {found.series_uid for found in find_series(everything, question, 10)} == {THICK[0].SeriesInstanceUID}


@pytest.mark.parametrize(
    ("pattern", "is_found"),
    [("thick", True), ("THI*", True), ("?HICK", True), ("chest", True), ("HIC*", False), ("lung", False)],
)
def test_a_description_is_a_part_or_a_pattern_of_study_or_series(pattern: str, is_found: bool) -> None:
    question = Question(patient_id="P1", description=pattern)
    assert bool(find_series(asking(Archive(THICK)), question, 10)) is is_found


def test_a_description_is_shown_in_any_script_and_without_what_moves_the_cursor() -> None:
    image = slices(1, SpecificCharacterSet="ISO_IR 192", SeriesDescription="Thorax nüchtern\x1b[2J 肺")
    (found,) = find_series(asking(Archive(image)), Question(patient_id="P1", description="NÜCHTERN"), 10)
    assert found.description == "Thorax nüchtern[2J 肺"


@pytest.mark.parametrize(("patient_id", "expected"), [("P1", None), ("П1", "ISO_IR 192")])
def test_keys_say_how_they_are_written(patient_id: str, expected: str | None) -> None:
    asked: list[str | None] = []

    def nothing(keys: Dataset, _maximum: int) -> list[Dataset]:
        asked.append(keys.get("SpecificCharacterSet"))
        return []

    find_series(nothing, Question(patient_id=patient_id), 10)
    assert asked == [expected]


def test_more_series_than_allowed_are_too_many() -> None:
    many = [slices(1, series=f"s{number}")[0] for number in range(4)]
    assert len(find_series(asking(Archive(many)), Question(patient_id="P1"), 4)) == 4
    with pytest.raises(InputError, match=r"\[pull\]\.maximum_series = 3"):
        find_series(asking(Archive(many)), Question(patient_id="P1"), 3)


def test_images_are_told_apart() -> None:
    archive = Archive(slices(2) + slices(1, series="c", SeriesInstanceUID=THICK[0].SeriesInstanceUID))
    archive.images[1].ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    archive.images[2].ManufacturerModelName = "thinslice"
    (series,) = find_series(asking(archive), Question(patient_id="P1"), 10)
    images = find_images(asking(archive), series, 10)
    assert [image.is_wanted for image in images] == [True, False, False]
    assert [(image.size, image.thickness_mm) for image in images[:1]] == [(8 * 8 * 2, 5.0)]
