"""The one door, on made and on real volumes."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sr_engine import nifti
from sr_engine.allocator import memory_bytes
from sr_engine.errors import DeviceLost, ImplausibleResult, InvalidVolume
from sr_engine.inference.restore import _threads_that_fit, restore, thin_ratio
from sr_engine.intensity import CT_RANGE
from sr_engine.metrics import psnr_db
from sr_engine.networks.interpolation import LinearInterpolation
from sr_engine.networks.registry import NETWORKS
from sr_engine.networks.tvsrn_v2 import TvsrnV2, TvsrnV2Config
from sr_engine.settings import EngineSettings
from sr_engine.volume import Volume
from tests.unit.sr_engine.test_checkpoint import SMALL, save_small


def scan(slices: int = 6, height: int = 16, width: int = 11, step: float = 5.0) -> Volume:
    voxels = np.random.default_rng(4).integers(-1024, 2000, (slices, height, width)).astype(np.float32)
    affine = np.array([[0.2, 0, 0.7, -120], [0.1, 0.8, 0, -90], [step, 0, 0, 33], [0, 0, 0, 1]])
    return Volume(voxels, (step, 0.8, 0.7), affine, step)


def settings(network: str, **fields: object) -> EngineSettings:
    return EngineSettings.model_validate({"network": network, "device": "cpu", "allow_untrained": True, **fields})


@pytest.mark.parametrize("network", list(NETWORKS))
@pytest.mark.parametrize("slices", [1, 3, 6])
def test_every_thin_slice_from_first_to_last_is_restored(network: str, slices: int):
    source = scan(slices, 8, 8)
    thin = restore(source, settings(network))
    assert thin.ratio == 5
    assert thin.volume.voxels.shape == ((slices - 1) * 5 + 1, 8, 8)
    assert thin.volume.voxels.dtype == np.float32
    if NETWORKS[network].learned:  # may have weights, then thick positions are predictions
        return
    assert np.array_equal(thin.volume.voxels[::5], source.voxels)


def test_the_thin_grid_begins_exactly_on_the_first_thick_slice():
    source = scan()
    thin = restore(source, settings("cubic")).volume
    assert thin.spacing_mm == (1.0, 0.8, 0.7)
    assert thin.slice_thickness_mm == 1.0
    for index in range(6):
        assert np.array_equal(thin.position_mm(0), source.position_mm(0))
        assert thin.position_mm(index * 5) == pytest.approx(source.position_mm(index), abs=1e-9)
    assert np.array_equal(thin.affine[:, 1:], source.affine[:, 1:])


def test_thin_slices_name_their_thick_neighbours():
    origins = restore(scan(), settings("cubic")).origins
    assert [(o.thick_below, o.thick_above, o.edge) for o in origins[4:7]] == [
        (0, 1, True),
        (1, 1, False),
        (1, 2, False),
    ]
    assert (origins[-1].thick_below, origins[-1].thick_above, origins[-1].edge) == (5, 5, True)


def test_linear_is_the_straight_line_everywhere():
    source = scan()
    expected = np.stack([np.interp(np.arange(26) / 5, np.arange(6), line) for line in source.voxels.reshape(6, -1).T])
    thin = restore(source, settings("linear"))
    assert np.allclose(thin.volume.voxels.reshape(26, -1), expected.T, atol=1e-3)
    assert thin.check.roughness_ratio == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("slices", [2, 4, 7])
def test_untrained_tvsrn_v2_equals_cubic(slices: int, tmp_path: Path):
    save_small(tmp_path / "zero.safetensors")
    plain = settings("tvsrn_v2", weights=tmp_path / "zero.safetensors", data_consistency=False)
    learned = restore(scan(slices), plain)
    assert np.array_equal(learned.volume.voxels, restore(scan(slices), settings("cubic")).volume.voxels)


def test_tiles_in_the_plane_leave_no_seam(tmp_path: Path):
    """Above the tile limit tiles fade into each other: equal to the whole plane but for rounding."""
    save_small(tmp_path / "zero.safetensors")
    source = scan(3, 16, 300)
    plain = {"weights": tmp_path / "zero.safetensors", "data_consistency": False, "tile": 128}
    learned = restore(source, settings("tvsrn_v2", target_spacing_mm=2.5, **plain))
    cubic = restore(source, settings("cubic", target_spacing_mm=2.5))
    assert np.allclose(learned.volume.voxels, cubic.volume.voxels, atol=1e-2)


def test_what_a_network_makes_averages_back_to_its_source(tmp_path: Path):
    """By default, and only for networks: interpolation gives thick slices back instead."""
    save_small(tmp_path / "zero.safetensors")
    source = scan()
    source.voxels[:] = source.voxels / 10 + 300
    source.voxels[:, 0, :2] = -900, 1500  # a wide range, so that nothing is clipped to it
    free = restore(source, settings("tvsrn_v2", weights=tmp_path / "zero.safetensors", data_consistency=False))
    bound = restore(source, settings("tvsrn_v2", weights=tmp_path / "zero.safetensors"))
    assert free.check.rms_error_hu > 5
    assert bound.check.rms_error_hu < 0.01
    assert restore(source, settings("cubic")).check.rms_error_hu == pytest.approx(free.check.rms_error_hu, abs=1e-3)


def test_progress_counts_every_tile():
    calls: list[tuple[int, int]] = []
    restore(scan(), settings("linear"), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 5) for done in range(1, 6)]


def test_overshoot_stays_within_a_tenth_of_the_range_and_above_air():
    voxels = np.full((6, 4, 4), -1024, dtype=np.float32)
    voxels[2:4] = 2976
    thin = restore(Volume(voxels, (5.0, 1.0, 1.0), np.eye(4), 5.0), settings("cubic"))
    assert thin.check.minimum_hu == -1024
    assert 2976 < thin.check.maximum_hu <= 2976 + 400


@pytest.mark.parametrize(
    ("step", "target", "ratio"), [(5, 1, 5), (5, 5, 1), (3.27, 1, 3), (2.5, 1, 3), (1, 5, 1), (10, 2, 5), (5, 1.25, 4)]
)
def test_the_ratio_is_the_nearest_whole_number(step: float, target: float, ratio: int):
    assert thin_ratio(step, target) == ratio


def test_a_thin_volume_is_refused():
    with pytest.raises(InvalidVolume, match=r"already thin: slices lie 1 mm apart.*target of 1 mm"):
        restore(scan(step=1.0), settings("cubic"))


def test_values_that_are_not_numbers_are_refused():
    source = scan()
    source.voxels[2, 3, 4] = np.inf
    with pytest.raises(InvalidVolume, match="not numbers"):
        restore(source, settings("cubic"))


def test_an_empty_volume_is_refused():
    with pytest.raises(InvalidVolume, match="no voxels"):
        restore(scan(slices=0), settings("cubic"))


def test_broken_weights_do_not_make_a_series(tmp_path: Path):
    network = TvsrnV2(TvsrnV2Config(**SMALL))
    torch.nn.init.constant_(network.head[-1].bias, math.nan)
    save_small(tmp_path / "nan.safetensors", network)
    with pytest.raises(ImplausibleResult, match="not finite"):
        restore(scan(), settings("tvsrn_v2", weights=tmp_path / "nan.safetensors"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU that must be absent here")
def test_a_missing_gpu_is_named():
    with pytest.raises(DeviceLost, match="no CUDA GPU: set device to auto"):
        restore(scan(), settings("cubic", device="cuda"))


def test_no_more_tiles_run_at_a_time_than_memory_holds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    network, source = LinearInterpolation(), scan(3, 100, 100)
    assert _threads_that_fit(network, source, None) == 4
    network.bytes_per_pixel = memory_bytes() // 5 // 100**2  # half of the memory holds two planes and a half
    assert _threads_that_fit(network, source, None) == 2
    assert _threads_that_fit(network, source, 64) == 4  # tiles of 64 x 64
    network.bytes_per_pixel = memory_bytes()
    assert _threads_that_fit(network, source, None) == 1


def test_bfloat16_rounds_what_the_network_adds_and_nothing_else(tmp_path: Path):
    """A thousandth or so of the residual; the cubic base would be off by up to 4 HU."""
    network = TvsrnV2(TvsrnV2Config(**SMALL))
    save_small(tmp_path / "zero.safetensors", network)
    torch.nn.init.normal_(network.head[-1].weight, std=0.02)
    save_small(tmp_path / "a.safetensors", network)
    cubic, zero, low, full = (
        restore(
            scan(), settings(name, weights=tmp_path / file, data_consistency=False, precision=precision)
        ).volume.voxels
        for name, file, precision in (
            ("cubic", "a.safetensors", "bfloat16"),
            ("tvsrn_v2", "zero.safetensors", "bfloat16"),
            ("tvsrn_v2", "a.safetensors", "bfloat16"),
            ("tvsrn_v2", "a.safetensors", "float32"),
        )
    )
    assert np.array_equal(zero, cubic)
    error, added = np.abs(low - full).mean(), np.abs(full - cubic).mean()
    assert added > 1
    assert 0 < error < added / 30


def test_the_number_of_threads_changes_nothing(tmp_path: Path):
    network = TvsrnV2(TvsrnV2Config(**SMALL))
    torch.nn.init.normal_(network.head[-1].weight)
    save_small(tmp_path / "a.safetensors", network)
    one, three = (
        restore(scan(12), settings("tvsrn_v2", weights=tmp_path / "a.safetensors", threads=threads))
        for threads in (1, 3)
    )
    assert np.array_equal(one.volume.voxels, three.volume.voxels)


def test_cubic_beats_linear_on_a_real_chest(shared_data: Path):
    """Slices of 1 mm averaged five by five and restored: PSNR over [-1024, 2048], the outer spacings left out."""
    truth = nifti.load(shared_data / "train" / "lungfcp_01_0001_b31f_1.0mm.nii.gz")
    thin = np.ascontiguousarray(truth.voxels[3:-3, ::2, ::2])
    thick = thin[: len(thin) // 5 * 5].reshape(-1, 5, *thin.shape[1:]).mean(axis=1)
    source = Volume(thick, (5.0, *truth.spacing_mm[1:]), truth.affine, 5.0)
    inner = slice(10, 5 * len(thick) - 15)
    scores = {}
    for network in ("linear", "cubic"):
        restored = restore(source, settings(network))
        scores[network] = psnr_db(restored.volume.voxels[inner], thin[2:][inner], CT_RANGE.low_hu, CT_RANGE.high_hu)
        assert abs(restored.check.mean_offset_hu) < 1
        assert restored.check.lung_offset_hu is not None
        assert abs(restored.check.lung_offset_hu) < 2
    assert scores["cubic"] > scores["linear"] + 0.3


def test_windows_that_share_more_are_averaged(tmp_path: Path):
    """The same network asked about more windows: another volume, equal at the ends that only one window sees."""
    network = TvsrnV2(TvsrnV2Config(**SMALL))
    torch.nn.init.normal_(network.head[-1].weight)
    save_small(tmp_path / "a.safetensors", network)
    once, thrice = (
        restore(
            scan(8), settings("tvsrn_v2", weights=tmp_path / "a.safetensors", shared_slices=n, data_consistency=False)
        ).volume.voxels
        for n in (1, 3)
    )
    assert np.array_equal(once[:5], thrice[:5])
    assert not np.allclose(once[10:20], thrice[10:20], atol=0.1)
