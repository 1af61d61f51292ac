"""Pictures for the docs and figures of a real thick series: ``make panels``.

A volume that no weights were trained on, thickened, restored and compared with its truth; and a real thick series,
which has no truth: it is restored as the program does it, and averaged back.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sr_engine import nifti
from sr_engine.evaluation.panel import PLANES, coronal_panel
from sr_engine.inference.restore import restore
from sr_engine.settings import EngineSettings
from sr_engine.training.simulate import SliceProfile, thicken_volume
from sr_engine.volume import ThinVolume, Volume
from tests.bench.series import cut, read_series

RATIO = 5


def simulated(path: Path, slices: int, plane: int) -> tuple[Volume, Volume]:
    """Thick slices made of a thin volume, and the truth on the thin grid between them."""
    thin = cut(nifti.load(path), slices * RATIO, plane)
    voxels, truth = thicken_volume(thin.voxels, RATIO, SliceProfile())
    step, reach = thin.spacing_mm[0], RATIO // 2
    affine = thin.affine.copy()
    affine[:3, 3] = thin.position_mm(reach)
    coarse = affine.copy()
    coarse[:, 0] *= RATIO
    return (
        Volume(voxels, (step * RATIO, *thin.spacing_mm[1:]), coarse, step * RATIO),
        Volume(truth, thin.spacing_mm, affine, step),
    )


def draw(name: str, thick: Volume, truth: Volume | None, options: argparse.Namespace) -> tuple[ThinVolume, float]:
    """Restore and write a coronal and a sagittal picture; return what was restored and the seconds it took."""
    target = thick.spacing_mm[0] / RATIO
    settings = EngineSettings(weights=options.weights, target_spacing_mm=target, device="cpu", threads=options.threads)
    start = time.perf_counter()
    thin = restore(thick, settings)
    seconds = time.perf_counter() - start
    cubic = restore(thick, EngineSettings(network="cubic", target_spacing_mm=target))
    for plane in PLANES:
        row = None
        if plane == "sagittal":  # the middle of a lung, not the spine
            row = int(thick.voxels.shape[2] * 0.32)
        coronal_panel(
            options.folder / f"{name}_{plane}.png", thick, thin.volume, truth, cubic.volume,
            thin_title=thin.model.title, title=f"{name}: {thick.spacing_mm[0]:.3g} mm to {target:.3g} mm",
            footer="Not for primary diagnosis" + ("; thick slices simulated" if truth else ""), plane=plane, row=row,
        )  # fmt: skip
    return thin, seconds


def main() -> None:
    """Write all pictures and the figures of the real series."""
    parser = argparse.ArgumentParser(description="Pictures for the docs, figures of a real series.")
    parser.add_argument("--held-out", type=Path, help="thin NIfTI volume no weights were trained on")
    parser.add_argument("--series", type=Path, help="folder of one real thick DICOM series")
    parser.add_argument("--weights", type=Path, help="default: those that come with the program")
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    parser.add_argument("--output", type=Path, default=Path("tests/bench/results/r168.json"))
    parser.add_argument("--slices", type=int, default=0, help="thick slices in the middle; 0 for all")
    parser.add_argument("--plane", type=int, default=0, help="rows and columns in the middle; 0 for all")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.held_out is not None:
        thick, truth = simulated(options.held_out, options.slices, options.plane)
        draw(options.held_out.name.split("_b")[0].split(".nii")[0], thick, truth, options)
    if options.series is not None:
        source = cut(read_series(options.series), options.slices, options.plane)
        thin, seconds = draw("r168", source, None, options)
        figures = {
            "model": asdict(thin.model), "ratio": thin.ratio, "thick": list(source.voxels.shape),
            "thin": list(thin.volume.voxels.shape), "spacing_mm": list(np.round(source.spacing_mm, 4)),
            "seconds": round(seconds, 1), "check": asdict(thin.check),
        }  # fmt: skip
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
