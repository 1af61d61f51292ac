"""A real thick series as a volume, and cuts of it, for benches."""

from pathlib import Path

import numpy as np

from dicom_node.records import ThickSeries
from dicom_node.series.headers import by_series, read_folder
from dicom_node.series.judge import judge
from dicom_node.series.voxels import load_volume
from dicom_node.settings import SeriesSettings
from sr_engine.volume import Volume


def read_series(folder: Path) -> Volume:
    """Return the first stack in a folder of DICOM that can be restored."""
    settings = SeriesSettings()
    for headers in by_series(read_folder(folder)[0]).values():
        for verdict in judge(headers, settings):
            if isinstance(verdict, ThickSeries):
                return load_volume(verdict, settings)
    raise SystemExit(f"{folder} holds no series that can be restored")


def cut(volume: Volume, slices: int, plane: int) -> Volume:
    """Return the middle of a volume; 0 for all slices, or for the whole plane."""
    wanted = (slices or len(volume.voxels), plane or volume.voxels.shape[1], plane or volume.voxels.shape[2])
    starts = [max(0, (there - size) // 2) for there, size in zip(volume.voxels.shape, wanted, strict=True)]
    part = tuple(slice(start, start + size) for start, size in zip(starts, wanted, strict=True))
    affine = volume.affine.copy()
    affine[:3, 3] += volume.affine[:3, :3] @ np.array(starts)
    return Volume(np.ascontiguousarray(volume.voxels[part]), volume.spacing_mm, affine, volume.slice_thickness_mm)
