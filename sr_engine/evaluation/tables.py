"""Figures as Markdown tables."""

from collections.abc import Sequence

import numpy as np

from sr_engine.evaluation.figures import CONSISTENT, INTERPOLATIONS, Score

PLAIN = ("linear", "cubic")  # what the papers compare with
HEADINGS = (
    "volume", "ratio", "method", "PSNR dB", "over linear, cubic", "over best", "p", "SSIM", "at thick", "between",
    "lung dB", "back RMS HU", "lung offset HU", "LAA-950 % (thick, truth)",
)  # fmt: skip


def table(scores: Sequence[Score]) -> str:
    """A line per volume, ratio and method, with the gain in PSNR over linear and cubic, and over all interpolation."""
    return markdown(HEADINGS, [_cells(scores, score) for score in scores])


def summary(scores: Sequence[Score]) -> str:
    """A line per ratio and method: means over volumes, gains as in :func:`table`, and the least of them."""
    lines = []
    for ratio in sorted({score.ratio for score in scores}):
        for method in dict.fromkeys(score.method for score in scores):
            found = [score for score in scores if (score.ratio, score.method) == (ratio, method)]
            if not found:
                continue
            gains, best = ([gain(scores, score, over) for score in found] for over in (PLAIN, INTERPOLATIONS))
            psnr_db, ssim = (np.mean([getattr(score, name) for score in found]) for name in ("psnr_db", "ssim"))
            over = [f"{value:+.2f}" for values in (gains, best) for value in (np.mean(values), min(values))]
            lines.append((str(ratio), method, str(len(found)), f"{psnr_db:.2f}", *over, f"{ssim:.4f}"))
    gains_over = [f"over {name}{least}" for name in ("linear, cubic", "best") for least in ("", ", least")]
    return markdown(("ratio", "method", "volumes", "PSNR dB", *gains_over, "SSIM"), lines)


def density(scores: Sequence[Score], network: str) -> str:
    """Shift of lung in HU and LAA-950 in per cent: thick, cubic, network, with data consistency, truth.

    Volumes without lung are left out; so are those that ``network`` or cubic interpolation did not restore.
    """
    by_key = {(score.volume, score.ratio, score.method): score for score in scores}
    lines = []
    for volume, ratio in dict.fromkeys((score.volume, score.ratio) for score in scores):
        found = [by_key.get((volume, ratio, name)) for name in ("cubic", network, f"{network} {CONSISTENT}")]
        kept = [score for score in found if score is not None and score.lung_shift_hu is not None]
        if len(kept) < len(found):
            continue
        first = kept[0]
        shifts = [first.lung_shift_thick_hu, *(score.lung_shift_hu for score in kept), 0.0]
        areas = [first.laa950_thick, *(score.laa950 for score in kept), first.laa950_truth]
        lines.append((volume, str(ratio), *(f"{a:+.2f} / {b:.2f}" for a, b in zip(shifts, areas, strict=True))))
    names = ("thick", "cubic", network, f"{network} {CONSISTENT}", "truth")
    return markdown(("volume", "ratio", *(f"{name}: HU / %" for name in names)), lines)


def gain(scores: Sequence[Score], score: Score, over: Sequence[str] = PLAIN) -> float:
    """PSNR above the best of the methods ``over`` on the same volume at the same ratio, dB."""
    return score.psnr_db - max(
        other.psnr_db
        for other in scores
        if (other.volume, other.ratio) == (score.volume, score.ratio) and other.method in over
    )


def _cells(scores: Sequence[Score], score: Score) -> tuple[str, ...]:
    gains = [f"{gain(scores, score, over):+.2f}" for over in (PLAIN, INTERPOLATIONS)]
    lung = ("none", "none", "none")
    if score.lung_db is not None:
        lung = (
            f"{score.lung_db:.2f}",
            "none" if score.lung_offset_hu is None else f"{score.lung_offset_hu:+.2f}",
            f"{score.laa950:.2f} ({score.laa950_thick:.2f}, {score.laa950_truth:.2f})",
        )
    return (
        score.volume, str(score.ratio), score.method, f"{score.psnr_db:.2f}", *gains,
        "" if score.p_better is None else f"{score.p_better:.1g}", f"{score.ssim:.4f}", f"{score.at_thick_db:.2f}",
        f"{score.between_db:.2f}", lung[0], f"{score.rms_back_hu:.1f}", lung[1], lung[2],
    )  # fmt: skip


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, ["---"] * len(headings), *lines))
