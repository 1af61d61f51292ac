"""RDN (Zhang et al. 2018, arXiv 1802.08797): residual dense blocks, all of them fused. 5,761,921 parameters.

Of its two sizes (4.1) this is the narrow one, D = 20 blocks of C = 6 convolutions with growth G = 32, since that gives
the 5.76 M and "64 -> 256 channels" of the RDST paper (arXiv 2302.11184, tables 1 and 5); the wide one has 22 M.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from sr_engine.networks.in_plane.base import InPlaneConfig, InPlaneNetwork, convolution, upsampler


@dataclass(frozen=True, kw_only=True)
class RdnConfig(InPlaneConfig):
    """Size of the network.

    Attributes
    ----------
    channels : int
        Width between blocks.
    blocks, layers, growth : int
        Dense blocks; convolutions in each, and channels that each of them adds.
    """

    channels: int = 64
    blocks: int = 20
    layers: int = 6
    growth: int = 32


class DenseBlock(nn.Module):
    """Convolutions that each see all before them, fused by a 1 x 1 convolution, plus the input (3.2, eq. 4 to 7)."""

    def __init__(self, channels: int, layers: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(convolution(channels + index * growth, growth) for index in range(layers))
        self.fuse = convolution(channels + layers * growth, channels, 1)

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (B, C, H, W) to planes of the same shape."""
        seen = planes
        for layer in self.layers:
            seen = torch.cat((seen, torch.relu(layer(seen))), dim=1)
        output: Tensor = planes + self.fuse(seen)
        return output


class Rdn(InPlaneNetwork):
    """The network; see the module's text. Shapes and units as in :class:`InPlaneNetwork`."""

    def __init__(self, config: RdnConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RdnConfig()
        channels = config.channels
        self.entry, self.second = convolution(1, channels), convolution(channels, channels)
        self.blocks = nn.ModuleList(DenseBlock(channels, config.layers, config.growth) for _ in range(config.blocks))
        self.fuse = nn.Sequential(convolution(config.blocks * channels, channels, 1), convolution(channels, channels))
        self.exit = upsampler(channels)
        self._start(cast("nn.Conv2d", self.exit[-1]))

    def grow(self, seen: Tensor) -> Tensor:
        """Global feature fusion and residual (3.3), then sub-pixels; shapes as in :class:`InPlaneNetwork`."""
        shallow = self.entry(seen)
        features, outputs = self.second(shallow), []
        for block in self.blocks:
            features = block(features)
            outputs.append(features)
        grown: Tensor = self.exit(self.fuse(torch.cat(outputs, dim=1)) + shallow)
        return grown
