"""Thick series and their thin volumes for the tests of this room: real folders and a tiny synthetic one."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicom_node.records import SliceHeader, ThickSeries
from dicom_node.uid import derived_uid
from sr_engine.volume import ModelIdentity, SelfCheck, SliceOrigin, ThinVolume, Volume

CUBIC = ModelIdentity("cubic", "Cubic", "1", "0" * 64, learned=False)
NETWORK = ModelIdentity("tvsrn_v2", "TVSRN-V2", "2026.1", "ab" * 32, learned=True)
CHECK = SelfCheck(0.1, 2.0, 0.4, None, -1024.0, 1500.0, 1.1)


def header_of(path: Path) -> SliceHeader:
    """What the series room would read of one file."""
    data_set = pydicom.dcmread(path, stop_before_pixels=True)
    return SliceHeader(
        path=path,
        sha256="",
        sop_instance_uid=data_set.SOPInstanceUID,
        sop_class_uid=data_set.SOPClassUID,
        series_instance_uid=data_set.SeriesInstanceUID,
        study_instance_uid=data_set.StudyInstanceUID,
        patient_key="",
        frame_of_reference_uid=data_set.FrameOfReferenceUID,
        modality="CT",
        image_type=tuple(data_set.ImageType),
        transfer_syntax_uid=data_set.file_meta.TransferSyntaxUID,
        rows=data_set.Rows,
        columns=data_set.Columns,
        position=tuple(map(float, data_set.ImagePositionPatient)),
        orientation=tuple(map(float, data_set.ImageOrientationPatient)),
        pixel_spacing=tuple(map(float, data_set.PixelSpacing)),
        slice_thickness=float(data_set.SliceThickness),
        spacing_between_slices=None,
        gantry_tilt=None,
        convolution_kernel=(),
        acquisition_number=None,
        instance_number=int(data_set.InstanceNumber),
        series_number=None,
        images_in_acquisition=None,
        frames=1,
        derived_by_us=False,
        problems=(),
    )


def thick_series(folder: Path, limit: int | None = None) -> ThickSeries:
    """The one stack in a folder, ordered along its normal."""
    headers = [header_of(path) for path in sorted(folder.iterdir())]
    normal = np.cross(headers[0].orientation[:3], headers[0].orientation[3:])
    headers.sort(key=lambda header: float(normal @ header.position))
    headers = headers[:limit]
    along = [float(normal @ header.position) for header in headers]
    return ThickSeries("", tuple(headers), float(np.mean(np.diff(along))), tuple(normal), headers[0].slice_thickness)


def thin_volume(thick: ThickSeries, ratio: int = 5, model: ModelIdentity = NETWORK) -> ThinVolume:
    """Thin slices on straight lines between the thick ones."""
    hu = np.stack([_hounsfield(header.path) for header in thick.slices])
    count = (len(hu) - 1) * ratio + 1
    places = np.arange(count) / ratio
    below = np.minimum(places.astype(int), len(hu) - 1)
    above = np.minimum(below + 1, len(hu) - 1)
    weight = (places - below)[:, None, None].astype(np.float32)
    origins = tuple(SliceOrigin(k // ratio, -(-k // ratio), edge=k < ratio or k >= count - ratio) for k in range(count))
    spacing = (thick.step_mm / ratio, *thick.slices[0].pixel_spacing)
    volume = Volume(hu[below] * (1 - weight) + hu[above] * weight, spacing, np.eye(4), thick.step_mm / ratio)
    return ThinVolume(volume, ratio, model, origins, CHECK)


def _hounsfield(path: Path) -> np.ndarray:
    data_set = pydicom.dcmread(path)
    hu = data_set.pixel_array * float(data_set.RescaleSlope) + float(data_set.RescaleIntercept)
    return np.maximum(hu, -1024).astype(np.float32)


def write_source(folder: Path, count: int = 4, *, rising: bool = True, **changes: object) -> Path:
    """A tiny conformant CT series of 8x10 pixels every 5 mm; ``changes`` are set on every slice."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        data_set = _source_slice(index, index + 1 if rising else count - index)
        for keyword, value in changes.items():
            setattr(data_set, keyword, value)
        data_set.save_as(folder / f"{index:02d}.dcm", enforce_file_format=True)
    return folder


def _source_slice(index: int, number: int) -> Dataset:
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = derived_uid("sample", str(index))
    data_set.StudyInstanceUID = derived_uid("sample study")
    data_set.SeriesInstanceUID = derived_uid("sample series")
    data_set.FrameOfReferenceUID = derived_uid("sample frame")
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data_set.Modality = "CT"
    data_set.Manufacturer = "ACME"
    data_set.PatientName = "SAMPLE^ONE"
    data_set.PatientID = "S1"
    data_set.PatientBirthDate = "19700101"
    data_set.PatientSex = "F"
    data_set.StudyDate = "20260102"
    data_set.StudyTime = "101112"
    data_set.AccessionNumber = "A1"
    data_set.StudyID = "1"
    data_set.ReferringPhysicianName = ""
    data_set.SeriesNumber = 3
    data_set.SeriesDescription = "THORAX 5.0"
    data_set.BodyPartExamined = "CHEST"
    data_set.PatientPosition = "HFS"
    data_set.PositionReferenceIndicator = ""
    data_set.AcquisitionNumber = 1
    data_set.KVP = 120
    data_set.InstanceNumber = number
    data_set.ImagePositionPatient = [-4.5, -3.5, f"{100.25 + 5 * index}"]
    data_set.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data_set.PixelSpacing = ["0.7", "0.7"]
    data_set.SliceThickness = 5
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.Rows, data_set.Columns = 8, 10
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 16, 16, 15, 1
    data_set.RescaleIntercept, data_set.RescaleSlope, data_set.RescaleType = 0, 1, "HU"
    data_set.WindowCenter, data_set.WindowWidth = 40, 400
    pixels = (np.arange(80, dtype="<i2") * 10 - 500 + 100 * index).reshape(8, 10)
    data_set.PixelData = pixels.tobytes()
    return data_set
