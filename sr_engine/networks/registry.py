"""Every network by name. To add one, write its module and add its line to ``NETWORKS``; the tests find it there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sr_engine.errors import UnknownNetwork
from sr_engine.intensity import IntensityRange
from sr_engine.networks.contract import SliceNetwork
from sr_engine.networks.interpolation import CubicInterpolation, LinearInterpolation
from sr_engine.networks.residual_cnn import ResidualCnn, ResidualCnnConfig
from sr_engine.networks.tvsrn_v2 import TvsrnV2, TvsrnV2Config

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
FALLBACK = "cubic"


@dataclass(frozen=True)
class NetworkEntry:
    """One line of the registry.

    Attributes
    ----------
    title : str
        Name for people.
    learned : bool
        Whether it needs weights.
    revision : str
        Raised whenever the same input and weights would give another output; part of the model's digest.
    build : callable
        Makes the network, untrained, from the configuration in its model card (empty for the published one).
        Raises TypeError or ValueError for a configuration it does not know.
    """

    title: str
    learned: bool
    revision: str
    build: Callable[[Mapping[str, Any]], SliceNetwork]


def _build_residual_cnn(config: Mapping[str, Any]) -> SliceNetwork:
    return ResidualCnn(ResidualCnnConfig(**_fields(config)))


def _build_tvsrn_v2(config: Mapping[str, Any]) -> SliceNetwork:
    return TvsrnV2(TvsrnV2Config(**_fields(config)))


def _fields(config: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(config)
    if "intensity" in fields:
        fields["intensity"] = IntensityRange(**fields["intensity"])
    return fields


# From the plainest to the best: "best" is the last one that has what it needs.
NETWORKS: Mapping[str, NetworkEntry] = MappingProxyType(
    {
        "linear": NetworkEntry("Linear interpolation", False, "1", lambda config: LinearInterpolation(**config)),
        "cubic": NetworkEntry("Cubic interpolation", False, "1", lambda config: CubicInterpolation(**config)),
        "residual_cnn": NetworkEntry("Residual CNN", True, "1", _build_residual_cnn),
        "tvsrn_v2": NetworkEntry("TVSRN-V2", True, "1", _build_tvsrn_v2),
    }
)


def entry(name: str) -> NetworkEntry:
    """Look up a network by its registry name.

    Raises
    ------
    UnknownNetwork
        No network has that name.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    nearest = get_close_matches(name, NETWORKS, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise UnknownNetwork(f"there is no network {name!r}: {hint}choose best, {', '.join(NETWORKS)}")


def shipped_weights(name: str) -> Path:
    """Where the weights of a learned network lie when they come with the program."""
    return WEIGHTS_FOLDER / f"{name}.safetensors"


def best() -> str:
    """Name of the best network whose weights come with the program; cubic interpolation where none do."""
    shipped = [name for name, line in NETWORKS.items() if line.learned and shipped_weights(name).is_file()]
    return shipped[-1] if shipped else FALLBACK
