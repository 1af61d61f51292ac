"""Why a result is held: its self-check contradicts its source, or its source is unfamiliar to the network."""

from dataclasses import dataclass

from sr_engine.volume import SelfCheck, ThinVolume
from worker.settings import WorkerSettings

WHAT_TO_DO = "look at the kept result, then release or reject it"


@dataclass(frozen=True)
class _Figure:
    """One figure against its limit: how the sentence calls it, its unit, and the settings key of the limit."""

    words: str
    value: float | None
    unit: str
    key: str


def why_held(thin: ThinVolume, limits: WorkerSettings) -> str:
    """One sentence with the figure, its limit and what to do; empty where the result may leave."""
    for figure in _figures(thin.check):
        limit = float(getattr(limits, figure.key))
        if figure.value is not None and abs(figure.value) > limit:
            found = f"{figure.words} {figure.value:.3g}{figure.unit}, more than {figure.key} = {limit:g}"
            return f"the result contradicts its source: {found}; {WHAT_TO_DO}"
    if thin.doubts and limits.hold_unfamiliar:
        return f"unfamiliar to the network: {'; '.join(thin.doubts)}; {WHAT_TO_DO}"
    return ""


def _figures(check: SelfCheck) -> tuple[_Figure, ...]:
    # Data consistency hides what a network did: ask before it.
    rms_hu = check.rms_error_hu if check.network_rms_hu is None else check.network_rms_hu
    beyond, outside = check.beyond_neighbours_percent, check.beyond_range_percent
    return (
        _Figure("root mean square difference", rms_hu, " HU", "maximum_rms_hu"),
        _Figure("mean offset", check.mean_offset_hu, " HU", "maximum_offset_hu"),
        _Figure(
            "mean of a slice beyond its neighbours'",
            check.max_slice_shift_hu,
            " HU",
            "maximum_slice_shift_hu",
        ),
        _Figure("voxels far beyond their thick neighbours", beyond, " %", "maximum_beyond_neighbours_percent"),
        _Figure("voxels beyond the range of the source", outside, " %", "maximum_beyond_range_percent"),
        _Figure("steps between slices where windows join", check.window_seam, " times the others", "maximum_seam"),
        _Figure("steps in the plane where tiles join", check.tile_seam, " times the others", "maximum_seam"),
    )
