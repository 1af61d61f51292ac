"""What every form of a result has in common: identity, equipment, times, a series of its own, and its own judgement.

A *form* is an object that goes with the derived slices, or in their place. Each is built by highdicom from the slices'
headers, without the patient: highdicom would log a name that it finds unusual. `finish` puts the patient in.
"""

from dataclasses import dataclass
from typing import Any

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, LegacyConvertedEnhancedCTImageStorage

from dicom_node.derive.attributes import TABLE
from dicom_node.derive.conformance import check_elements, check_equipment, check_file_meta, fail
from dicom_node.derive.plan import LONGEST_NUMBER, PROGRAM, SeriesPlan, series_description
from dicom_node.derive.values import IDENTITY, clean_value
from dicom_node.settings import DeriveSettings
from dicom_node.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, form_series_uid, form_uid
from sr_engine.volume import ThinVolume

# Modules that every object of a study has (PS3.3 A): taken over as the slices have them.
_MODULES = frozenset(
    {
        "C.7.1.1 Patient",
        "C.7.2.1 General Study",
        "C.7.2.2 Patient Study",
        "C.7.1.3, C.7.2.3 Clinical Trial",
        "C.7.5.1 General Equipment",
        "C.12.1 SOP Common",
    }
)
_OWN = frozenset({"SOPClassUID", "SOPInstanceUID"})
SHARED = tuple(rule.keyword for rule in TABLE if rule.clause in _MODULES and rule.keyword not in _OWN)
_SERIES_TIMES = ("SeriesDate", "SeriesTime")
# Series Number of each form: so many offsets above the slices'.
ORDER = ("enhanced", "report", "notice", "rejection")
_NAMELESS = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")


@dataclass(frozen=True)
class FormSource:
    """What forms are made from.

    Attributes
    ----------
    slices : tuple of Dataset
        Headers of the derived slices by Instance Number, without patient and pixels (``nameless``).
    """

    plan: SeriesPlan
    thin: ThinVolume
    settings: DeriveSettings
    slices: tuple[Dataset, ...]

    @property
    def images(self) -> tuple[Dataset, ...]:
        """Headers of what a PACS will hold of the volume: the slices, else the one enhanced image."""
        return self.slices if "slices" in self.settings.forms else (self._enhanced(),)

    def arguments(self, form: str) -> dict[str, Any]:
        """How highdicom is told of a form's place: a series of its own, of one instance."""
        offset = self.settings.series_number_offset
        number = int(self.plan.shared.SeriesNumber) + offset * (1 + ORDER.index(form))
        return {
            "series_instance_uid": form_series_uid(self.plan.job_key, form),
            "series_number": number if number <= LONGEST_NUMBER else offset,
            "sop_instance_uid": form_uid(self.plan.job_key, form),
            "instance_number": 1,
        }

    def _enhanced(self) -> Dataset:
        header = Dataset()
        header.update(self.slices[0])
        _replace(header, "SOPClassUID", LegacyConvertedEnhancedCTImageStorage)
        _replace(header, "SOPInstanceUID", form_uid(self.plan.job_key, "enhanced"))
        _replace(header, "SeriesInstanceUID", form_series_uid(self.plan.job_key, "enhanced"))
        return header


def nameless(image: Dataset) -> Dataset:
    """Header of a derived slice without patient and pixels, which highdicom may read aloud."""
    header = Dataset()
    header.file_meta = image.file_meta
    header.update(image)
    for keyword in _NAMELESS:
        _replace(header, keyword, None)
    _replace(header, "PixelData", b"")
    return header


def _replace(header: Dataset, keyword: str, value: object) -> None:
    """Set an attribute of a header whose elements are also the slices'."""
    header.pop(keyword, None)
    setattr(header, keyword, value)


def finish(document: Dataset, source: FormSource, form: str) -> Dataset:
    """Put in what all forms share with the slices, and judge the whole.

    Raises
    ------
    ConformanceError
        The form breaks the standard or our markings.
    """
    shared = source.plan.shared
    document.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    document.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    document.pop("ClinicalTrialCoordinatingCenterName", None)  # highdicom writes it, empty, without a trial
    for keyword in (*SHARED, *_SERIES_TIMES, "SyntheticData"):
        document.pop(keyword, None)
        if keyword in shared:
            document[keyword] = shared[keyword]
    for event in ("Content", "PresentationCreation"):
        if f"{event}Date" in document:
            setattr(document, f"{event}Date", shared.ContentDate)
            setattr(document, f"{event}Time", shared.ContentTime)
    spacing, suffix = source.thin.volume.spacing_mm[0], source.settings.description_suffix
    marking = series_description("", source.thin.model, spacing, suffix)
    document.SeriesDescription = f"{marking} {form.upper()}"[:64].rstrip()
    _check(document, source)
    return document


def _check(document: Dataset, source: FormSource) -> None:
    """What our own judge says of slices, as far as it applies: encoding, identity, markings."""
    check_file_meta(document)
    check_elements(document)
    check_equipment(document)
    if document.get("Manufacturer") != PROGRAM or not document.get("SoftwareVersions"):
        fail("Manufacturer", "C.7.5.1", "does not name this program and its version")
    for keyword in sorted(IDENTITY & set(SHARED)):
        if (document.get(keyword) or None) != clean_value(source.plan.sources[0], keyword):
            fail(keyword, "C.7.1.1, C.7.2.1", "is not the source's")
    if document.SeriesInstanceUID in {source.plan.source_series_uid, source.plan.shared.SeriesInstanceUID}:
        fail("SeriesInstanceUID", "C.7.3.1", "is that of other images")


def observer(plan: SeriesPlan) -> hd.sr.ObserverContext:
    """This node as the device that observed (PS3.16 TID 1002, TID 1004)."""
    shared = plan.shared
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=shared.InstanceCreatorUID,
        name=PROGRAM,
        manufacturer_name=shared.Manufacturer,
        model_name=shared.ManufacturerModelName,
        serial_number=shared.DeviceSerialNumber,
    )
    return hd.sr.ObserverContext(codes.DCM.Device, device)
