"""A few slices on disk as a result, for every way of sending."""

import hashlib
from pathlib import Path

import pydicom

from dicom_node.records import DerivedInstance, DerivedSeries
from tests.unit.dicom_node.derive.samples import CHECK, write_source


def result_of(folder: Path, **changes: object) -> DerivedSeries:
    """Six CT slices, written to a folder; ``changes`` as in `write_source`."""
    paths = sorted(write_source(folder, count=6, **changes).iterdir())
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    instances = tuple(
        DerivedInstance(
            header.SOPClassUID,
            header.SOPInstanceUID,
            header.SeriesInstanceUID,
            path,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for header, path in zip(headers, paths, strict=True)
    )
    first = headers[0]
    return DerivedSeries(
        first.StudyInstanceUID, first.SeriesInstanceUID, folder, instances, "1.2.3", CHECK, thin_slices=len(instances)
    )


def uids_of(result: DerivedSeries) -> list[str]:
    """Its SOP Instance UIDs, in order."""
    return [item.sop_instance_uid for item in result.instances]
