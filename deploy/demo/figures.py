"""What the demonstration has to show for itself: error figures and a picture."""

from pathlib import Path

import numpy as np
from pydicom import dcmread

from dicom_node.derive.manifest import load_series
from sr_engine.evaluation.panel import coronal_panel
from sr_engine.inference.restore import restore
from sr_engine.intensity import IntensityRange
from sr_engine.metrics import mae_hu, psnr_db, rmse_hu
from sr_engine.settings import EngineSettings
from sr_engine.volume import Volume
from tests.phantom import Phantom

# The intensity range of the papers' figures.
RANGE = IntensityRange(-1024.0, 2048.0)


def read_derived(folder: Path, thick: Volume) -> Volume:
    """The derived series as its files hold it, on the thin grid of ``thick``."""
    normal = thick.affine[:3, 0] / thick.spacing_mm[0]
    data_sets = sorted(
        (dcmread(item.path) for item in load_series(folder).instances),
        key=lambda item: float(np.dot(normal, np.array(item.ImagePositionPatient, float))),
    )
    voxels = np.stack([item.pixel_array * item.RescaleSlope + item.RescaleIntercept for item in data_sets])
    step = thick.spacing_mm[0] * (len(thick.voxels) - 1) / (len(voxels) - 1)
    affine = thick.affine.copy()
    affine[:3, 0] = normal * step
    return Volume(voxels.astype(np.float32), (step, *thick.spacing_mm[1:]), affine, step)


def against_truth(phantom: Phantom, derived: Volume) -> dict[str, dict[str, float]]:
    """Error of linear, cubic and the derived series against the phantom's known truth, whole volume."""
    target = phantom.thin.spacing_mm[0]
    volumes = {
        name: restore(phantom.thick, EngineSettings(network=name, target_spacing_mm=target)).volume.voxels
        for name in ("linear", "cubic")
    }
    truth = phantom.thin.voxels
    return {
        name: {
            "psnr_db": round(psnr_db(voxels, truth, RANGE.low_hu, RANGE.high_hu), 3),
            "rmse_hu": round(rmse_hu(voxels, truth), 3),
            "mae_hu": round(mae_hu(voxels, truth), 3),
        }
        for name, voxels in {**volumes, "derived": derived.voxels}.items()
    }


def picture(path: Path, thick: Volume, derived: Volume, title: str, truth: Volume | None) -> Path:
    """Coronal thick beside thin, and the truth where it is known."""
    subject = "Synthetic phantom" if truth is not None else "Real CT"
    return coronal_panel(path, thick, derived, truth, thin_title=title, footer=f"{subject}. Not for primary diagnosis.")
