"""The manifest of a result: what belongs to it, and every file's sha256. A folder with one is whole."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from dicom_node import durable
from dicom_node.errors import StorageError
from dicom_node.records import DerivedInstance, DerivedSeries
from sr_engine.volume import ModelIdentity, SelfCheck

MANIFEST = "manifest.json"
FORMAT = 2
_INSTANCE = ("sop_class_uid", "sop_instance_uid", "series_instance_uid", "sha256")


def write_manifest(series: DerivedSeries, model: ModelIdentity) -> None:
    """Write the manifest of a result into its folder, durably. OSError where the disk fails."""
    rows = [{"file": one.path.name, **{key: getattr(one, key) for key in _INSTANCE}} for one in series.instances]
    content = {
        "format": FORMAT,
        "study_instance_uid": series.study_instance_uid,
        "series_instance_uid": series.series_instance_uid,
        "source_series_uid": series.source_series_uid,
        "thin_slices": series.thin_slices,
        "model": asdict(model),
        "check": asdict(series.check),
        "instances": rows,
    }
    durable.write_synced(series.folder / MANIFEST, json.dumps(content, indent=1).encode())


def load_series(folder: Path) -> DerivedSeries:
    """Read a finished series back, every file proven by its sha256.

    Raises
    ------
    StorageError
        The manifest or a file is missing or damaged.
    """
    series = read_manifest(folder)
    for instance in series.instances:
        _verify(instance)
    return series


def read_manifest(folder: Path) -> DerivedSeries:
    """What belongs to a finished series, without a look at the files. StorageError as `load_series`."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        instances = tuple(
            DerivedInstance(path=folder / row["file"], **{key: row[key] for key in _INSTANCE})
            for row in manifest["instances"]
        )
        check = SelfCheck(**manifest["check"])
        thin_slices = int(manifest.get("thin_slices", len(instances)))  # older manifests list slices alone
        study, series, source = (
            manifest[key] for key in ("study_instance_uid", "series_instance_uid", "source_series_uid")
        )
    except OSError as error:
        raise StorageError(
            f"{folder / MANIFEST} cannot be read ({error.strerror}): restore the series again"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{folder / MANIFEST} is damaged: restore the series again") from error
    return DerivedSeries(study, series, folder, instances, source, check, thin_slices)


def _verify(instance: DerivedInstance) -> None:
    try:
        with instance.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"{instance.path} cannot be read ({error.strerror}): restore the series again") from error
    if digest != instance.sha256:
        raise StorageError(f"{instance.path} is not what was written: restore the series again")
