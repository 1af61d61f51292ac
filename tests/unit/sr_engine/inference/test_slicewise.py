"""Each figure sees the one fault it is for, and no other."""

from dataclasses import replace

import numpy as np
import pytest

from sr_engine.inference import tiling
from sr_engine.inference.selfcheck import check
from sr_engine.inference.slicewise import NEIGHBOUR_MARGIN_HU
from sr_engine.inference.tiling import Joins
from sr_engine.networks.contract import SliceContract
from sr_engine.volume import SelfCheck, Volume

RATIO, SLICES, PLANE = 5, 13, 48
CONTRACT = SliceContract(6, 16, RATIO, RATIO)  # that of TVSRN-V2: every third thick position is a join
FINE = {"window_seam": 1.3, "tile_seam": 1.2, "beyond_neighbours_percent": 0.0, "beyond_range_percent": 0.0}


@pytest.fixture
def thick() -> Volume:
    """A smooth texture of whole range, its darkest and brightest voxels in a corner."""
    rng = np.random.default_rng(3)
    z, y, x = np.ogrid[:SLICES, :PLANE, :PLANE]
    voxels = 100 * np.sin(z / 2 + x / 6) + 80 * np.cos(y / 5 - z) + rng.normal(0, 4, (SLICES, PLANE, PLANE))
    voxels[:, 0, :2] = -1000, 1500
    return Volume(voxels.astype(np.float32), (5.0, 0.8, 0.8), np.eye(4), 5.0)


@pytest.fixture
def thin(thick: Volume) -> np.ndarray:
    """Straight lines between the thick slices, with noise of their own."""
    place = np.arange((SLICES - 1) * RATIO + 1) / RATIO
    below = np.minimum(place.astype(int), SLICES - 2)
    weight = (place - below)[:, None, None]
    made = thick.voxels[below] * (1 - weight) + thick.voxels[below + 1] * weight
    made[:, 2:] += np.random.default_rng(4).normal(0, 6, made[:, 2:].shape)
    return made.astype(np.float32)


def found(thin: np.ndarray, thick: Volume, tile: int | None = 40) -> SelfCheck:
    joins = tiling.joins(thick.voxels.shape, CONTRACT, 1, tile)
    return check(replace(thick, voxels=thin, spacing_mm=(1.0, 0.8, 0.8)), thick, RATIO, joins)


def beyond(check: SelfCheck) -> set[str]:
    """Names of the figures that a good volume does not reach."""
    shifted = {"max_slice_shift_hu"} if (check.max_slice_shift_hu or 0) > 2 else set()
    return shifted | {name for name, fine in FINE.items() if (getattr(check, name) or 0) > fine}


def test_a_good_volume_is_good_by_every_figure(thin: np.ndarray, thick: Volume):
    fine = found(thin, thick)
    assert beyond(fine) == set()
    assert fine.window_seam == pytest.approx(1, abs=0.2)
    assert fine.tile_seam == pytest.approx(1, abs=0.2)


def test_windows_that_do_not_meet_are_a_seam(thin: np.ndarray, thick: Volume):
    """Every second window is off by a checkerboard, so that no mean of a slice tells; what two share is averaged."""
    light = np.where(np.indices((PLANE, PLANE)).sum(axis=0) % 2 == 0, 60, -60)
    windows = tiling.windows(SLICES, CONTRACT)
    seen_by = sum(np.isin(np.arange(len(thin)), np.r_[window.thin]) for window in windows)
    for window in windows[1::2]:
        thin[window.thin, 2:] += light[2:] / seen_by[window.thin, None, None]
    assert beyond(found(thin, thick)) == {"window_seam"}


def test_tiles_that_do_not_meet_are_a_seam(thin: np.ndarray, thick: Volume):
    """One tile is brighter by a chequered amount, along z: neither mean nor neighbours tell."""
    thin[:, 24:, :] += np.where(np.arange(len(thin)) % 2 == 0, 60, -60)[:, None, None]
    joins = Joins(rows=(23,))
    seen = check(replace(thick, voxels=thin, spacing_mm=(1.0, 0.8, 0.8)), thick, RATIO, joins)
    assert seen.tile_seam is not None
    assert seen.tile_seam > 2


def test_columns_are_looked_at_as_rows_are(thin: np.ndarray, thick: Volume):
    thin[:, :, 24:] += 60
    joins = Joins(columns=(23,))
    assert (check(replace(thick, voxels=thin, spacing_mm=(1.0, 0.8, 0.8)), thick, RATIO, joins).tile_seam or 0) > 2


def test_one_slice_that_jumps_away_shows_in_its_mean(thin: np.ndarray, thick: Volume):
    thin[17, 2:] += 60
    seen = found(thin, thick)
    assert beyond(seen) == {"max_slice_shift_hu"}
    assert 20 < (seen.max_slice_shift_hu or 0) < 60


def test_the_end_of_a_body_is_no_jump(thin: np.ndarray, thick: Volume):
    """Half of a thick slice is air: what is thin there is one or the other, not the mean."""
    thick.voxels[8:], thin[43:] = -1000, -1000
    thick.voxels[8], thin[38:43] = (thick.voxels[7] - 1000) / 2, thick.voxels[7]
    assert beyond(found(thin, thick)) == set()


def test_what_no_neighbour_has_is_counted(thin: np.ndarray, thick: Volume):
    """Some voxels of one slice, as far above as others below."""
    thin[17, 10, :23] += 3 * NEIGHBOUR_MARGIN_HU
    thin[17, 11, :23] -= 3 * NEIGHBOUR_MARGIN_HU
    seen = found(thin, thick)
    assert beyond(seen) == {"beyond_neighbours_percent"}
    assert seen.beyond_neighbours_percent == pytest.approx(100 * 46 / thin.size)


def test_voxels_beyond_the_range_are_counted(thin: np.ndarray, thick: Volume):
    thin[:, 0, 0], thin[:, 0, 1] = -1100, 1600
    seen = found(thin, thick)
    assert beyond(seen) == {"beyond_range_percent"}
    assert seen.beyond_range_percent == pytest.approx(100 * 2 / PLANE**2)


def test_where_nothing_was_joined_there_is_no_seam(thin: np.ndarray, thick: Volume):
    assert check(replace(thick, voxels=thin, spacing_mm=(1.0, 0.8, 0.8)), thick, RATIO).window_seam is None
    everywhere = Joins(slices=tuple(range(len(thin) - 1)))
    seen = check(replace(thick, voxels=thin, spacing_mm=(1.0, 0.8, 0.8)), thick, RATIO, everywhere)
    assert (seen.window_seam, seen.tile_seam) == (None, None)


def test_joins_are_where_pieces_begin_and_end():
    """Windows share one slice, 15 and 30: steps lead into it and out of it. Tiles overlap by more."""
    joins = tiling.joins((10, 300, 64), CONTRACT, 1, 272)
    assert joins.slices == (14, 15, 29, 30)
    (first, last) = tiling.spans(300, 272)
    assert joins.rows == (last.start - 1, first.stop - 1)
    assert joins.columns == ()
