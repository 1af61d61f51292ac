"""What a set of weights knows: ranges in its model card, and whether a scan lies inside them.

A regression network gives an answer to anything. Beyond what it was trained or tested on nobody knows how good it is,
and what it makes averages back to its source all the same.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

Range = tuple[float, float]


class Coverage(BaseModel):
    """Ranges, ends included, over which weights were trained, or gained on interpolation where that was measured.

    Attributes
    ----------
    step_mm : tuple of float
        Distance of thick slices along their normal.
    overlap : tuple of float
        Slice thickness in thick spacings; above 1 where slices overlap.
    pixel_mm : tuple of float
        Distance of pixels.
    noise_hu : tuple of float
        Standard deviation of the finest in-plane noise in soft tissue; sharp kernels and low doses have much.
    darkest_hu, brightest_hu : tuple of float
        Quantiles of 1 % and 99.99 % of all voxels: is there air, is there much metal, is it in HU at all?
    shear_deg : tuple of float
        Lean of the stack against its normal (gantry tilt).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step_mm: Range
    overlap: Range
    pixel_mm: Range
    noise_hu: Range
    darkest_hu: Range
    brightest_hu: Range
    shear_deg: Range


@dataclass(frozen=True)
class Scan:
    """The same quantities of one thick volume, and the ratio it is restored at; noise is None where none was found."""

    ratio: int
    step_mm: float
    overlap: float
    pixel_mm: float
    noise_hu: float | None
    darkest_hu: float
    brightest_hu: float
    shear_deg: float


# Attribute, how people call it, its unit.
_QUANTITIES = (
    ("step_mm", "slice spacing", " mm"),
    ("overlap", "slice thickness over spacing", ""),
    ("pixel_mm", "pixel spacing", " mm"),
    ("noise_hu", "noise in soft tissue", " HU"),
    ("darkest_hu", "darkest hundredth of the voxels up to", " HU"),
    ("brightest_hu", "brightest ten thousandth of the voxels from", " HU"),
    ("shear_deg", "gantry tilt", " degrees"),
)


def doubts(scan: Scan, coverage: Coverage, ratios: tuple[int, ...], title: str) -> tuple[str, ...]:
    """Say in a sentence each what of a scan is beyond the ``coverage`` and ``ratios`` of a network named ``title``."""
    found = []
    if not min(ratios) <= scan.ratio <= max(ratios):
        known = f"{min(ratios)} to {max(ratios)}"
        found.append(f"{scan.ratio} thin slices per thick one are beyond what {title} was trained for ({known})")
    for name, words, unit in _QUANTITIES:
        value: float | None = getattr(scan, name)
        low, high = getattr(coverage, name)
        if value is not None and not low <= value <= high:
            found.append(f"{words} {value:.3g}{unit} lies outside what {title} knows ({low:g} to {high:g}{unit})")
    return tuple(found)
