"""Pairs come from the seed and the step alone, along any axis, simulated or real."""

import hashlib

import numpy as np
import pytest
import torch

from sr_engine.errors import InvalidVolume
from sr_engine.networks.registry import NETWORKS
from sr_engine.training.config import DataConfig
from sr_engine.training.pairs import Batch, draw
from sr_engine.training.subjects import Subject
from tests.unit.sr_engine.training.samples import data, paired, subject

CONTRACTS = {ratio: NETWORKS["tvsrn_v2"].build({}).contract(ratio) for ratio in (2, 3, 5)}
PLAIN = {"odd_profile_share": 0, "noise_share": 0, "edge_share": 0}


def pairs(config: DataConfig, step: int, batch: int = 3) -> Batch:
    return draw([subject(0), subject(1)], config, CONTRACTS, batch, (9, step))


def test_the_same_step_gives_the_same_pairs_and_another_step_others():
    first, again, other = pairs(data(), 4), pairs(data(), 4), pairs(data(), 5)
    assert torch.equal(first.thick, again.thick)
    assert torch.equal(first.thin, again.thin)
    assert first.thick.shape != other.thick.shape or not torch.equal(first.thick, other.thick)


def test_shapes_follow_the_contract():
    ratios = set()
    for step in range(12):
        batch = pairs(data(), step)
        ratios.add(batch.ratio)
        assert batch.thick.shape == (3, 6, 16, 16)
        assert batch.thin.shape == (3, 3 * batch.ratio + 1, 16, 16)
        assert batch.thick.dtype == batch.thin.dtype == torch.float32
    assert ratios == {2, 3}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_thick_slices_are_averages_of_the_thin_ones_around_them(share: float):
    """Along z and along the pixels alike; ratio 3, where the box is three whole thin slices."""
    config = data(ratios=(3,), ratio_weights=(1,), thin_share=share, **PLAIN)
    batch = pairs(config, 1)
    for slot in (2, 3):  # whose whole profile lies among the predicted slices
        centre = (slot - 1) * 3
        assert torch.allclose(batch.thin[:, centre - 1 : centre + 2].mean(1), batch.thick[:, slot], atol=0.01)


def test_noise_and_edges_touch_the_thick_side_alone():
    plain = pairs(data(ratios=(2,), ratio_weights=(1,), **PLAIN), 3, batch=1)
    noisy = pairs(data(ratios=(2,), ratio_weights=(1,), **{**PLAIN, "noise_share": 1}), 3, batch=1)
    edge = pairs(data(ratios=(2,), ratio_weights=(1,), **{**PLAIN, "edge_share": 1}), 3, batch=1)
    assert torch.equal(plain.thin, noisy.thin)
    assert 0 < (noisy.thick - plain.thick).std() < 8
    assert torch.equal(plain.thick[:, 1:-1], edge.thick[:, 1:-1])
    assert torch.equal(edge.thick[:, 0], edge.thick[:, 1]) or torch.equal(edge.thick[:, -1], edge.thick[:, -2])


def test_a_short_axis_gives_way_to_another():
    short = subject(shape=(8, 40, 40))
    assert draw([short], data(thin_share=0.9), CONTRACTS, 4, (1, 1)).thick.shape == (4, 6, 16, 16)
    with pytest.raises(InvalidVolume, match="too short"):
        draw([subject(shape=(8, 9, 9))], data(), CONTRACTS, 1, (1, 1))


def test_a_crop_larger_than_the_plane_is_refused():
    with pytest.raises(InvalidVolume, match="too small for crops"):
        draw([subject()], data(crop=64, thin_share=1), CONTRACTS, 1, (1, 1))


def test_distances_are_those_of_the_axis_the_profile_and_the_pixels():
    """Slices of the sample lie 2 mm apart and pixels 1 mm."""
    exact = {**PLAIN, "ratios": (3,), "ratio_weights": (1,)}
    along_z, in_plane = (pairs(data(thin_share=share, **exact), 2) for share in (1.0, 0.0))
    assert along_z.sampling.step_mm.tolist() == along_z.sampling.thickness_mm.tolist() == [6.0] * 3
    assert in_plane.sampling.step_mm.tolist() == in_plane.sampling.thickness_mm.tolist() == [3.0] * 3
    assert in_plane.sampling.pixel_mm.tolist() == along_z.sampling.pixel_mm.tolist() == [1.0] * 3
    odd = pairs(data(thin_share=1.0, **{**exact, "odd_profile_share": 1}), 2, batch=8).sampling
    assert odd.thickness_mm.unique().numel() == 8
    assert ((odd.thickness_mm >= 0.8 * 6) & (odd.thickness_mm <= 1.5 * 6)).all()


def test_real_thick_slices_lie_where_they_were_acquired():
    """The sample's thick slices are its thin ones less 100 HU, so both stay recognisable under every flip."""
    config = data(ratios=(3,), ratio_weights=(1,), real_share=1, edge_share=0)
    batch = draw([paired()], config, CONTRACTS, 16, (1, 1))
    assert torch.equal(batch.thin[:, ::3] - 100, batch.thick[:, 1:-1])
    assert batch.sampling.thickness_mm.unique().tolist() == [7.5]
    assert batch.sampling.step_mm.unique().tolist() == [6.0]


def test_real_and_simulated_pairs_are_mixed_by_share_and_only_at_the_real_ratio():
    def real(ratio: int) -> float:
        config = data(ratios=(ratio,), ratio_weights=(1,), real_share=0.25, odd_profile_share=0, thin_share=1)
        thickness = draw([paired()], config, CONTRACTS, 200, (1, 1)).sampling.thickness_mm
        return float((thickness == 7.5).float().mean())

    assert 0.15 < real(3) < 0.35
    assert real(2) == 0


def test_the_pairs_of_a_seed_stay_what_they_were():
    """A run that began with an earlier version must be able to go on; so must one that never uses newer options."""
    voxels = (np.arange(40 * 44 * 48).reshape(40, 44, 48) * 7919 % 2003 - 1000).astype(np.int16)
    batch = draw([Subject("pattern", voxels, (2.0, 1.0, 1.0))], data(thin_share=1), CONTRACTS, 3, (9, 4))
    assert hashlib.sha256(batch.thin.numpy().astype(np.int16).tobytes()).hexdigest()[:16] == "db141a50b4476f9b"
