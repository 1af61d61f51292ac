"""EDSR (Lim et al. 2017, arXiv 1707.02921): residual blocks without batch norm. 43,080,705 parameters.

The size of its table 1; the RDST paper (arXiv 2302.11184, table 1) counts 43.08 M. Our scale replaces its mean shift.
"""

from dataclasses import dataclass

from sr_engine.networks.in_plane.base import InPlaneConfig, ResidualNetwork
from sr_engine.networks.residual_cnn import ResidualBlock


@dataclass(frozen=True, kw_only=True)
class EdsrConfig(InPlaneConfig):
    """Size of the network.

    Attributes
    ----------
    channels, blocks : int
        Width, and residual blocks of two convolutions.
    block_scale : float
        What a block adds is multiplied by this (3.3), which keeps wide networks stable.
    """

    channels: int = 256
    blocks: int = 32
    block_scale: float = 0.1


class Edsr(ResidualNetwork):
    """The network; see the module's text. Shapes and units as in :class:`InPlaneNetwork`."""

    def __init__(self, config: EdsrConfig | None = None) -> None:
        config = config or EdsrConfig()
        blocks = [ResidualBlock(config.channels, config.block_scale) for _ in range(config.blocks)]
        super().__init__(config, config.channels, blocks)
