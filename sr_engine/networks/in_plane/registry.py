"""Every in-plane network by name; the tests find them here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sr_engine.networks.in_plane.base import InPlaneNetwork
from sr_engine.networks.in_plane.edsr import Edsr
from sr_engine.networks.in_plane.han import Han
from sr_engine.networks.in_plane.rcan import Rcan
from sr_engine.networks.in_plane.rdn import Rdn
from sr_engine.networks.in_plane.rdst import Rdst, rdst_e
from sr_engine.networks.in_plane.swinir import SwinIr

IN_PLANE: Mapping[str, Callable[[], InPlaneNetwork]] = MappingProxyType(
    {"edsr": Edsr, "rdn": Rdn, "rcan": Rcan, "han": Han, "swinir": SwinIr, "rdst_e": rdst_e, "rdst": Rdst}
)
