"""The U-Net learns tissues from the CT itself and leaves weights with a card."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from sr_engine.errors import InvalidVolume
from sr_engine.training.segmenter import load
from sr_engine.training.subjects import Subject
from sr_engine.training.train_segmenter import LOG, WEIGHTS, SegmenterConfig, draw, labelled, train_segmenter
from tests.phantom import chest
from tests.unit.sr_engine.training.samples import data, subject


@pytest.fixture(scope="module")
def phantom() -> Subject:
    thin = chest(shape=(41, 96, 96), pixel_mm=3.6).thin
    return Subject("phantom", np.int16(thin.voxels), thin.spacing_mm)


def config(steps: int) -> SegmenterConfig:
    return SegmenterConfig(steps=steps, batch=4, crop=48, rate=5e-3, data=data())


def test_it_learns_and_leaves_weights_with_a_card(tmp_path: Path, phantom: Subject):
    """Trained on noise without lung beside the phantom, which is left out."""
    losses: list[float] = []
    card = train_segmenter(
        config(25), [phantom, subject()], [phantom], tmp_path, lambda _, loss: losses.append(loss)
    )  # fmt: skip
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert card.training["volumes"] == ["phantom"]
    assert card.dice["phantom"]["soft tissue"] > 0.5
    assert len(list(csv.DictReader((tmp_path / LOG).open()))) == 25
    segmenter, read = load(tmp_path / WEIGHTS)
    assert read == card
    assert not segmenter.training
    plane = torch.from_numpy(phantom.voxels[20].astype(np.float32))[None]
    assert segmenter(plane).shape == (1, 4, 96, 96)


def test_crops_and_labels_are_turned_alike_and_follow_from_the_step(phantom: Subject):
    items = labelled([phantom])
    slices, labels = draw(items, config(1), 3)
    again = draw(items, config(1), 3)
    assert torch.equal(slices, again[0])
    assert not torch.equal(slices, draw(items, config(1), 4)[0])
    assert slices.shape == (4, 48, 48)
    assert labels.shape == (4, 1, 48, 48)
    air_like = torch.isin(labels[:, 0], torch.tensor([0, 1]))
    assert ((slices < -320) == air_like).float().mean() > 0.95


def test_volumes_that_cannot_teach_are_named(tmp_path: Path, phantom: Subject):
    with pytest.raises(InvalidVolume, match="no volume shows lung"):
        train_segmenter(config(1), [subject()], [], tmp_path)
    with pytest.raises(InvalidVolume, match=r"phantom .* too small for crops of 112: lower crop"):
        train_segmenter(config(1).model_copy(update={"crop": 112}), [phantom], [], tmp_path)
