"""A volume as the original CT series that a scanner would send (PS3.3 A.3, CT Image IOD)."""

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from sr_engine.volume import Volume

ROOT = "1.2.826.0.1.3680043.8.498."
START = datetime(2024, 3, 1, 9, 30)  # noqa: DTZ001 (DICOM times here carry no zone)
RESCALE_INTERCEPT = -1024


def write_dicom(
    thick: Volume,
    folder: Path,
    *,
    seed: int = 0,
    patient: str = "PHANTOM^CHEST",
    series_uid: str | None = None,
    study_uid: str | None = None,
    transfer_syntax: UID | str = ExplicitVRLittleEndian,
    descending: bool = False,
    missing: Collection[int] = (),
) -> list[Path]:
    """Write one Part 10 file per slice and return their paths in the order of ``InstanceNumber``.

    Parameters
    ----------
    thick : Volume
        HU of whole numbers, at least -1024; a sheared one has a tilted gantry.
    folder : Path
        Made where missing; files are named ``CT0001.dcm`` on.
    seed : int
        Equal seeds (and UIDs given) give equal UIDs, so a second call writes the same series.
    series_uid, study_uid : str or None
        SeriesInstanceUID and StudyInstanceUID; None draws them from ``seed``.
    transfer_syntax : UID
        Uncompressed little endian, or one that pydicom's installed plugins can encode (RLE, JPEG-LS, JPEG 2000).
    descending : bool
        Number the slices from head to feet.
    missing : collection of int
        Slice indices of the volume that are not written; their InstanceNumber stays unused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    study = study_uid or _uid(seed, "study")
    series = series_uid or _uid(seed, "series", study)
    common = _common(thick, patient, study, series, _uid(seed, "frame", study))
    order = range(len(thick.voxels) - 1, -1, -1) if descending else range(len(thick.voxels))
    paths = []
    for number, index in enumerate(order, start=1):
        if index in missing:
            continue
        image = _instance(common, thick, index, number, _uid(seed, series, str(index)), UID(transfer_syntax))
        paths.append(folder / f"CT{number:04d}.dcm")
        image.save_as(paths[-1], enforce_file_format=True)
    return paths


def _uid(seed: int, *names: str) -> str:
    return generate_uid(prefix=ROOT, entropy_srcs=["thinslice phantom", str(seed), *names])


def _common(thick: Volume, patient: str, study: str, series: str, frame: str) -> Dataset:
    """What all slices share, module by module."""
    ds = Dataset()
    for module in (_patient_and_study(patient, study), _series(series, frame), _acquisition(thick), _pixels(thick)):
        ds.update(module)
    return ds


def _patient_and_study(patient: str, study: str) -> Dataset:
    ds = Dataset()
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = patient, "PHANTOM", "19600101", "O"
    ds.StudyInstanceUID, ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = study, "1", "", ""
    ds.StudyDate, ds.StudyTime, ds.StudyDescription = START.strftime("%Y%m%d"), START.strftime("%H%M%S"), "CT CHEST"
    ds.SpecificCharacterSet = "ISO_IR 100"
    return ds


def _series(series: str, frame: str) -> Dataset:
    ds = Dataset()
    ds.Modality, ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription = "CT", series, 2, "CHEST THICK"
    ds.SeriesDate, ds.SeriesTime = ds.AcquisitionDate, ds.AcquisitionTime = START.strftime("%Y%m%d"), "093015"
    ds.BodyPartExamined, ds.PatientPosition, ds.ProtocolName = "CHEST", "HFS", "CHEST ROUTINE"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = frame, ""
    ds.Manufacturer, ds.ManufacturerModelName = "THINSLICE TESTS", "PHANTOM"
    ds.DeviceSerialNumber, ds.SoftwareVersions, ds.InstitutionName, ds.StationName = "1", "1", "PHANTOM", "CT1"
    return ds


def _acquisition(thick: Volume) -> Dataset:
    ds = Dataset()
    ds.ImageType, ds.AcquisitionNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], 1
    ds.ImagesInAcquisition = len(thick.voxels)
    directions = thick.affine[:3, [2, 1]] / np.linalg.norm(thick.affine[:3, [2, 1]], axis=0)
    ds.ImageOrientationPatient = [f"{value:.10g}" for value in directions.T.ravel()]
    ds.SliceThickness, ds.SpacingBetweenSlices = f"{thick.slice_thickness_mm:g}", f"{thick.spacing_mm[0]:.10g}"
    ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime, ds.ConvolutionKernel = "120", "200", "500", "STANDARD"
    ds.GantryDetectorTilt, ds.TableHeight, ds.RotationDirection = f"{thick.shear_deg:g}", "150", "CW"
    ds.ReconstructionDiameter = f"{thick.spacing_mm[2] * thick.voxels.shape[2]:.6g}"
    return ds


def _pixels(thick: Volume) -> Dataset:
    ds = Dataset()
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.Rows, ds.Columns = thick.voxels.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.PixelSpacing = [f"{mm:g}" for mm in thick.spacing_mm[1:]]
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = str(RESCALE_INTERCEPT), "1", "HU"
    ds.WindowCenter, ds.WindowWidth, ds.WindowCenterWidthExplanation = ["40", "-600"], ["400", "1500"], ["SOFT", "LUNG"]
    return ds


def _instance(common: Dataset, thick: Volume, index: int, number: int, uid: str, transfer_syntax: UID) -> Dataset:
    ds = Dataset()
    ds.update(common)
    moment = START + timedelta(seconds=20 + 0.3 * number)
    position = thick.position_mm(index)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.InstanceNumber = CTImageStorage, uid, number
    ds.ContentDate, ds.ContentTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    ds.ImagePositionPatient = [f"{mm:.10g}" for mm in position]
    ds.SliceLocation = f"{position[2]:.10g}"
    ds.PixelData = (np.rint(thick.voxels[index]) - RESCALE_INTERCEPT).astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if transfer_syntax.is_compressed:
        ds.compress(transfer_syntax, generate_instance_uid=False)
    ds.file_meta.TransferSyntaxUID = transfer_syntax
    return ds
