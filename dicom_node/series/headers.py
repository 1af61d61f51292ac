"""Reading what the series room needs of one instance, and of a folder. Pixels are never touched here."""

import hashlib
import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_preamble
from pydicom.uid import UID, MediaStorageDirectoryStorage

from dicom_node.errors import UnreadableInstance
from dicom_node.records import SliceHeader
from dicom_node.series.elements import Elements
from dicom_node.transfer_syntaxes import TRANSFER_SYNTAXES

IDENTITY = ("SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID")
FOR_RULES = {
    "station": "StationName", "manufacturer": "Manufacturer", "model": "ManufacturerModelName",
    "series_description": "SeriesDescription", "study_description": "StudyDescription", "protocol": "ProtocolName",
    "body_part": "BodyPartExamined",
}  # fmt: skip
# Only these are parsed: a hostile private block or a deep sequence elsewhere in the data set costs nothing.
KEYWORDS = (
    *IDENTITY, "PatientID", "IssuerOfPatientID", "PatientName", "FrameOfReferenceUID", "Modality", "ImageType",
    "Rows", "Columns", "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "GantryDetectorTilt", "ConvolutionKernel", "AcquisitionNumber",
    "InstanceNumber", "SeriesNumber", "ImagesInAcquisition", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "ModalityLUTSequence", "MultienergyCTAcquisition", "Manufacturer", "ManufacturerModelName",
    "ContributingEquipmentSequence", "DerivationCodeSequence", "ContrastBolusAgent", *FOR_RULES.values(),
)  # fmt: skip
# PS3.5 9.1; components with a leading zero are common in old data and harmless here.
VALID_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
LONGEST_TEXT = 64  # of Long String (PS3.5 6.2); what is longer is cut
LONGEST_HEADER = 256 * 1024  # bytes; of a CT image it is rarely a tenth of that
OUR_MODEL = "thinslice"
Refusals = list[tuple[Path, str]]
SPATIAL_RESAMPLING = ("113085", "DCM")  # CID 7203: how slices between slices say what they are


