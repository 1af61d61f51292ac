"""Dark lung gets darker along z, averages stay, and nothing else moves."""

from pathlib import Path

import numpy as np
import pytest

from sr_engine import checkpoint
from sr_engine.inference.consistency import average_matrix, make_consistent
from sr_engine.inference.dark_lung import deepen, depth_hu
from sr_engine.inference.restore import identify, restore
from sr_engine.networks.registry import shipped_weights
from sr_engine.settings import EngineSettings
from sr_engine.volume import Volume
from tests.unit.sr_engine.test_checkpoint import save_small

RATIO, SLICES = 5, 9


def lung(mean_hu: float, spread_hu: float) -> tuple[np.ndarray, np.ndarray]:
    """Thin slices of scattered values, and the thick slices that they average back to."""
    rng = np.random.default_rng(2)
    thin = rng.normal(mean_hu, spread_hu, ((SLICES - 1) * RATIO + 1, 24, 24)).astype(np.float32)
    _, average = average_matrix(SLICES, RATIO, 1.0)
    thick = np.full((SLICES, 24, 24), mean_hu, np.float32)
    thick[1:-1] = np.tensordot(average, thin, axes=1)
    make_consistent(thin, thick, RATIO, width=1.0)
    return thin, thick


def test_more_of_dark_lung_lies_below_950_and_averages_stay():
    thin, thick = lung(-900, 30)
    before = (thin < -950).mean()
    deepen(thin, thick, RATIO, 1.0, 40)
    _, average = average_matrix(SLICES, RATIO, 1.0)
    assert (thin < -950).mean() > 1.3 * before
    assert np.allclose(np.tensordot(average, thin, axes=1), thick[1:-1], atol=0.01)


def test_what_a_thick_slice_has_in_common_stays():
    """Lung at -950 HU throughout: a darker slice would no longer average back. No ripple at the ends either."""
    thin = np.full((41, 4, 4), -950, np.float32)
    deepen(thin, np.full((9, 4, 4), -950, np.float32), RATIO, 1.0, 40)
    assert np.allclose(thin, -950, atol=0.01)


@pytest.mark.parametrize(("mean_hu", "spread_hu"), [(-800, 20), (40, 30), (-1100, 15)])
def test_other_tissue_and_air_are_left_alone(mean_hu: float, spread_hu: float):
    thin, thick = lung(mean_hu, spread_hu)
    before = thin.copy()
    deepen(thin, thick, RATIO, 1.0, 40)
    assert np.allclose(thin, before, atol=0.01)


def test_slices_without_a_whole_profile_are_not_lowered():
    """Nothing says there what they average to, so nothing would be taken back."""
    thin = np.full((6, 4, 4), -950, np.float32)
    thin[::2] = -900
    before = thin.copy()
    deepen(thin, np.full((2, 4, 4), -925, np.float32), RATIO, 1.0, 40)
    assert np.array_equal(thin, before)


def test_a_depth_of_nothing_changes_nothing():
    thin, thick = lung(-940, 20)
    before = thin.copy()
    deepen(thin, thick, RATIO, 1.0, 0)
    assert np.array_equal(thin, before)


def test_the_model_card_says_how_deep(tmp_path: Path):
    """The same weights with another depth make other slices, and say so by another digest."""
    weights = tmp_path / "a.safetensors"
    card = save_small(weights)
    _, thick = lung(-915, 30)
    thick += np.random.default_rng(3).normal(0, 25, thick.shape).astype(np.float32)
    source = Volume(thick, (5.0, 0.8, 0.8), np.eye(4), 5.0)
    engine = EngineSettings(network="tvsrn_v2", weights=weights, device="cpu")
    plain = restore(source, engine)
    deeper = card.model_copy(update={"dark_lung_hu": {5: 40.0}})
    checkpoint.card_path(weights).write_text(deeper.model_dump_json())
    made = restore(source, engine)
    assert (made.volume.voxels < -950).mean() > (plain.volume.voxels < -950).mean()
    assert made.check.rms_error_hu < 0.01
    assert made.check.network_rms_hu == plain.check.network_rms_hu
    assert identify(engine).digest == deeper.digest != card.digest
    untouched = engine.model_copy(update={"data_consistency": False})
    checkpoint.card_path(weights).write_text(card.model_dump_json())
    without = restore(source, untouched).volume.voxels
    checkpoint.card_path(weights).write_text(deeper.model_dump_json())
    assert np.array_equal(restore(source, untouched).volume.voxels, without)


def test_between_two_ratios_the_depth_lies_between_theirs():
    measured = {2: 10.0, 5: 40.0}
    assert [depth_hu(measured, ratio) for ratio in (2, 3, 5, 6)] == [10, 20, 40, 40]
    assert depth_hu({}, 5) == 0


def test_shipped_weights_have_a_depth_for_ratio_5():
    assert depth_hu(checkpoint.read_card(shipped_weights("tvsrn_v2")).dark_lung_hu, 5) > 0
