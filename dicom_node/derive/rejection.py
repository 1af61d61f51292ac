"""A note that an earlier result was replaced: a Key Object Selection by which a PACS hides it (IHE RAD IOCM, RAD-66).

Its title is (113001, DCM, "Rejected for Quality Reasons"): the earlier series was made from an incomplete or altered
source, so its images must not be read, but may be kept. Of IOCM's other titles, (113037) speaks of harm and (113038) of
the wrong patient or order, and (113039) "Data Retention Policy Expired" says that the images may be destroyed.
"""

from collections.abc import Iterator, Sequence

from highdicom import ko
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import (
    Comprehensive3DSRStorage,
    CTImageStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from dicom_node.derive.form import FormSource, finish, observer
from dicom_node.derive.plan import PROGRAM, SeriesPlan
from dicom_node.records import ReplacedResult
from dicom_node.uid import derived_uid, form_series_uid, form_uid, instance_uid, series_uid

_CLASSES = {
    "enhanced": LegacyConvertedEnhancedCTImageStorage,
    "report": Comprehensive3DSRStorage,
    "notice": GrayscaleSoftcopyPresentationStateStorage,
}
_IMAGES = frozenset({CTImageStorage, LegacyConvertedEnhancedCTImageStorage})
_TYPE_2 = (
    "PatientName PatientID PatientBirthDate PatientSex AccessionNumber StudyID StudyDate StudyTime "
    "ReferringPhysicianName SpecificCharacterSet"
)
DESCRIPTION = "Replaced: images of the source series came later, and a newer derived series was made from all of them."


def rejection_note(source: FormSource, replaced: Sequence[ReplacedResult]) -> Dataset | None:
    """The note on every instance of the replaced results; None where none of these is known.

    Its UID follows from the job and from what is rejected, so that another note is another instance.
    """
    rejected = [item for result in replaced for item in _instances(result, source.plan)]
    if not rejected:
        return None
    arguments = source.arguments("rejection")
    uids = [str(item.SOPInstanceUID) for item in rejected]
    arguments["sop_instance_uid"] = derived_uid("rejection", source.plan.job_key, *uids)
    content = ko.KeyObjectSelection(
        document_title=codes.DCM.RejectedForQualityReasons,
        referenced_objects=rejected,
        observer_device_context=observer(source.plan),
        description=DESCRIPTION,
    )
    document = ko.KeyObjectSelectionDocument(rejected, content, **arguments, manufacturer=PROGRAM)
    return finish(document, source, "rejection")


def _instances(result: ReplacedResult, plan: SeriesPlan) -> Iterator[Dataset]:
    """What a PACS may have of a result, as far as it is to be hidden: an earlier rejection note is not."""
    key = result.job_key
    known = {instance_uid(key, index): (CTImageStorage, series_uid(key)) for index in range(result.thin_slices)}
    known |= {form_uid(key, form): (kind, form_series_uid(key, form)) for form, kind in _CLASSES.items()}
    for uid in result.sop_instance_uids:
        if uid in known:
            yield _evidence(uid, *known[uid], plan)


def _evidence(uid: str, kind: str, series: str, plan: SeriesPlan) -> Dataset:
    """As much of an instance as highdicom asks for."""
    item = Dataset()
    for keyword in _TYPE_2.split():
        setattr(item, keyword, None)
    item.SOPClassUID, item.SOPInstanceUID = kind, uid
    item.SeriesInstanceUID, item.StudyInstanceUID = series, plan.shared.StudyInstanceUID
    if kind in _IMAGES:  # by these highdicom tells an image from another composite object
        item.Rows, item.Columns = plan.shared.Rows, plan.shared.Columns
    return item
