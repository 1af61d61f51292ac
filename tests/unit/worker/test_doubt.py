"""Each figure past its limit holds a result, with a sentence that names both; so does an unfamiliar source."""

from dataclasses import replace

import numpy as np
import pytest

from sr_engine.volume import ModelIdentity, SelfCheck, SliceOrigin, ThinVolume, Volume
from worker.doubt import why_held
from worker.settings import WorkerSettings

FINE = SelfCheck(
    0.1, 8.0, 0.4, None, -1024.0, 1500.0, 1.1, network_rms_hu=9.0, window_seam=1.1, tile_seam=None,
    beyond_neighbours_percent=0.1, max_slice_shift_hu=3.0, beyond_range_percent=0.01,
)  # fmt: skip
LIMITS = WorkerSettings()
REMEDY = "; look at the kept result, then release or reject it"


def result(check: SelfCheck = FINE, doubts: tuple[str, ...] = ()) -> ThinVolume:
    volume = Volume(np.zeros((1, 2, 2), np.float32), (1.0, 1.0, 1.0), np.eye(4), 1.0)
    model = ModelIdentity("stub", "Stub", "1", "0" * 64, learned=True)
    return ThinVolume(volume, 5, model, (SliceOrigin(0, 0, edge=False),), check, doubts=doubts)


def test_a_good_result_may_leave():
    assert why_held(result(), LIMITS) == ""


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network_rms_hu": 160.0}, "root mean square difference 160 HU, more than maximum_rms_hu = 100"),
        ({"mean_offset_hu": -6.0}, "mean offset -6 HU, more than maximum_offset_hu = 5"),
        (
            {"max_slice_shift_hu": 75.0},
            "mean of a slice beyond its neighbours' 75 HU, more than maximum_slice_shift_hu = 60",
        ),
        (
            {"beyond_neighbours_percent": 12.0},
            "voxels far beyond their thick neighbours 12 %, more than maximum_beyond_neighbours_percent = 4",
        ),
        (
            {"beyond_range_percent": 2.5},
            "voxels beyond the range of the source 2.5 %, more than maximum_beyond_range_percent = 2",
        ),
        (
            {"window_seam": 3.0},
            "steps between slices where windows join 3 times the others, more than maximum_seam = 2.5",
        ),
        ({"tile_seam": 2.6}, "steps in the plane where tiles join 2.6 times the others, more than maximum_seam = 2.5"),
    ],
)
def test_a_figure_past_its_limit_is_named_with_it(changes: dict[str, float], sentence: str):
    reason = why_held(result(replace(FINE, **changes)), LIMITS)
    assert reason == f"the result contradicts its source: {sentence}{REMEDY}"


def test_where_data_consistency_changed_nothing_the_result_itself_is_asked():
    plain = replace(FINE, network_rms_hu=None, rms_error_hu=101.0)
    assert "difference 101 HU" in why_held(result(plain), LIMITS)


def test_an_unfamiliar_source_is_held_unless_told_otherwise():
    odd = result(doubts=("pixel spacing 3 mm lies outside", "noise 90 HU lies outside"))
    assert why_held(odd, LIMITS) == (
        f"unfamiliar to the network: pixel spacing 3 mm lies outside; noise 90 HU lies outside{REMEDY}"
    )
    assert why_held(odd, LIMITS.model_copy(update={"hold_unfamiliar": False})) == ""
