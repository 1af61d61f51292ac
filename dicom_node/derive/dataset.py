"""One derived thin slice as a CT Image Storage data set (PS3.3 A.3), built on highdicom's SOPClass."""

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from dicom_node.derive.places import SlicePlace, decimal
from dicom_node.derive.plan import NOTICE, SeriesPlan
from dicom_node.derive.values import clean_value
from dicom_node.uid import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, instance_uid


class DerivedCTImage(hd.base.SOPClass):
    """A single-frame CT image in Explicit VR Little Endian whose every attribute ``attributes.TABLE`` names."""

    def __init__(self, plan: SeriesPlan, place: SlicePlace, stored: npt.NDArray[np.int16]) -> None:
        """
        Build one slice.

        Parameters
        ----------
        stored : ndarray, int16, shape (rows, columns)
            Stored values, which are Hounsfield units.
        """
        shared = plan.shared
        super().__init__(
            study_instance_uid=shared.StudyInstanceUID,
            series_instance_uid=shared.SeriesInstanceUID,
            series_number=int(shared.SeriesNumber),
            sop_instance_uid=instance_uid(plan.job_key, place.index),
            sop_class_uid=CTImageStorage,
            instance_number=place.instance_number,
            modality="CT",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            # The patient comes with `shared`: highdicom would log a name that it finds unusual.
            content_date=shared.ContentDate,
            content_time=shared.ContentTime,
        )
        self.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
        self.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
        self.update(shared)
        self._set_place(place)
        self._set_sources(plan, place)
        self.PixelData = stored.astype("<i2").tobytes()

    def _set_place(self, place: SlicePlace) -> None:
        self.ImagePositionPatient = [decimal(value) for value in place.position]
        if place.location is not None:
            self.SliceLocation = decimal(place.location)
        self.ImageComments = f"{NOTICE} {_origin(place)}"

    def _set_sources(self, plan: SeriesPlan, place: SlicePlace) -> None:
        """PS3.3 C.12.4.1.1 (Source Image Sequence) and C.12.2 (Common Instance Reference)."""
        sources = [plan.sources[index] for index in place.sources]
        self.SourceImageSequence = [_source_item(source) for source in sources]
        series = Dataset()
        series.SeriesInstanceUID = plan.source_series_uid
        series.ReferencedInstanceSequence = [reference(source) for source in sources]
        self.ReferencedSeriesSequence = [series]


def _origin(place: SlicePlace) -> str:
    edge = " Near the end of the scan, where the model saw repeated slices." if place.edge else ""
    if len(place.sources) == 1:
        return f"Computed at the position of a source slice.{edge}"
    return f"Computed between two source slices.{edge}"


def reference(source: Dataset) -> Dataset:
    """Item that names one source slice (PS3.3 10.8)."""
    item = Dataset()
    item.ReferencedSOPClassUID = clean_value(source, "SOPClassUID")
    item.ReferencedSOPInstanceUID = clean_value(source, "SOPInstanceUID")
    return item


def _source_item(source: Dataset) -> Dataset:
    item = reference(source)
    # CID 7202. Not preserved: the derived voxel is thinner than the one it comes from.
    code = codes.DCM.SourceImageForImageProcessingOperation
    item.PurposeOfReferenceCodeSequence = [hd.sr.CodedConcept.from_code(code)]
    item.SpatialLocationsPreserved = "NO"
    return item
