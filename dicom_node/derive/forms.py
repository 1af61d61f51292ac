"""Every form of a result that the settings ask for, beside the slices: built, judged and written."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from dicom_node import durable
from dicom_node.derive.enhanced import enhanced_image
from dicom_node.derive.form import FormSource
from dicom_node.derive.notice import notice
from dicom_node.derive.rejection import rejection_note
from dicom_node.derive.report import report
from dicom_node.errors import ConformanceError
from dicom_node.records import DerivedInstance, ReplacedResult

MAKERS: Mapping[str, Callable[[FormSource], Dataset]] = {
    "enhanced": enhanced_image,
    "report": report,
    "notice": notice,
}


def write_forms(source: FormSource, replaced: Sequence[ReplacedResult], folder: Path) -> tuple[DerivedInstance, ...]:
    """Write the forms of ``source.settings`` and, where results were replaced, a rejection note: ``enhanced.dcm`` ...

    Raises
    ------
    ConformanceError
        A form cannot be made, or breaks the standard: the folder must not be used.
    """
    written = []
    for form, make in MAKERS.items():
        if form in source.settings.forms:
            written.append(_write(_made(form, make, source), folder / f"{form}.dcm"))
    note = _made("rejection", rejection_note, source, replaced)
    if note is not None:
        written.append(_write(note, folder / "rejection.dcm"))
    return tuple(written)


def _made(form: str, make: Callable[..., Any], *arguments: object) -> Any:
    """What ``make`` makes. highdicom's own errors may quote values, which may be the patient's."""
    try:
        return make(*arguments)
    except (ValueError, TypeError, AttributeError, LookupError, RuntimeError) as error:
        raise ConformanceError(
            f"The form {form!r} cannot be made of this series ({type(error).__name__}): [derive] can do without it"
        ) from error


def _write(document: Dataset, path: Path) -> DerivedInstance:
    with durable.synced(path) as file:
        document.save_as(file, enforce_file_format=True)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    identity = (str(document.SOPClassUID), str(document.SOPInstanceUID), str(document.SeriesInstanceUID))
    return DerivedInstance(*identity, path, digest)
