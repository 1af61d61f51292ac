"""A volume teaches the ratios that the paper's bounds leave it, along the axes that are left."""

import numpy as np
import pytest

from sr_engine.errors import InvalidVolume
from sr_engine.training.subjects import Subject
from sr_engine.training.teachers import axis_odds, describe_bounds, require_teachers, teachers
from tests.unit.sr_engine.training.samples import data, paired
from tests.unit.sr_engine.training.test_pairs import CONTRACTS


def volume(slices: int, slice_mm: float) -> Subject:
    return Subject(f"{slices}x{slice_mm:g}", np.zeros((slices, 8, 8), np.int16), (slice_mm, 1.0, 1.0))


PAPER = {"cap_mm": 3, "least_slices": 130}


def test_the_papers_bounds_are_3_mm_and_130_slices_and_the_tighter_one_is_named():
    lines = describe_bounds([volume(500, 1), volume(300, 1), volume(500, 0.6)], data(**PAPER))
    assert lines == [
        "500x1: simulated along z up to ratio 3, bound by 3 mm",
        "300x1: simulated along z up to ratio 2, bound by 130 slices",
        "500x0.6: simulated along z up to ratio 3, bound by 130 slices",
    ]
    assert describe_bounds([volume(500, 1)], data()) == []


def test_beyond_its_bound_a_volume_teaches_along_its_pixels_alone():
    config = data(thin_share=0.5, **PAPER)
    assert axis_odds(volume(300, 1), config, 2).tolist() == [0.5, 0.25, 0.25]
    assert axis_odds(volume(300, 1), config, 3).tolist() == [0, 0.25, 0.25]


def test_where_only_z_may_teach_volumes_beyond_their_bound_are_left_out():
    config = data(thin_share=1, **PAPER)
    two, three = volume(300, 1), volume(500, 1)
    assert teachers([two, three], config, CONTRACTS[2]) == [two, three]
    assert teachers([two, three], config, CONTRACTS[3]) == [three]
    with pytest.raises(InvalidVolume, match=r"no volume can teach ratio 5 within 3\.0 mm and 130 slices"):
        teachers([two, three], config, CONTRACTS[5])


def test_a_run_with_a_ratio_that_nobody_teaches_ends_before_it_begins():
    config = data(thin_share=1, ratios=(2, 5), ratio_weights=(1, 1), **PAPER)
    with pytest.raises(InvalidVolume, match="ratio 5"):
        require_teachers([volume(500, 1)], config, CONTRACTS)
    require_teachers([volume(500, 1)], data(thin_share=1, ratios=(2, 5), ratio_weights=(1, 0), **PAPER), CONTRACTS)


def test_real_thick_slices_teach_their_ratio_whatever_the_bounds_say():
    config = data(thin_share=1, cap_mm=3)
    real = paired(ratio=3)
    assert teachers([real], config, CONTRACTS[3]) == [real]
    with pytest.raises(InvalidVolume, match="ratio 2"):
        teachers([real], config, CONTRACTS[2])
    with pytest.raises(InvalidVolume, match="ratio 3"):
        teachers([real], config.model_copy(update={"real_share": 0}), CONTRACTS[3])
