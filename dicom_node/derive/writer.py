"""A result on disk: a file per slice and for each other form, a manifest with every file's sha256, all of it durable.

The caller passes a folder that no one reads yet and renames it when this returns; ``manifest`` reads it back.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path

from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from dicom_node import durable
from dicom_node.derive.conformance import check_instance
from dicom_node.derive.consistency import SeriesConsistency
from dicom_node.derive.dataset import DerivedCTImage
from dicom_node.derive.form import FormSource, nameless
from dicom_node.derive.forms import write_forms
from dicom_node.derive.manifest import write_manifest
from dicom_node.derive.pixels import stored_values
from dicom_node.derive.places import slice_places
from dicom_node.derive.plan import SeriesPlan, series_plan
from dicom_node.derive.values import clean_value
from dicom_node.errors import InputError, StorageError
from dicom_node.records import DerivedInstance, DerivedSeries, ReplacedResult, ThickSeries
from dicom_node.settings import DeriveSettings
from sr_engine.volume import ThinVolume


def write_series(
    thick: ThickSeries,
    thin: ThinVolume,
    job_key: str,
    settings: DeriveSettings,
    folder: Path,
    now: datetime,
    progress: Callable[[int, int], None] | None = None,
    replaced: Sequence[ReplacedResult] = (),
) -> DerivedSeries:
    """Write the result of one job in the forms of ``settings``; equal arguments make byte-identical files.

    Slices are made, judged and written one by one, so memory does not grow with the series; the pixels of an enhanced
    image are in memory once.

    Parameters
    ----------
    thin : ThinVolume
        Restored from ``thick``: slice index rises along the normal, values in HU.
    job_key : str
        Makes all UIDs.
    folder : Path
        Made if absent. Files are ``0001.dcm`` ... by Instance Number, ``enhanced.dcm`` ..., and ``manifest.json``.
    now : datetime
        Aware; the series' date and time.
    progress : callable, optional
        Called with (slices made, slices in all).
    replaced : sequence of ReplacedResult
        Earlier results that a rejection note is to be made on.

    Raises
    ------
    InputError
        The source cannot be read, or an identifier of it breaks the standard.
    ConformanceError
        What we made breaks the standard: the folder must not be used.
    StorageError
        The disk failed.
    """
    # A warning about an odd value would quote it, and it may be the patient's; clean_value and the check judge instead.
    with config.disable_value_validation():
        sources = [_read_header(header.path, number) for number, header in enumerate(thick.slices, 1)]
        plan = series_plan(sources, thick, thin, job_key, settings, now)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            slices, headers = [], []
            for image in _slices(plan, thick, thin):
                if "slices" in settings.forms:
                    slices.append(_write_slice(image, folder))
                headers.append(nameless(image))
                if progress is not None:
                    progress(len(headers), len(thin.origins))
            forms = write_forms(FormSource(plan, thin, settings, tuple(headers)), replaced, folder)
            instances = (*slices, *forms)
            series = DerivedSeries(
                study_instance_uid=str(plan.shared.StudyInstanceUID),
                series_instance_uid=instances[0].series_instance_uid,
                folder=folder,
                instances=instances,
                source_series_uid=plan.source_series_uid,
                check=thin.check,
                thin_slices=len(headers),
            )
            write_manifest(series, thin.model)
            durable.sync_folder(folder)
        except OSError as error:
            raise StorageError(f"The derived series cannot be written to {folder}: {error.strerror}") from error
    return series


def _read_header(path: Path, number: int) -> Dataset:
    """Header of one source slice; ``force`` because a data set may have come without preamble."""
    try:
        return dcmread(path, stop_before_pixels=True, force=True)
    except OSError as error:
        raise StorageError(f"Source slice {number} cannot be read: {error.strerror}") from error
    except (InvalidDicomError, ValueError, EOFError, RecursionError) as error:
        raise InputError(f"Source slice {number} is not a readable DICOM file") from error


def _slices(plan: SeriesPlan, thick: ThickSeries, thin: ThinVolume) -> Iterator[DerivedCTImage]:
    """The derived slices by Instance Number, each of them judged; after the last the series is."""
    series = SeriesConsistency()
    for place in slice_places(thick, thin, _locations(plan)):
        image = DerivedCTImage(plan, place, stored_values(thin.volume.voxels[place.index]))
        check_instance(image)
        series.add(image)
        yield image
    series.finish()


def _write_slice(image: DerivedCTImage, folder: Path) -> DerivedInstance:
    content = BytesIO()
    image.save_as(content, enforce_file_format=True)
    path = folder / f"{int(image.InstanceNumber):04d}.dcm"
    data = content.getvalue()
    durable.write_synced(path, data)
    identity = (str(image.SOPClassUID), str(image.SOPInstanceUID), str(image.SeriesInstanceUID))
    return DerivedInstance(*identity, path, hashlib.sha256(data).hexdigest())


def _locations(plan: SeriesPlan) -> tuple[float, ...] | None:
    values = [clean_value(source, "SliceLocation") for source in plan.sources]
    return None if any(value is None for value in values) else tuple(float(value) for value in values)
