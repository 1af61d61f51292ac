"""Networks are found by name; a wrong name gets a hint."""

import pytest

from sr_engine.errors import UnknownNetwork
from sr_engine.networks import registry
from sr_engine.settings import NETWORK_NAMES


def test_an_unknown_name_hears_the_nearest_one():
    with pytest.raises(UnknownNetwork, match=r"did you mean 'tvsrn_v2'\? choose best, linear, cubic, .*, tvsrn_v2$"):
        registry.entry("tvsrn-v2")


def test_best_is_a_network_that_can_run_as_installed():
    name = registry.best()
    assert not registry.entry(name).learned or registry.shipped_weights(name).is_file()
    assert name != "linear"


def test_the_full_network_is_the_last_so_that_best_means_it():
    assert list(registry.NETWORKS)[-1] == "tvsrn_v2"


def test_those_who_only_check_a_name_know_them_all():
    assert tuple(registry.NETWORKS) == NETWORK_NAMES
