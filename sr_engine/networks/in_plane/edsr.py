"""EDSR (Lim et al. 2017, arXiv 1707.02921): residual blocks without batch norm. 43,080,705 parameters.

The size of its table 1; the RDST paper (arXiv 2302.11184, table 1) counts 43.08 M. Our scale replaces its mean shift.
"""

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from sr_engine.networks.in_plane.base import InPlaneConfig, InPlaneNetwork, convolution, upsampler
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


class Edsr(InPlaneNetwork):
    """The network; see the module's text. Shapes and units as in :class:`InPlaneNetwork`."""

    def __init__(self, config: EdsrConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EdsrConfig()
        blocks = [ResidualBlock(config.channels, config.block_scale) for _ in range(config.blocks)]
        self.entry = convolution(1, config.channels)
        self.body = nn.Sequential(*blocks, convolution(config.channels, config.channels))
        self.exit = upsampler(config.channels)
        self._start(cast("nn.Conv2d", self.exit[-1]))

    def grow(self, seen: Tensor) -> Tensor:
        """Convolve, then shuffle channels to pixels; shapes as in :class:`InPlaneNetwork`."""
        features = self.entry(seen)
        grown: Tensor = self.exit(self.body(features) + features)
        return grown
