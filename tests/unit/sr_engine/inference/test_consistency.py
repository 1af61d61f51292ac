"""After the step, thin slices average back to the thick ones; what averages to nothing is left alone."""

import numpy as np
import pytest

from sr_engine.inference.consistency import average_matrix, make_consistent


def volumes(thick_slices: int, ratio: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    thin = rng.normal(-500, 200, ((thick_slices - 1) * ratio + 1, 40, 3)).astype(np.float32)
    return thin, rng.normal(-500, 200, (thick_slices, 40, 3)).astype(np.float32)


@pytest.mark.parametrize("ratio", range(2, 11))
def test_thin_slices_average_back_to_the_thick_ones_exactly(ratio: int):
    thin, thick = volumes(7, ratio)
    make_consistent(thin, thick, ratio, width=1.0)
    first, matrix = average_matrix(7, ratio, 1.0)
    assert (first, len(matrix)) == (1, 5)
    assert np.allclose(np.tensordot(matrix, thin, axes=1), thick[1:-1], atol=0.01)


def test_what_averages_back_already_is_left_alone():
    thin, thick = volumes(6, 5)
    make_consistent(thin, thick, 5, width=1.0)
    once = thin.copy()
    make_consistent(thin, thick, 5, width=1.0)
    assert np.allclose(thin, once, atol=0.01)


def test_the_change_has_no_jump_where_two_profiles_meet():
    """Thick slices that rise by turns: the change between two thin slices stays below that between two thick ones."""
    thin = np.zeros((51, 1, 1), np.float32)
    thick = (np.arange(11, dtype=np.float32) % 2 * 100)[:, None, None]
    make_consistent(thin, thick, 5, width=1.0)
    steps = np.abs(np.diff(thin[10:41, 0, 0]))
    assert steps.max() < 75  # 100 without smoothing


def test_a_shift_of_density_is_taken_back():
    truth = np.full((31, 4, 4), -850, np.float32)
    thin, thick = truth - 16, np.full((7, 4, 4), -850, np.float32)
    make_consistent(thin, thick, 5, width=1.0)
    _, matrix = average_matrix(7, 5, 1.0)
    assert np.allclose(np.tensordot(matrix, thin, axes=1), -850, atol=0.01)
    assert np.allclose(thin[8:-8], -850, atol=0.5)


def test_overlapping_slices_do_not_amplify_noise():
    """Slices twice as thick as their spacing: the alternating part of the noise cannot be in the truth."""
    thin = np.zeros((51, 4, 4), np.float32)
    thick = np.where(np.arange(11) % 2, 10, -10).astype(np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)
    make_consistent(thin, thick, 5, width=2.0)
    assert np.abs(thin).max() < 40  # 330 with a hundredth of the damping


def test_without_a_whole_profile_nothing_changes():
    thin, thick = volumes(2, 5)
    before = thin.copy()
    make_consistent(thin, thick, 5, width=1.0)
    assert np.array_equal(thin, before)
