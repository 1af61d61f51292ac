"""How much better than interpolation, on volumes never trained on: ``python -m sr_engine.evaluation.quality``.

Thick slices are simulated from a thin volume (a box as wide as the spacing), restored by every method, and compared
with the thin truth between the first and the last thick position. PSNR is over -1024..2048 HU, one mean over all voxels
compared; nothing is masked but where it says lung. Figures are written after every volume and ratio; a run that is
started again with the same methods goes on after the last of them.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sr_engine import checkpoint, nifti
from sr_engine.checkpoint import ModelCard
from sr_engine.errors import WeightsUnavailable
from sr_engine.evaluation.figures import INTERPOLATIONS, Score, score_volume
from sr_engine.evaluation.tables import density, summary, table
from sr_engine.intensity import CT_RANGE
from sr_engine.networks.contract import SliceNetwork
from sr_engine.networks.registry import NETWORKS, WEIGHTS_FOLDER
from sr_engine.volume import Volume

CHECKPOINTS_FOLDER = Path(__file__).parents[1] / "training" / "checkpoints"
PROTOCOL = (
    f"PSNR and SSIM over [{CT_RANGE.low_hu:g}, {CT_RANGE.high_hu:g}] HU, whole volume between the first and the last "
    "thick position, nothing masked; lung dB, shift and LAA-950 inside the truth's eroded lung; lung offset after "
    "averaging back. Thick slices: box as wide as the spacing. Gains in dB over the better of linear and cubic, and "
    "over the best interpolation; p: one-sided Wilcoxon test over slices against the latter."
)


def middle(volume: Volume, plane: int) -> Volume:
    """Cut the middle ``plane`` x ``plane`` voxels of every slice; the whole volume where ``plane`` is 0."""
    if plane == 0:
        return volume
    cuts = [slice(max(0, (size - plane) // 2), (size + plane) // 2) for size in volume.voxels.shape[1:]]
    voxels = np.ascontiguousarray(volume.voxels[:, cuts[0], cuts[1]])
    return Volume(voxels, volume.spacing_mm, volume.affine, volume.slice_thickness_mm)


def methods(weights: Sequence[Path]) -> dict[str, tuple[SliceNetwork, ModelCard | None]]:
    """Networks by name, interpolations first and the best network last, each with the card of its weights."""
    found = {name: (NETWORKS[name].build({}), None) for name in INTERPOLATIONS if name in NETWORKS}
    loaded = {}
    for path in weights:
        network, card = checkpoint.load(path)
        loaded[card.network] = (network, card)
    return found | {name: loaded[name] for name in NETWORKS if name in loaded}


def installed_weights() -> list[Path]:
    """Weights that come with the program, and where there are none those among the checkpoints of its training."""
    by_name: dict[str, Path] = {}
    for path in (*sorted(CHECKPOINTS_FOLDER.glob("*.safetensors")), *sorted(WEIGHTS_FOLDER.glob("*.safetensors"))):
        try:
            by_name[checkpoint.load(path)[1].network] = path
        except WeightsUnavailable as error:
            sys.stderr.write(f"left out: {error}\n")
    return list(by_name.values())


def main() -> None:
    """Score the given volumes and print the tables."""
    options = _options().parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    known = methods(installed_weights() if options.weights is None else options.weights)
    header = {
        "protocol": {
            "text": PROTOCOL, "range_hu": [CT_RANGE.low_hu, CT_RANGE.high_hu], "profile": "box", "plane": options.plane,
        },
        "methods": {name: "" if card is None else card.digest for name, (_, card) in known.items()},
    }  # fmt: skip
    scores = _earlier(options.output, header)
    for score in _new_scores(options, known, scores):
        scores.append(score)
        if options.output is not None and score.method.startswith(list(known)[-1] + " "):  # the last of a volume
            _write(options.output, header, scores)
    sys.stdout.write("\n\n".join((PROTOCOL, table(scores), summary(scores), density(scores, list(known)[-1]))) + "\n")


def _new_scores(
    options: argparse.Namespace, known: dict[str, tuple[SliceNetwork, ModelCard | None]], scores: Sequence[Score]
) -> Iterator[Score]:
    """Score what is not scored yet, with a bar on standard error."""
    networks = {name: network for name, (network, _) in known.items()}
    depths_hu = {name: card.dark_lung_hu for name, (_, card) in known.items() if card is not None}
    done = {(score.volume, score.ratio) for score in scores}
    cases = [(path, ratio) for path in options.volumes for ratio in options.ratios if (_name(path), ratio) not in done]
    total, count, start = 2 * len(networks) * len(cases), 0, time.monotonic()
    for path, ratio in cases:
        thin = middle(nifti.load(path), options.plane)
        for score in score_volume(_name(path), thin, ratio, networks, depths_hu):
            count += 1
            left = (time.monotonic() - start) * (total - count) / count / 60
            filled = "#" * (30 * count // total)
            sys.stderr.write(f"\r[{filled:<30}] {count}/{total}, {left:.0f} min left: {score.volume} x{ratio} ")
            yield score
    sys.stderr.write("\n")


def _name(path: Path) -> str:
    return path.name.split(".nii")[0]


def _earlier(output: Path | None, header: dict[str, Any]) -> list[Score]:
    """Scores of an earlier run by the same protocol and methods."""
    if output is None or not output.is_file():
        return []
    content = json.loads(output.read_text())
    same = all(content.get(key) == value for key, value in header.items())
    return [Score(**score) for score in content["scores"]] if same else []


def _write(output: Path, header: dict[str, Any], scores: Sequence[Score]) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(f"{output.name}.part")
    part.write_text(json.dumps({**header, "scores": [asdict(score) for score in scores]}, indent=1) + "\n")
    part.replace(output)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="PSNR of restored slices against thin truth.")
    parser.add_argument("volumes", nargs="+", type=Path, help="thin NIfTI volumes that no weights were trained on")
    parser.add_argument("--weights", nargs="*", type=Path, help="with their cards; default: all there are")
    parser.add_argument("--ratios", nargs="+", type=int, default=[2, 3, 5])
    parser.add_argument("--plane", type=int, default=0, help="only the middle of each slice, in voxels; 0 for all")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    return parser


if __name__ == "__main__":
    main()
