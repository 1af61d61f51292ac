"""Every network by name. To add one, write its module and add its line to ``NETWORKS``; the tests find it there.

Its name goes to ``sr_engine.settings.NETWORK_NAMES`` too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sr_engine.errors import UnknownNetwork
from sr_engine.intensity import IntensityRange
from sr_engine.networks.contract import SliceNetwork
from sr_engine.networks.encoder_only import EncoderOnly, EncoderOnlyConfig
from sr_engine.networks.in_plane.rdst import RDST_E_GROUPS
from sr_engine.networks.interpolation import CubicInterpolation, LanczosInterpolation, LinearInterpolation
from sr_engine.networks.rdst_through_plane import RdstThroughPlane, RdstThroughPlaneConfig
from sr_engine.networks.residual_cnn import ResidualCnn, ResidualCnnConfig
from sr_engine.networks.resvox_like import ResVoxLike, ResVoxLikeConfig
from sr_engine.networks.saint_like import SaintLike, SaintLikeConfig
from sr_engine.networks.tvsrn import Tvsrn, TvsrnConfig
from sr_engine.networks.tvsrn_v2 import TvsrnV2, TvsrnV2Config
from sr_engine.networks.vit import Vit, VitConfig

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
FALLBACK = "cubic"

Build = Callable[[Mapping[str, Any]], SliceNetwork]


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
        Makes the network, untrained, from the configuration in its model card; what that leaves out is as published.
        Raises TypeError or ValueError for a configuration it does not know.
    """

    title: str
    learned: bool
    revision: str
    build: Build


def _from(network: Callable[[Any], SliceNetwork], config: Callable[..., Any], **preset: Any) -> Build:
    """Build a network from its preset and what a model card changes of it."""
    return lambda changes: network(config(**{**preset, **_fields(changes)}))


def _tvsrn(changes: Mapping[str, Any]) -> SliceNetwork:
    """Build TVSRN; besides its fields the configuration may name a ``preset``."""
    fields = _fields(changes)
    return Tvsrn(TvsrnConfig.of(fields.pop("preset", "released"), **fields))


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
        "lanczos": NetworkEntry("Lanczos interpolation", False, "1", lambda config: LanczosInterpolation(**config)),
        "residual_cnn": NetworkEntry("Residual CNN", True, "2", _from(ResidualCnn, ResidualCnnConfig)),
        "resvox_like": NetworkEntry("Slice synthesis after ResVox", True, "1", _from(ResVoxLike, ResVoxLikeConfig)),
        "saint_like": NetworkEntry("Slice synthesis after SAINT", True, "1", _from(SaintLike, SaintLikeConfig)),
        "rdst_e_through_plane": NetworkEntry(
            "RDST-E through plane (our extension)",
            True,
            "1",
            _from(RdstThroughPlane, RdstThroughPlaneConfig, groups=RDST_E_GROUPS),
        ),
        "rdst_through_plane": NetworkEntry(
            "RDST through plane (our extension)", True, "1", _from(RdstThroughPlane, RdstThroughPlaneConfig)
        ),
        "vit": NetworkEntry("ViT encoder", True, "1", _from(Vit, VitConfig)),
        "encoder_only": NetworkEntry("TVSRN-V2's encoder only", True, "1", _from(EncoderOnly, EncoderOnlyConfig)),
        "tvsrn_v2_without_tab": NetworkEntry(
            "TVSRN-V2 without through-plane attention", True, "1", _from(TvsrnV2, TvsrnV2Config, tab_layers=0)
        ),
        "tvsrn": NetworkEntry("TVSRN", True, "1", _tvsrn),
        "tvsrn_v2": NetworkEntry("TVSRN-V2", True, "2", _from(TvsrnV2, TvsrnV2Config)),
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
