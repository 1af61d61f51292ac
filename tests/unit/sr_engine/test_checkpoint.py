"""Weights come back as they were saved, or are refused with a sentence that says what to do."""

import json
from pathlib import Path

import pytest
import torch

from sr_engine import checkpoint
from sr_engine.errors import WeightsUnavailable
from sr_engine.intensity import CT_RANGE
from sr_engine.networks.tvsrn_v2 import TvsrnV2, TvsrnV2Config

SMALL = {"encoder_layers": 1, "tab_layers": 1, "decoder_groups": 1, "decoder_layers": 1}


def save_small(weights: Path, network: TvsrnV2 | None = None) -> checkpoint.ModelCard:
    network = network or TvsrnV2(TvsrnV2Config(**SMALL))
    card = checkpoint.ModelCard(
        network="tvsrn_v2",
        version="test",
        config=SMALL,
        contract=network.contract(5),
        intensity=CT_RANGE,
        ratios=(5,),
    )
    return checkpoint.save(weights, network, card)


def test_weights_come_back_equal(tmp_path: Path):
    network = TvsrnV2(TvsrnV2Config(**SMALL))
    saved = save_small(tmp_path / "a.safetensors", network)
    loaded, card = checkpoint.load(tmp_path / "a.safetensors", expected="tvsrn_v2")
    assert card == saved
    assert not loaded.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])


def test_the_digest_follows_weights_and_configuration(tmp_path: Path):
    card = save_small(tmp_path / "a.safetensors")
    other = save_small(tmp_path / "b.safetensors")
    assert card.digest != other.digest
    assert card.digest == checkpoint.read_card(tmp_path / "a.safetensors").digest
    assert card.digest != card.model_copy(update={"config": {**SMALL, "contrast_hu": 100.0}}).digest
    assert card.digest == card.model_copy(update={"figures": {"psnr_db": 39.2}}).digest
    deeper, deepest = (card.model_copy(update={"dark_lung_hu": {5: depth}}) for depth in (20.0, 40.0))
    assert len({card.digest, deeper.digest, deepest.digest}) == 3


def test_missing_weights_are_named(tmp_path: Path):
    with pytest.raises(WeightsUnavailable, match=r"no file .*gone\.safetensors"):
        checkpoint.load(tmp_path / "gone.safetensors")


def test_a_missing_card_is_named(tmp_path: Path):
    save_small(tmp_path / "a.safetensors")
    (tmp_path / "a.json").unlink()
    with pytest.raises(WeightsUnavailable, match=r"no file .*a\.json"):
        checkpoint.load(tmp_path / "a.safetensors")


def test_one_changed_byte_is_refused(tmp_path: Path):
    save_small(tmp_path / "a.safetensors")
    content = bytearray((tmp_path / "a.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(WeightsUnavailable, match=r"a\.safetensors is damaged"):
        checkpoint.load(tmp_path / "a.safetensors")


def test_weights_of_another_network_are_refused(tmp_path: Path):
    save_small(tmp_path / "a.safetensors")
    with pytest.raises(WeightsUnavailable, match="weights for tvsrn_v2, not for linear"):
        checkpoint.load(tmp_path / "a.safetensors", expected="linear")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"network": "resnet"}, "does not know: update the program"),
        ({"config": {"layers": 3}}, "a configuration tvsrn_v2 lacks"),
        ({"config": {}}, "does not fit its network"),
        ({"contract": {"slices_in": 4, "slices_out": 16, "ratio": 5, "first_out": 0}}, "but its network has"),
        ({"surprise": 1}, "is not a model card"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object], sentence: str):
    save_small(tmp_path / "a.safetensors")
    card = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps({**card, **change}))
    with pytest.raises(WeightsUnavailable, match=sentence):
        checkpoint.load(tmp_path / "a.safetensors")


def test_text_in_place_of_a_card_is_refused(tmp_path: Path):
    save_small(tmp_path / "a.safetensors")
    (tmp_path / "a.json").write_text("not a card")
    with pytest.raises(WeightsUnavailable, match="is not a model card"):
        checkpoint.read_card(tmp_path / "a.safetensors")
