"""What all slices of one derived series share, worked out once: copied attributes, markings, equipment, times."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage

from dicom_node.derive import pixels
from dicom_node.derive.inherit import inherited_attributes
from dicom_node.derive.places import decimal
from dicom_node.derive.values import clean_value
from dicom_node.errors import InputError
from dicom_node.records import ThickSeries
from dicom_node.settings import DeriveSettings
from dicom_node.uid import derived_uid, series_uid
from sr_engine.volume import ModelIdentity, ThinVolume

PROGRAM = "thinslice"
NOTICE = "Not for primary diagnosis."
LONGEST_NUMBER = 2**31 - 1
_SCANNER = (
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DeviceSerialNumber",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "InstitutionAddress",
    "StationName",
)


@dataclass(frozen=True)
class SeriesPlan:
    """What all slices of one derived series share.

    Attributes
    ----------
    shared : Dataset
        Attributes with the same value in every slice.
    sources : tuple of Dataset
        The thick slices' data sets in stack order.
    """

    job_key: str
    source_series_uid: str
    shared: Dataset
    sources: tuple[Dataset, ...]


def series_plan(
    sources: Sequence[Dataset],
    thick: ThickSeries,
    thin: ThinVolume,
    job_key: str,
    settings: DeriveSettings,
    now: datetime,
) -> SeriesPlan:
    """What all slices of the derived series share.

    Parameters
    ----------
    sources : sequence of Dataset
        The thick slices' data sets in stack order; left unchanged and not shared.
    job_key : str
        Makes the UIDs: the same key, the same UIDs.
    now : datetime
        Aware; every date and time of the series is this one, in the source's Timezone Offset From UTC where it has one.

    Raises
    ------
    InputError
        An identifier of the source breaks the standard or is missing.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware: pass datetime.now(timezone.utc) or a local time with its zone")
    shared = inherited_attributes(sources)
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if keyword not in shared:
            raise InputError(f"The source has no {keyword}, which a derived CT series must share with it")
    _set_times(shared, now)
    _set_series(shared, sources[0], thin, job_key, settings)
    _set_equipment(shared, sources[0], thin.model, settings, now)
    _set_image(shared, sources[0], thick, thin)
    # PS3.3 C.12.1.1.2: plain ASCII needs no character set; ISO_IR 192 writes every other script.
    shared.SpecificCharacterSet = "ISO_IR 100" if _is_ascii(shared) else "ISO_IR 192"
    return SeriesPlan(job_key, thick.slices[0].series_instance_uid, shared, tuple(sources))


def series_description(source: str, model: ModelIdentity, spacing_mm: float, suffix: str) -> str:
    """SeriesDescription of at most 64 characters (LO): the source's gives way, the marking never does (promise P9)."""
    marking = f"{model.title.upper()[:24]} {spacing_mm:.4g}mm {suffix if model.learned else 'DERIVED'}"
    if "." not in f"{spacing_mm:.4g}":
        marking = marking.replace(f"{spacing_mm:.4g}mm", f"{spacing_mm:.1f}mm")
    return f"{source[: 63 - len(marking)].rstrip()} {marking}".strip()


def _set_times(shared: Dataset, now: datetime) -> None:
    offset = str(shared.get("TimezoneOffsetFromUTC", ""))
    if re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", offset):
        minutes = int(offset[1:3]) * 60 + int(offset[3:])
        now = now.astimezone(timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes)))
    else:
        shared.pop("TimezoneOffsetFromUTC", None)
    for event in ("InstanceCreation", "Series", "Content"):
        setattr(shared, f"{event}Date", now.strftime("%Y%m%d"))
        setattr(shared, f"{event}Time", now.strftime("%H%M%S.%f"))


def _set_series(shared: Dataset, source: Dataset, thin: ThinVolume, job_key: str, settings: DeriveSettings) -> None:
    shared.SeriesInstanceUID = series_uid(job_key)
    number = int(clean_value(source, "SeriesNumber") or 0) + settings.series_number_offset
    shared.SeriesNumber = number if 1 <= number <= LONGEST_NUMBER else settings.series_number_offset
    description = clean_value(source, "SeriesDescription") or ""
    spacing = thin.volume.spacing_mm[0]
    shared.SeriesDescription = series_description(description, thin.model, spacing, settings.description_suffix)
    shared.ContentQualification = settings.content_qualification


