"""How deep dark lung must be made after a network: ``python -m sr_engine.evaluation.dark_lung``.

Give it the volumes that taught the weights, never those that are held out. At each ratio the depth to take is the one
whose worst volume comes nearest to the truth's LAA-950, counted in the distance that cubic interpolation has there. The
table says what it costs: PSNR, and overlap (Dice's coefficient of the voxels below -950 HU with the truth's), which
tells a right share in the right places from a right share. Planes are cut to the lungs.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from sr_engine import checkpoint, nifti
from sr_engine.evaluation.figures import Case, make_case
from sr_engine.evaluation.tables import markdown
from sr_engine.inference.consistency import make_consistent
from sr_engine.inference.dark_lung import deepen
from sr_engine.inference.restore import predict
from sr_engine.inference.selfcheck import EMPHYSEMA_HU, laa950
from sr_engine.intensity import CT_RANGE
from sr_engine.metrics import psnr_db
from sr_engine.networks.contract import SliceNetwork
from sr_engine.networks.interpolation import CubicInterpolation
from sr_engine.networks.registry import shipped_weights
from sr_engine.volume import FloatArray

DEPTHS_HU = (0.0, 10.0, 20.0, 30.0, 40.0)
MARGIN = 12  # pixels around the lungs


@dataclass(frozen=True)
class Deepened:
    """Lung of one restored volume; ``depth_hu`` is None for cubic interpolation.

    ``laa950`` and ``truth`` are per cent of the truth's eroded lung below -950 HU, ``overlap`` is 0 to 1, ``psnr_db``
    is over all that was cut out and ``lung_db`` over the lung.
    """

    volume: str
    ratio: int
    depth_hu: float | None
    laa950: float
    truth: float
    overlap: float
    psnr_db: float
    lung_db: float


def cut_to_lung(case: Case) -> Case | None:
    """Cut the planes to the lungs and a margin; None where there is no lung."""
    if not case.lung.any():
        return None
    plane = []
    for axes in ((0, 2), (0, 1)):
        inside = np.flatnonzero(case.lung.any(axis=axes))
        plane.append(slice(max(0, (int(inside[0]) - MARGIN) // 8 * 8), int(inside[-1]) + MARGIN))
    cut = (slice(None), *plane)
    source = replace(case.source, voxels=np.ascontiguousarray(case.source.voxels[cut]))
    return replace(case, source=source, truth=case.truth[cut], lung=case.lung[cut])


def measure(case: Case, predicted: FloatArray, depths_hu: Sequence[float]) -> list[Deepened]:
    """Look at cubic interpolation, and at a network's slices at each depth.

    Parameters
    ----------
    case : Case
        With lung.
    predicted : ndarray, float32
        The network's slices before data consistency; left as they are.
    depths_hu : sequence of float
        See :func:`sr_engine.inference.dark_lung.deepen`.
    """
    thick, ratio = case.source.voxels, case.ratio
    consistent = predicted.copy()
    make_consistent(consistent, thick, ratio, width=1.0)
    rows = [_look(case, predict(CubicInterpolation(), case.source, ratio), None)]
    for depth_hu in depths_hu:
        restored = consistent.copy()
        deepen(restored, thick, ratio, 1.0, depth_hu)
        rows.append(_look(case, restored, depth_hu))
    return rows


def worst(rows: Sequence[Deepened], ratio: int, depth_hu: float) -> float:
    """Largest distance of LAA-950 from the truth's over the volumes, as a multiple of cubic interpolation's."""
    cubic = {row.volume: abs(row.laa950 - row.truth) for row in rows if (row.ratio, row.depth_hu) == (ratio, None)}
    found = [row for row in rows if (row.ratio, row.depth_hu) == (ratio, depth_hu)]
    return max(abs(row.laa950 - row.truth) / max(cubic[row.volume], 1e-6) for row in found)


def report(rows: Sequence[Deepened]) -> str:
    """Write the table, and the worst volume of each ratio and depth."""
    lines = [
        (
            row.volume, str(row.ratio), "cubic" if row.depth_hu is None else f"{row.depth_hu:g}",
            f"{row.laa950:.3f}", f"{row.truth:.3f}", f"{row.overlap:.3f}", f"{row.psnr_db:.3f}", f"{row.lung_db:.3f}",
        )
        for row in rows
    ]  # fmt: skip
    headings = ("volume", "ratio", "depth HU", "LAA-950 %", "truth %", "overlap", "PSNR dB", "lung dB")
    tried = sorted({(row.ratio, row.depth_hu) for row in rows if row.depth_hu is not None})
    chosen = [(f"{ratio}", f"{depth_hu:g}", f"{worst(rows, ratio, depth_hu):.2f}") for ratio, depth_hu in tried]
    return f"{markdown(headings, lines)}\n\n{markdown(('ratio', 'depth HU', 'worst, times cubic'), chosen)}"


def main() -> None:
    """Measure the given volumes and print the tables."""
    options = _options().parse_args()
    network, _ = checkpoint.load(options.weights)
    rows: list[Deepened] = []
    for path in options.volumes:
        for ratio in options.ratios:
            rows += _measure_file(path, ratio, network, options.depths)
    if options.output is not None:
        options.output.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    sys.stdout.write(report(rows) + "\n")


def _measure_file(path: Path, ratio: int, network: SliceNetwork, depths_hu: Sequence[float]) -> list[Deepened]:
    case = cut_to_lung(make_case(path.name.split(".nii")[0], nifti.load(path), ratio))
    return [] if case is None else measure(case, predict(network, case.source, ratio), depths_hu)


def _look(case: Case, restored: FloatArray, depth_hu: float | None) -> Deepened:
    lung, below = case.lung, case.truth < EMPHYSEMA_HU
    ours, real = restored[lung] < EMPHYSEMA_HU, below[lung]
    return Deepened(
        volume=case.name,
        ratio=case.ratio,
        depth_hu=depth_hu,
        laa950=laa950(restored, lung) or 0.0,
        truth=laa950(case.truth, lung) or 0.0,
        overlap=2 * int((ours & real).sum()) / max(int(ours.sum()) + int(real.sum()), 1),
        psnr_db=psnr_db(restored, case.truth, CT_RANGE.low_hu, CT_RANGE.high_hu),
        lung_db=psnr_db(restored[lung], case.truth[lung], CT_RANGE.low_hu, CT_RANGE.high_hu),
    )


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="How deep dark lung must be made after a network.")
    parser.add_argument("volumes", nargs="+", type=Path, help="thin NIfTI volumes that taught the weights")
    parser.add_argument("--weights", type=Path, default=shipped_weights("tvsrn_v2"), help="with their card")
    parser.add_argument("--ratios", nargs="+", type=int, default=[2, 3, 5])
    parser.add_argument("--depths", nargs="+", type=float, default=DEPTHS_HU, help="in HU")
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    return parser


if __name__ == "__main__":
    main()
