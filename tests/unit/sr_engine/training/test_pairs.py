"""Pairs come from the seed and the step alone, along any axis, and never from a held-out patient."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sr_engine import nifti
from sr_engine.errors import InvalidVolume
from sr_engine.networks.registry import NETWORKS
from sr_engine.training.config import DataConfig
from sr_engine.training.pairs import Batch, draw, read_folder
from sr_engine.volume import Volume
from tests.unit.sr_engine.training.samples import data, subject

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


def save(folder: Path, *names: str) -> None:
    for name in names:
        volume = Volume(np.zeros((2, 3, 4), np.float32), (1, 1, 1), np.eye(4), 1)
        nifti.save(folder / f"{name}.nii.gz", volume)


def test_held_out_patients_never_teach(tmp_path: Path):
    save(tmp_path, "a_1", "a_2", "b_1", "c_1")
    teach, scored = read_folder(data(tmp_path, held_out=("a_", "c_"), scored=("c_",)))
    assert [item.name for item in teach] == ["b_1"]
    assert [item.name for item in scored] == ["c_1"]
    assert [item.name for item in read_folder(data(tmp_path, held_out=("a_",)))[1]] == ["a_1", "a_2"]


def test_a_held_out_name_that_fits_no_file_is_an_error(tmp_path: Path):
    """A misspelt name would let the held-out patient teach."""
    save(tmp_path, "a_1")
    with pytest.raises(InvalidVolume, match="no volume that begins with 'aa'"):
        read_folder(data(tmp_path, held_out=("aa",)))
    with pytest.raises(InvalidVolume, match="no volume to train on"):
        read_folder(data(tmp_path, held_out=("a",)))


def test_the_public_training_volumes_are_read(shared_data: Path):
    teach, scored = read_folder(data(shared_data / "train", held_out=("totalseg", "nlst", "qin", "acrin", "lungfcp")))
    assert [item.name for item in teach] == ["phantom_fda_philips_0.8mm"]
    assert len(scored) == 7
    assert draw(teach, data(), CONTRACTS, 2, (1, 1)).thin.std() > 100
