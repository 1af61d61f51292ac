"""Networks are found by name; a wrong name gets a hint."""

import pytest

from sr_engine.errors import UnknownNetwork
from sr_engine.networks import registry


def test_an_unknown_name_hears_the_nearest_one():
    names = "linear, cubic, residual_cnn, tvsrn_v2"
    with pytest.raises(UnknownNetwork, match=rf"did you mean 'tvsrn_v2'\? choose best, {names}"):
        registry.entry("tvsrn-v2")


def test_best_is_a_network_that_can_run_as_installed():
    name = registry.best()
    assert not registry.entry(name).learned or registry.shipped_weights(name).is_file()
    assert name != "linear"
