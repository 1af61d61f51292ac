"""Windows and tiles on grids small enough to draw."""

from itertools import pairwise

import pytest

from sr_engine.inference.tiling import edge_slices, spans, thin_count, windows
from sr_engine.networks.contract import SliceContract
from sr_engine.networks.registry import NETWORKS

PAPER = SliceContract(slices_in=4, slices_out=16, ratio=5)
RELEASED = SliceContract(slices_in=4, slices_out=10, ratio=5, first_out=3)
MARGIN = SliceContract(slices_in=6, slices_out=16, ratio=5, first_out=5)


def test_six_thick_slices_take_two_windows_the_last_moved_back():
    first, second = windows(6, PAPER)
    assert (first.thick, first.outputs, first.thin) == ((0, 1, 2, 3), slice(0, 16), slice(0, 16))
    assert (second.thick, second.outputs, second.thin) == ((2, 3, 4, 5), slice(0, 16), slice(10, 26))


def test_seven_thick_slices_take_two_windows_that_share_one_position():
    assert [window.thick for window in windows(7, PAPER)] == [(0, 1, 2, 3), (3, 4, 5, 6)]
    assert [window.thin for window in windows(7, PAPER)] == [slice(0, 16), slice(15, 31)]


def test_the_papers_volume_takes_twenty_windows():
    """60 thick slices at stride 3: 20 windows where the published code takes 29."""
    assert len(windows(60, PAPER)) == 20


def test_two_thick_slices_are_filled_up_with_the_last():
    (window,) = windows(2, PAPER)
    assert (window.thick, window.outputs, window.thin) == ((0, 1, 1, 1), slice(0, 6), slice(0, 6))


def test_a_margin_reaches_beyond_both_ends():
    (window,) = windows(4, MARGIN)
    assert window.thick == (0, 0, 1, 2, 3, 3)
    assert window.missing == (True, False, False, False, False, True)
    assert (window.outputs, window.thin) == (slice(0, 16), slice(0, 16))


def test_the_slices_that_the_published_loop_never_makes_are_made():
    """TVSRN's own loop leaves thin 0..2 and the last three empty; here windows begin and end beyond the volume."""
    first, *_, last = windows(5, RELEASED)
    assert (first.thick, first.outputs, first.thin) == ((0, 0, 1, 2), slice(2, 10), slice(0, 8))
    assert last.thick == (2, 3, 4, 4)
    assert last.thin.stop == 21


@pytest.mark.parametrize("slices", range(1, 12))
@pytest.mark.parametrize(
    "contract",
    [PAPER, RELEASED, MARGIN, *(NETWORKS[name].build({}).contract(ratio) for name in NETWORKS for ratio in (2, 3, 6))],
    ids=str,
)
def test_every_thin_slice_lies_in_a_window(contract: SliceContract, slices: int):
    covered: list[int] = []
    for window in windows(slices, contract):
        assert len(window.thick) == contract.slices_in
        assert min(window.thick) >= 0
        assert max(window.thick) < slices
        assert window.outputs.stop - window.outputs.start == window.thin.stop - window.thin.start
        covered += range(window.thin.start, window.thin.stop)
    assert set(covered) == set(range(thin_count(slices, contract.ratio)))
    assert len(covered) <= 3 * thin_count(slices, contract.ratio) + contract.slices_out


@pytest.mark.parametrize("slices", [2, 5, 9])
def test_neighbouring_windows_overlap(slices: int):
    for contract in (PAPER, RELEASED, MARGIN):
        chosen = windows(slices, contract)
        for before, after in pairwise(chosen):
            assert after.thin.start < before.thin.stop


def test_edge_slices_rest_on_a_repeated_thick_slice():
    assert not edge_slices(6, SliceContract(2, 6, 5)).any()
    for contract in (SliceContract(4, 6, 5, 5), MARGIN):
        assert edge_slices(6, contract).tolist() == [True] * 5 + [False] * 16 + [True] * 5
    assert edge_slices(1, SliceContract(2, 6, 5)).tolist() == [True]
    assert not edge_slices(6, PAPER).any()


def test_tiles_are_equal_overlap_and_cover():
    assert spans(512, 288) == [slice(0, 272), slice(240, 512)]
    assert spans(512, 256) == [slice(0, 192), slice(160, 352), slice(320, 512)]


def test_a_plane_within_the_limit_is_not_cut():
    assert spans(288, 288) == [slice(0, 288)]
    assert spans(5000, None) == [slice(0, 5000)]


@pytest.mark.parametrize("size", range(65, 700, 37))
def test_tiles_of_any_plane_share_at_least_the_overlap(size: int):
    tiles = spans(size, 64, overlap=16)
    assert tiles[0].start == 0
    assert tiles[-1].stop == size
    assert len({tile.stop - tile.start for tile in tiles}) == 1
    assert tiles[0].stop <= 64
    for before, after in pairwise(tiles):
        assert before.stop - after.start >= 16


def test_windows_can_share_more_thick_slices():
    """Four slices in: every second, then every single thick slice begins a window; none reads beyond the volume."""
    for shared, starts in ((1, [0, 3, 4]), (2, [0, 2, 4]), (3, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])):
        chosen = windows(8, PAPER, shared)
        assert [window.thick[0] for window in chosen] == starts
        assert not any(any(window.missing) for window in chosen)
        assert {index for window in chosen for index in range(36)[window.thin]} == set(range(36))
