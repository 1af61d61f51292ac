"""How much better than interpolation, on volumes never trained on: ``python -m sr_engine.evaluation.quality``.

Thick slices are simulated from a thin volume (a box as wide as the spacing), restored by every method, and compared
with the thin truth between the first and the last thick position. PSNR is over -1024..2048 HU, one mean over all voxels
compared; nothing is masked but where it says lung.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from sr_engine import checkpoint, nifti
from sr_engine.evaluation.figures import INTERPOLATIONS, Score, score_volume
from sr_engine.intensity import CT_RANGE
from sr_engine.networks.contract import SliceNetwork
from sr_engine.networks.registry import NETWORKS
from sr_engine.volume import Volume

HEADINGS = (
    "volume", "ratio", "method", "PSNR dB", "gain dB", "p", "SSIM", "at thick", "between", "lung dB", "back RMS HU",
    "lung offset HU", "LAA-950 % (thick, truth)",
)  # fmt: skip


def table(scores: Sequence[Score]) -> str:
    """Markdown: a line per volume, ratio and method, with the gain in PSNR over the better interpolation."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(_cells(score, _better(scores, score)) for score in scores)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _better(scores: Sequence[Score], like: Score) -> float:
    """PSNR of the better interpolation on the same volume at the same ratio."""
    return max(
        score.psnr_db
        for score in scores
        if (score.volume, score.ratio) == (like.volume, like.ratio) and score.method in INTERPOLATIONS
    )


def _cells(score: Score, better: float) -> tuple[str, ...]:
    lung = ("none", "none", "none")
    if score.lung_db is not None:
        lung = (
            f"{score.lung_db:.2f}",
            "none" if score.lung_offset_hu is None else f"{score.lung_offset_hu:+.2f}",
            f"{score.laa950:.2f} ({score.laa950_thick:.2f}, {score.laa950_truth:.2f})",
        )
    return (
        score.volume, str(score.ratio), score.method, f"{score.psnr_db:.2f}", f"{score.psnr_db - better:+.2f}",
        "" if score.p_better is None else f"{score.p_better:.1g}", f"{score.ssim:.4f}", f"{score.at_thick_db:.2f}",
        f"{score.between_db:.2f}", lung[0], f"{score.rms_back_hu:.1f}", lung[1], lung[2],
    )  # fmt: skip


def middle(volume: Volume, plane: int) -> Volume:
    """Cut the middle ``plane`` x ``plane`` voxels of every slice; the whole volume where ``plane`` is 0."""
    if plane == 0:
        return volume
    cuts = [slice(max(0, (size - plane) // 2), (size + plane) // 2) for size in volume.voxels.shape[1:]]
    voxels = np.ascontiguousarray(volume.voxels[:, cuts[0], cuts[1]])
    return Volume(voxels, volume.spacing_mm, volume.affine, volume.slice_thickness_mm)


def main() -> None:
    """Score the given volumes and print the table."""
    options = _options().parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    networks: dict[str, SliceNetwork] = {name: NETWORKS[name].build({}) for name in INTERPOLATIONS}
    for weights in options.weights:
        network, card = checkpoint.load(weights)
        networks[card.network] = network
    scores: list[Score] = []
    for path in options.volumes:
        volume = middle(nifti.load(path), options.plane)
        for ratio in options.ratios:
            scores += score_volume(path.name.split(".nii")[0], volume, ratio, networks)
            sys.stderr.write(f"{path.name} at ratio {ratio} done\n")
    sys.stdout.write(table(scores) + "\n")
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        protocol = {"range_hu": [CT_RANGE.low_hu, CT_RANGE.high_hu], "profile": "box", "plane": options.plane}
        content = {"protocol": protocol, "scores": [asdict(score) for score in scores]}
        options.output.write_text(json.dumps(content, indent=1) + "\n")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="PSNR of restored slices against thin truth.")
    parser.add_argument("volumes", nargs="+", type=Path, help="thin NIfTI volumes that no weights were trained on")
    parser.add_argument("--weights", nargs="*", type=Path, default=[], help="weights files with their cards")
    parser.add_argument("--ratios", nargs="+", type=int, default=[2, 3, 5])
    parser.add_argument("--plane", type=int, default=0, help="only the middle of each slice, in voxels; 0 for all")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    return parser


if __name__ == "__main__":
    main()
