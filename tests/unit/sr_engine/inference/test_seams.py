"""No seam between tiles or windows, found by a statistic that sees the seams of the published way.

What joining adds is the difference between joined predictions and a reference without borders: the whole plane, or the
average of all windows there can be. A seam is a step of that difference across a border. In the plane it is measured
against the picture's own mean step, along z against the difference's steps elsewhere.
"""

import numpy as np
import pytest
import torch

from sr_engine.inference import tiling
from sr_engine.inference.restore import _predict, _Run, sampling_of
from sr_engine.networks.interpolation import cubic
from sr_engine.networks.tvsrn_v2 import TvsrnV2, TvsrnV2Config
from sr_engine.volume import FloatArray, Volume

RATIO, WIDTH, TILE = 5, 96, 64
SEAM_IN_PLANE = 0.03  # of the picture's steps; measured: below 0.01 here, 0.09 with tiles side by side
SEAM_ALONG_Z = 1.6  # times the other steps; measured: 0.9 to 1.3 here, 2.5 to 2.9 with windows pasted over one another


@pytest.fixture(scope="module")
def network() -> TvsrnV2:
    """A small network with weights large enough that what lies around a voxel matters."""
    torch.manual_seed(5)
    made = TvsrnV2(TvsrnV2Config(encoder_layers=2, tab_layers=2, decoder_groups=1, decoder_layers=2, heads=2)).eval()
    for name, parameter in made.named_parameters():
        if parameter.ndim > 1 and "position_mlp" not in name:
            torch.nn.init.trunc_normal_(parameter, std=0.1)
    return made


@pytest.fixture(scope="module")
def thick() -> Volume:
    """A smooth texture."""
    noise = torch.randn(1, 1, 10, 32, WIDTH, generator=torch.Generator().manual_seed(2))
    smooth = torch.nn.functional.avg_pool3d(noise, (3, 9, 9), 1, (1, 4, 4))[0, 0] * 3000 - 500
    return Volume(smooth.numpy(), (5.0, 0.7, 0.7), np.eye(4), 5.0)


@pytest.fixture(scope="module")
def whole(network: TvsrnV2, thick: Volume) -> FloatArray:
    return _restored(network, thick, tile=None)


def _restored(network: TvsrnV2, thick: Volume, tile: int | None) -> FloatArray:
    """By the engine's own windows, tiles and blending."""
    run = _Run(network, RATIO, sampling_of(thick), torch.device("cpu"), threads=1)
    return _predict(run, thick.voxels, tile, progress=None)


@torch.inference_mode()
def _window(network: TvsrnV2, thick: Volume, first: int) -> FloatArray:
    """What the network adds to cubic interpolation from thick slice ``first`` on: 16 thin slices."""
    read = [min(max(first + slot, 0), len(thick.voxels) - 1) for slot in range(-1, 5)]
    seen = torch.from_numpy(thick.voxels[None, read])
    added: FloatArray = (network(seen, RATIO, sampling_of(thick)) - cubic(seen, RATIO))[0].numpy()
    return added


def _steps(values: FloatArray, axis: int) -> FloatArray:
    """Mean absolute step between each index along ``axis`` and the next."""
    return np.abs(np.diff(values, axis=axis)).mean(axis=tuple(other for other in range(3) if other != axis))


def _seam_in_plane(joined: FloatArray, whole: FloatArray, borders: list[int]) -> float:
    return float(_steps(joined - whole, 2)[np.array(borders) - 1].mean() / _steps(whole, 2).mean())


def _seam_along_z(joined: FloatArray, reference: FloatArray, borders: list[int]) -> float:
    steps = _steps(joined - reference, 0)
    at = np.isin(np.arange(len(steps)) + 1, borders)
    return float(steps[at].mean() / steps[~at].mean())


def test_tiles_leave_no_seam(network: TvsrnV2, thick: Volume, whole: FloatArray):
    tiles = tiling.spans(WIDTH, TILE)
    borders = [place for tile in tiles for place in (tile.start, tile.stop) if 0 < place < WIDTH]
    assert borders == [64, 32]
    assert _seam_in_plane(_restored(network, thick, TILE), whole, borders) < SEAM_IN_PLANE


def test_tiles_side_by_side_leave_one(network: TvsrnV2, thick: Volume, whole: FloatArray):
    """As published: no overlap in the plane."""
    halves = [
        _restored(network, Volume(np.ascontiguousarray(half), thick.spacing_mm, thick.affine, 5.0), tile=None)
        for half in np.split(thick.voxels, 2, axis=2)
    ]
    assert _seam_in_plane(np.concatenate(halves, axis=2), whole, [WIDTH // 2]) > 2 * SEAM_IN_PLANE


def _all_windows(network: TvsrnV2, thick: Volume) -> FloatArray:
    """Average of the windows at every thick slice: no place is a border more than another."""
    total, times = np.zeros((46 + 30, 32, WIDTH), np.float32), np.zeros(46 + 30, np.float32)
    for first in range(-2, 9):
        place = slice((first + 3) * RATIO, (first + 3) * RATIO + 16)
        total[place] += _window(network, thick, first)
        times[place] += 1
    return (total / np.maximum(times, 1)[:, None, None])[15:61]


def test_windows_leave_no_seam(network: TvsrnV2, thick: Volume, whole: FloatArray):
    """Before and after the one slice that neighbouring windows share."""
    base = cubic(torch.from_numpy(np.pad(thick.voxels, ((1, 1), (0, 0), (0, 0)), mode="edge")[None]), RATIO)[0].numpy()
    shared = [window.thin.start for window in tiling.windows(10, network.contract(RATIO))[1:]]
    assert shared == [15, 30]
    borders = [border for thin in shared for border in (thin, thin + 1)]
    assert _seam_along_z(whole - base, _all_windows(network, thick), borders) < SEAM_ALONG_Z


def test_windows_pasted_over_one_another_leave_one(network: TvsrnV2, thick: Volume):
    """As in the released code of TVSRN: every second thick slice, the central ten of 16 slices, the last one counts."""
    pasted = np.zeros((46, 32, WIDTH), np.float32)
    firsts = range(0, 7, 2)
    for first in firsts:
        pasted[first * RATIO + 3 : first * RATIO + 13] = _window(network, thick, first)[3:13]
    inside = slice(3, 43)
    borders = [10, 20, 30]
    assert _seam_along_z(pasted[inside], _all_windows(network, thick)[inside], borders) > SEAM_ALONG_Z
