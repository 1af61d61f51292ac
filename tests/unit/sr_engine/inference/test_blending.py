"""Overlaps on grids worked out by hand."""

import numpy as np
import pytest
import torch

from sr_engine.inference.blending import Blender, fades
from sr_engine.inference.tiling import spans, windows
from sr_engine.networks.contract import SliceContract


def test_two_tiles_fade_into_each_other():
    first, second = fades([slice(0, 4), slice(1, 5)], 5)
    assert first == pytest.approx([1, 0.75, 0.5, 0.25])
    assert second == pytest.approx([0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize("size", [40, 97, 130])
def test_fades_sum_to_one(size: int):
    tiles = spans(size, 40, overlap=16)
    total = np.zeros(size)
    for tile, fade in zip(tiles, fades(tiles, size), strict=True):
        assert fade.min() > 0
        total[tile] += fade
    assert total == pytest.approx(np.ones(size))


def test_windows_are_averaged_where_they_overlap():
    """Three thick slices, two in and three out at ratio 2: thin slice 2 lies in both windows."""
    chosen = windows(3, SliceContract(2, 3, 2))
    blender = Blender((5, 1, 1), chosen, [slice(0, 1)], [slice(0, 1)])
    blender.add(chosen[0], slice(0, 1), slice(0, 1), torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1))
    blender.add(chosen[1], slice(0, 1), slice(0, 1), torch.tensor([5.0, 6.0, 7.0]).view(3, 1, 1))
    assert blender.voxels.ravel().tolist() == [1, 2, 4, 6, 7]


def test_tiles_meet_in_the_plane():
    chosen = windows(2, SliceContract(2, 3, 2))
    rows, columns = [slice(0, 1)], [slice(0, 4), slice(1, 5)]
    blender = Blender((3, 1, 5), chosen, rows, columns)
    blender.add(chosen[0], rows[0], columns[0], torch.full((3, 1, 4), 0.0))
    blender.add(chosen[0], rows[0], columns[1], torch.full((3, 1, 4), 8.0))
    assert blender.voxels[1, 0].tolist() == [0, 2, 4, 6, 8]