def _set_equipment(
    shared: Dataset, source: Dataset, model: ModelIdentity, settings: DeriveSettings, now: datetime
) -> None:
    """PS3.3 C.7.5.1 names this program; C.12.1.1.5 names the scanner and the model."""
    shared.Manufacturer = PROGRAM
    shared.ManufacturerModelName = PROGRAM
    shared.SoftwareVersions = version(PROGRAM)
    shared.DeviceSerialNumber = settings.institution_serial_number
    shared.InstanceCreatorUID = derived_uid("device", settings.institution_serial_number)
    scanner = Dataset()
    scanner.SOPClassUID = CTImageStorage
    for keyword in _SCANNER:
        value = clean_value(source, keyword)
        if value is not None:
            setattr(scanner, keyword, value)
    item = hd.ContributingEquipment(
        PROGRAM,
        codes.DCM.ProcessingEquipment,
        manufacturer_model_name=model.title[:64],
        software_versions=[model.version[:64]],
        contribution_datetime=now.strftime("%Y%m%d%H%M%S%z"),
        contribution_description="Through-plane super-resolution" if model.learned else "Through-plane interpolation",
    )
    # IHE AIR: whoever changes the model changes this UID, so it follows from the weights' digest.
    item.DeviceUID = derived_uid("model", model.digest)
    known = [hd.ContributingEquipment.for_image_acquisition(scanner)] if "Manufacturer" in scanner else []
    shared.ContributingEquipmentSequence = [*known, item]


def _set_image(shared: Dataset, source: Dataset, thick: ThickSeries, thin: ThinVolume) -> None:
    header = thick.slices[0]
    if header.pixel_spacing is None or header.orientation is None:
        raise InputError(
            "The source has no PixelSpacing or ImageOrientationPatient, without which no slice has a place"
        )
    shared.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    shared.DerivationDescription = _derivation(thick, thin)
    shared.DerivationCodeSequence = [hd.sr.CodedConcept.from_code(codes.DCM.SpatialResampling)]
    shared.PixelSpacing = [decimal(value) for value in header.pixel_spacing]
    shared.ImageOrientationPatient = [decimal(value) for value in header.orientation]
    shared.SliceThickness = decimal(thin.volume.slice_thickness_mm)
    shared.SpacingBetweenSlices = decimal(thin.volume.spacing_mm[0])
    shared.SamplesPerPixel = 1
    shared.PhotometricInterpretation = "MONOCHROME2"
    shared.Rows, shared.Columns = thin.volume.voxels.shape[1:]
    shared.BitsAllocated = shared.BitsStored = pixels.BITS
    shared.HighBit = pixels.BITS - 1
    shared.PixelRepresentation = 1
    shared.RescaleSlope, shared.RescaleIntercept = pixels.RESCALE_SLOPE, pixels.RESCALE_INTERCEPT
    shared.RescaleType = "HU"
    centers, widths, explanations = pixels.window(source)
    shared.WindowCenter, shared.WindowWidth = list(centers), list(widths)
    if explanations:
        shared.WindowCenterWidthExplanation = list(explanations)


def _derivation(thick: ThickSeries, thin: ThinVolume) -> str:
    """DerivationDescription (ST, at most 1024 characters)."""
    model = thin.model
    tilt = f", leaning {thick.shear_deg:.1f} degrees as in the source" if thick.shear_deg else ""
    means = "a neural network (artificial intelligence)" if model.learned else "interpolation (no learned model)"
    return (
        f"{len(thin.origins)} slices every {thin.volume.spacing_mm[0]:.4g} mm computed from {len(thick.slices)} slices "
        f"of {thick.slice_thickness_mm:.4g} mm every {thick.step_mm:.4g} mm{tilt} by {means}: {model.title[:64]} "
        f"{model.version[:64]}, digest {model.digest[:64]}. "
        f"Detail between the source slices is estimated, not measured. {NOTICE}"
    )


def _is_ascii(data_set: Dataset) -> bool:
    return all(str(element.value).isascii() for element in data_set.iterall() if element.VR != "SQ")
