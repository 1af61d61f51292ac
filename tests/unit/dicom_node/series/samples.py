"""Small invented slices: headers for the pure rules, and Part 10 files for what reads them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicom_node.records import SliceHeader
from dicom_node.settings import SeriesSettings

SETTINGS = SeriesSettings()
ROOT = "1.2.826.0.1.3680043.10.9999.7"


def header(z: float, **changes: Any) -> SliceHeader:
    """A good axial 64 x 64 slice at height z, with its own UID; ``changes`` replace fields."""
    good = SliceHeader(
        path=Path("slice.dcm"),
        sha256=f"digest of {z} {sorted(changes)}",
        sop_instance_uid=f"{ROOT}.{abs(int(z * 1000))}.{int(z < 0)}",
        sop_class_uid=CTImageStorage,
        series_instance_uid=f"{ROOT}.1",
        study_instance_uid=f"{ROOT}.2",
        patient_key="patient",
        frame_of_reference_uid=f"{ROOT}.3",
        modality="CT",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        rows=64,
        columns=64,
        position=(-112.0, -112.0, z),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        pixel_spacing=(3.5, 3.5),
        slice_thickness=5.0,
        spacing_between_slices=None,
        gantry_tilt=0.0,
        convolution_kernel=("STANDARD",),
        acquisition_number=1,
        instance_number=1,
        series_number=2,
        images_in_acquisition=None,
        frames=1,
        derived_by_us=False,
        problems=(),
    )
    return replace(good, **changes)


def stack(count: int = 10, step: float = 5.0, start: float = 0.0, **changes: Any) -> list[SliceHeader]:
    """A regular stack of good slices; the UIDs differ from those of a stack with other ``changes``."""
    mark = sum(map(ord, repr(sorted(changes.items(), key=str))))
    return [
        header(start + index * step, sop_instance_uid=f"{ROOT}.{mark}.{int(start)}.{index}", **changes)
        for index in range(count)
    ]


def dataset(stored: np.ndarray | None = None, **elements: Any) -> Dataset:
    """A CT slice as data set: int16 ``stored`` values, or a ramp; ``elements`` replace or, when None, remove."""
    pixels = np.arange(30 * 40, dtype="<i2").reshape(30, 40) if stored is None else stored
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = CTImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = f"{ROOT}.4"
    made.SeriesInstanceUID, made.StudyInstanceUID, made.FrameOfReferenceUID = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"
    made.PatientID, made.PatientName, made.Modality = "SECRET-ID", "Secret^Name", "CT"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.ImagePositionPatient, made.ImageOrientationPatient = [-10, -20, 30], [1, 0, 0, 0, 1, 0]
    made.PixelSpacing, made.SliceThickness = [0.7, 0.8], 5
    made.ConvolutionKernel, made.AcquisitionNumber, made.InstanceNumber = "STANDARD", 1, 1
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = pixels.shape
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, -1024, "HU"
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def overwrite(path: Path, keyword: str, vr: str, value: bytes) -> None:
    """Replace the bytes of one element in an Explicit VR Little Endian file: what no writer would agree to write."""
    tag = Tag(keyword)
    mark = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little") + vr.encode()
    raw = path.read_bytes()
    start = raw.index(mark)
    end = start + 8 + int.from_bytes(raw[start + 6 : start + 8], "little")
    path.write_bytes(raw[:start] + mark + len(value).to_bytes(2, "little") + value + raw[end:])


def write(folder: Path, made: Dataset, name: str = "slice.dcm") -> Path:
    """Save a data set as a Part 10 file."""
    path = folder / name
    made.save_as(path, enforce_file_format=True)
    return path