def read_header(path: Path, sha256: str) -> SliceHeader:
    """Read one Part 10 file up to its pixels.

    Parameters
    ----------
    path : Path
        The file.
    sha256 : str
        Hex digest of its data set, without preamble and File Meta Information.

    Returns
    -------
    SliceHeader
        Values that cannot be used are None; ``problems`` says which of the needed ones.

    Raises
    ------
    UnreadableInstance
        No DICOM, not identifiable, or in a transfer syntax that is not read. The sentence holds no patient data.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path, sha256)
    except OSError as error:
        raise UnreadableInstance(f"the data set cannot be parsed ({type(error).__name__})") from None


def read_bytes(content: bytes) -> SliceHeader:
    """Read one Part 10 file that is in memory alone; its record names no path and no digest. Raises as `read_header`.

    No more than ``LONGEST_HEADER`` is looked at: a sequence of many items costs thousandfold memory.
    """
    file = BytesIO(content[:LONGEST_HEADER])
    header = _read(file, Path(), "")
    if file.tell() >= LONGEST_HEADER:
        raise UnreadableInstance(f"its pixels do not begin within the first {LONGEST_HEADER // 1024} kB")
    return header


def _read(file: BinaryIO, path: Path, sha256: str) -> SliceHeader:
    try:
        meta = read_file_meta(file)
        file.seek(0)
        dataset = dcmread(file, stop_before_pixels=True, specific_tags=list(KEYWORDS))
        return _header(dataset, meta, path, sha256)
    except UnreadableInstance:
        raise
    except Exception as error:  # noqa: BLE001  one hostile file must not stop the others; the cause may quote patient data
        raise UnreadableInstance(f"the data set cannot be parsed ({type(error).__name__})") from None


def read_folder(folder: Path) -> tuple[list[SliceHeader], Refusals]:
    """Read every file below a folder, in the order of their paths; returns as `read_files`."""
    return read_files(sorted(path for path in folder.rglob("*") if path.is_file()))


def read_files(paths: Iterable[Path]) -> tuple[list[SliceHeader], Refusals]:
    """Read files in this order.

    Returns
    -------
    tuple of list of SliceHeader, list of (Path, str)
        The headers, and the refused files with the reason in one sentence.
    """
    headers, refusals = [], []
    for path in paths:
        try:
            headers.append(read_header(path, data_set_digest(path)))
        except UnreadableInstance as refusal:
            refusals.append((path, str(refusal)))
    return headers, refusals


def by_series(headers: Iterable[SliceHeader]) -> dict[str, list[SliceHeader]]:
    """Headers under their SeriesInstanceUID, in the order in which the series first appear."""
    groups: dict[str, list[SliceHeader]] = {}
    for header in headers:
        groups.setdefault(header.series_instance_uid, []).append(header)
    return groups


def data_set_digest(path: Path) -> str:
    """sha256 (hex) of a Part 10 file's data set as stored, without preamble and File Meta Information.

    Raises
    ------
    UnreadableInstance
        The file is no DICOM, or in a transfer syntax that is not read.
    """
    with path.open("rb") as file:
        read_file_meta(file)
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_file_meta(file: BinaryIO) -> Dataset:
    """Read preamble and File Meta Information (PS3.10 7.1) and leave the file at the data set.

    Raises
    ------
    UnreadableInstance
        No Part 10 file, an index of files, or a transfer syntax that is not read. Deflated data sets are refused here,
        before anything inflates them.
    """
    try:
        read_preamble(file, force=False)
        meta = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
        syntax = str(meta.get("TransferSyntaxUID") or "")
        media_class = meta.get("MediaStorageSOPClassUID")
    except InvalidDicomError:
        raise UnreadableInstance("this is no DICOM file: the mark 'DICM' after the preamble is missing") from None
    except Exception as error:  # noqa: BLE001
        raise UnreadableInstance(f"the file meta information cannot be parsed ({type(error).__name__})") from None
    if media_class == MediaStorageDirectoryStorage:
        raise UnreadableInstance("a DICOMDIR is an index of files, not an image")
    if not syntax:
        raise UnreadableInstance("the file meta information names no transfer syntax")
    if syntax not in TRANSFER_SYNTAXES:
        name = UID(syntax).name if VALID_UID.fullmatch(syntax) else "not a UID"
        raise UnreadableInstance(f"transfer syntax {name} is not read: send uncompressed or losslessly compressed")
    return meta


def patient_key(dataset: Dataset) -> str:
    """sha256 (hex) of PatientID, IssuerOfPatientID and PatientName: equal for one patient, and none of them."""
    elements = Elements(dataset)
    identity = "\0".join(elements.text(keyword) for keyword in ("PatientID", "IssuerOfPatientID", "PatientName"))
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()


def _header(dataset: Dataset, meta: Dataset, path: Path, sha256: str) -> SliceHeader:
    elements = Elements(dataset)
    identity = {keyword: _uid(elements, keyword) for keyword in IDENTITY}
    if meta.get("MediaStorageSOPInstanceUID") not in (None, "", identity["SOPInstanceUID"]):
        elements.problems.append("SOPInstanceUID differs from that in the file meta information")
    _check_pixel_description(elements)
    position: Any = elements.required("ImagePositionPatient", 3)
    orientation: Any = elements.required("ImageOrientationPatient", 6)
    return SliceHeader(
        path=path,
        sha256=sha256,
        sop_instance_uid=identity["SOPInstanceUID"],
        sop_class_uid=identity["SOPClassUID"],
        series_instance_uid=identity["SeriesInstanceUID"],
        study_instance_uid=identity["StudyInstanceUID"],
        patient_key=patient_key(dataset),
        frame_of_reference_uid=elements.text("FrameOfReferenceUID"),
        modality=_modality(elements),
        image_type=tuple(value.upper() for value in elements.texts("ImageType")),
        transfer_syntax_uid=str(meta.TransferSyntaxUID),
        rows=elements.whole("Rows") or 0,
        columns=elements.whole("Columns") or 0,
        position=position,
        orientation=orientation,
        pixel_spacing=_pixel_spacing(elements),
        slice_thickness=_slice_thickness(elements),
        spacing_between_slices=elements.number("SpacingBetweenSlices"),
        gantry_tilt=elements.number("GantryDetectorTilt"),
        convolution_kernel=elements.texts("ConvolutionKernel"),
        acquisition_number=elements.whole("AcquisitionNumber"),
        instance_number=elements.whole("InstanceNumber"),
        series_number=elements.whole("SeriesNumber"),
        images_in_acquisition=elements.whole("ImagesInAcquisition"),
        frames=_frames(elements),
        derived_by_us=_is_ours(elements),
        resampled=_is_resampled(elements),
        problems=tuple(elements.problems),
        contrast=bool(elements.text("ContrastBolusAgent")),
        **{field: elements.text(keyword)[:LONGEST_TEXT] for field, keyword in FOR_RULES.items()},
    )


def _uid(elements: Elements, keyword: str) -> str:
    uid = elements.text(keyword)
    if not uid:
        raise UnreadableInstance(f"{keyword} is missing: the instance cannot be identified")
    if len(uid) > 64 or not VALID_UID.fullmatch(uid):
        raise UnreadableInstance(f"{keyword} is not a valid UID")
    return uid


def _modality(elements: Elements) -> str:
    modality = elements.text("Modality").upper()
    if not modality:
        elements.problems.append("Modality is missing")
    return modality


def _frames(elements: Elements) -> int:
    frames = elements.whole("NumberOfFrames")
    return 1 if frames is None else frames


def _pixel_spacing(elements: Elements) -> tuple[float, float] | None:
    spacing: Any = elements.required("PixelSpacing", 2)
    if spacing is not None and min(spacing) <= 0:
        elements.problems.append("PixelSpacing is not positive")
        return None
    return spacing  # type: ignore[no-any-return]


def _slice_thickness(elements: Elements) -> float | None:
    thickness = elements.required("SliceThickness", 1)
    if thickness is not None and thickness[0] <= 0:
        elements.problems.append("SliceThickness is not positive")
        return None
    return thickness[0] if thickness is not None else None


def _check_pixel_description(elements: Elements) -> None:
    """Note what keeps the stored values from being Hounsfield units in a known place (PS3.3 C.8.2.1, C.7.4.1)."""
    elements.expect("PhotometricInterpretation", ["MONOCHROME2"])
    elements.expect("SamplesPerPixel", ["1"])
    elements.expect("BitsAllocated", ["16"])
    elements.expect("PixelRepresentation", ["0", "1"])
    elements.expect("RescaleType", ["HU", ""])
    if not elements.text("FrameOfReferenceUID"):
        elements.problems.append("FrameOfReferenceUID is missing")
    stored = elements.whole("BitsStored") or 0
    if not 1 <= stored <= 16 or elements.whole("HighBit") != stored - 1:
        elements.problems.append("BitsStored and HighBit do not describe the stored values")
    if not elements.whole("Rows") or not elements.whole("Columns"):
        elements.problems.append("Rows or Columns is missing or zero")
    slope, _ = elements.required("RescaleSlope", 1), elements.required("RescaleIntercept", 1)
    # A CT stores one HU, or a simple fraction or multiple of it, per step: anything else is damage.
    if slope is not None and not 1e-3 <= slope[0] <= 1e3:
        elements.problems.append("RescaleSlope is not a usable factor")
    if elements.values("ModalityLUTSequence"):
        elements.problems.append("a Modality LUT stands in place of RescaleSlope and RescaleIntercept")
    if elements.text("MultienergyCTAcquisition").upper() == "YES":
        elements.problems.append("MultienergyCTAcquisition is YES: its values need not be those of a usual CT")


def _is_ours(elements: Elements) -> bool:
    equipment = [elements, *map(Elements, elements.values("ContributingEquipmentSequence"))]
    return any(
        OUR_MODEL in item.text("ManufacturerModelName").lower() or item.text("Manufacturer").lower() == OUR_MODEL
        for item in equipment
    )


def _is_resampled(elements: Elements) -> bool:
    codes = map(Elements, elements.values("DerivationCodeSequence"))
    return any((item.text("CodeValue"), item.text("CodingSchemeDesignator")) == SPATIAL_RESAMPLING for item in codes)
