"""A result's figures in the words of ``thinslice show``: what was made, and what the self-check found."""

from collections.abc import Iterator, Mapping
from typing import Any


def figure_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Lines of plain text; what the result of an earlier version lacks is left out."""
    check: Mapping[str, Any] = figures.get("check", {})
    yield f"{figures['model']}, {figures['spacing_mm']} mm, {figures['seconds']} s"
    before = check.get("network_rms_hu")
    consistency = "" if before is None else f" ({before:.1f} HU before data consistency)"
    yield (
        f"averaged back: mean offset {check['mean_offset_hu']:+.2f} HU, RMS {check['rms_error_hu']:.1f} HU{consistency}"
    )
    found = [text for key, text in _FOUND if check.get(key) is not None]
    if found:
        yield "; ".join(found).format(**check)
    yield from (f"unfamiliar: {doubt}" for doubt in figures.get("doubts", ()))


_FOUND = (
    ("minimum_hu", "{minimum_hu:.0f} to {maximum_hu:.0f} HU"),
    ("beyond_range_percent", "{beyond_range_percent:.3f} % beyond the source's range"),
    ("beyond_neighbours_percent", "{beyond_neighbours_percent:.3f} % far beyond their thick neighbours"),
    ("max_slice_shift_hu", "slice means at most {max_slice_shift_hu:.1f} HU beyond their neighbours'"),
    ("window_seam", "steps at windows {window_seam:.2f} times the others"),
    ("tile_seam", "steps at tiles {tile_seam:.2f} times the others"),
)
