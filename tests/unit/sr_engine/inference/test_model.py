"""Settings name a network; identity says which one ran, with which weights."""

from pathlib import Path

import pytest

from sr_engine import checkpoint
from sr_engine.errors import UnknownNetwork, WeightsUnavailable
from sr_engine.inference import model
from sr_engine.inference.restore import identify
from sr_engine.networks import registry
from sr_engine.settings import EngineSettings
from tests.unit.sr_engine.test_checkpoint import save_small


def test_interpolation_needs_no_weights_and_is_not_learned():
    linear, cubic = identify(EngineSettings(network="linear")), identify(EngineSettings(network="cubic"))
    assert (linear.name, linear.title, linear.learned) == ("linear", "Linear interpolation", False)
    assert linear.digest != cubic.digest
    assert cubic == identify(EngineSettings(network="cubic", target_spacing_mm=2.0, device="cpu"))


def test_best_is_the_best_that_is_installed():
    assert identify(EngineSettings()).name == registry.best()


def test_best_with_weights_is_the_network_they_are_for(tmp_path: Path):
    card = save_small(tmp_path / "mine.safetensors")
    settings = EngineSettings(weights=tmp_path / "mine.safetensors")
    identity = identify(settings)
    assert (identity.name, identity.version, identity.digest) == ("tvsrn_v2", "test", card.digest)
    assert identity.learned
    assert identity.title == "TVSRN-V2"
    assert model.load(settings).contract(5) == card.contract


def test_untrained_is_allowed_only_when_asked_for_and_says_so():
    if registry.shipped_weights("tvsrn_v2").is_file():
        pytest.skip("weights of TVSRN-V2 come with this version, so it is never untrained")
    with pytest.raises(WeightsUnavailable, match=r"tvsrn_v2\.safetensors: name a file under weights"):
        identify(EngineSettings(network="tvsrn_v2"))
    untrained = identify(EngineSettings(network="tvsrn_v2", allow_untrained=True))
    assert not untrained.learned
    assert untrained.title == "TVSRN-V2, untrained (plain interpolation)"


def test_weights_that_are_named_must_exist_even_if_untrained_is_allowed(tmp_path: Path):
    settings = EngineSettings(network="tvsrn_v2", weights=tmp_path / "gone.safetensors", allow_untrained=True)
    with pytest.raises(WeightsUnavailable, match="there is no file"):
        identify(settings)


def test_weights_for_another_network_are_refused_before_anything_runs(tmp_path: Path):
    save_small(tmp_path / "a.safetensors")
    path = checkpoint.card_path(tmp_path / "a.safetensors")
    path.write_text(path.read_text().replace('"network": "tvsrn_v2"', '"network": "cubic"'))
    with pytest.raises(WeightsUnavailable, match="weights for cubic, not for tvsrn_v2"):
        identify(EngineSettings(network="tvsrn_v2", weights=tmp_path / "a.safetensors"))


def test_an_unknown_network_is_named():
    with pytest.raises(UnknownNetwork, match="no network 'cubik': did you mean 'cubic'"):
        identify(EngineSettings(network="cubik"))
