"""What the self-check finds on real scans: the distribution that the limits in settings.toml were chosen from.

Every public series that can be restored, and thick slices simulated from every thin volume, with the shipped weights
and with cubic interpolation: ``make bench-limits``. Crops of the middle, to be cheap; whole, the figures are calmer.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sr_engine import nifti
from sr_engine.inference.restore import restore
from sr_engine.settings import EngineSettings
from sr_engine.training.simulate import SliceProfile, thicken_volume
from sr_engine.volume import Volume
from tests.bench.series import cut, read_series

NETWORKS = ("tvsrn_v2", "cubic")
RATIO = 5
PLANE, SLICES, TILE = 80, 12, 64  # so that windows and tiles join
FIGURES = (
    "window_seam", "tile_seam", "beyond_neighbours_percent", "max_slice_shift_hu", "beyond_range_percent",
    "network_rms_hu", "rms_error_hu", "mean_offset_hu",
)  # fmt: skip


def volumes(data: Path) -> Iterator[tuple[str, Volume, float]]:
    """Name, thick volume and the spacing to restore it to."""
    for folder in sorted((data / "dicom").iterdir()):
        try:
            yield folder.name, cut(read_series(folder), SLICES, PLANE), 1.0
        except SystemExit:
            continue
    for path in sorted((data / "train").glob("*.nii.gz")):
        thin = cut(nifti.load(path), SLICES * RATIO, PLANE)
        voxels, _ = thicken_volume(thin.voxels, RATIO, SliceProfile())
        step = thin.spacing_mm[0]
        thick = Volume(voxels, (step * RATIO, *thin.spacing_mm[1:]), thin.affine, step * RATIO)
        yield f"{path.name.split('.nii')[0]} thickened", thick, step


def figures(name: str, thick: Volume, target_mm: float) -> Iterator[dict[str, Any]]:
    """One row for each network."""
    for network in NETWORKS:
        settings = EngineSettings(network=network, target_spacing_mm=target_mm, device="cpu", threads=1, tile=TILE)
        thin = restore(thick, settings)
        found = {key: value for key, value in asdict(thin.check).items() if key in FIGURES}
        row = {"volume": name, "network": network, "ratio": thin.ratio, **found}
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()
        yield row


def main() -> None:
    """Write every row, and print the extremes."""
    parser = argparse.ArgumentParser(description="What the self-check finds on real scans.")
    parser.add_argument("data", type=Path, help="folder with dicom/ and train/")
    parser.add_argument("--output", type=Path, default=Path("tests/bench/results/limits.json"))
    options = parser.parse_args()
    rows = [row for name, thick, target in volumes(options.data) for row in figures(name, thick, target)]
    options.output.write_text(json.dumps(rows, indent=1) + "\n")
    for network in NETWORKS:
        for key in FIGURES:
            values = [abs(row[key]) for row in rows if row["network"] == network and row[key] is not None]
            if values:
                low, middle, high = np.percentile(values, [0, 50, 100])
                line = f"{network:9} {key:26} n={len(values):3} {low:8.3f} {middle:8.3f} {high:8.3f}\n"
                sys.stdout.write(line)


if __name__ == "__main__":
    main()
