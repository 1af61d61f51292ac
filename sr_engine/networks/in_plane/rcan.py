"""RCAN (Zhang et al. 2018, arXiv 1807.02758): channel attention in residual groups. 15,590,049 parameters.

The size of its 4.1. The RDST paper (arXiv 2302.11184, table 1) counts 32.03 M in "1610 layers" of 64 channels, which no
setting in RCAN's text gives.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sr_engine.networks.in_plane.base import InPlaneConfig, ResidualNetwork, convolution


@dataclass(frozen=True, kw_only=True)
class RcanConfig(InPlaneConfig):
    """Size of the network.

    Attributes
    ----------
    channels : int
        Width.
    groups, blocks : int
        Residual groups, and blocks in each.
    reduction : int
        How much narrower channel attention is inside.
    """

    channels: int = 64
    groups: int = 10
    blocks: int = 20
    reduction: int = 16


class ChannelAttention(nn.Module):
    """Weigh channels by what their means say (3.3, eq. 9 and 10)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inside = channels // reduction
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inside, 1),
            nn.ReLU(),
            nn.Conv2d(inside, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (B, C, H, W) to planes of the same shape."""
        weighted: Tensor = planes * self.weigh(planes)
        return weighted


class AttentionBlock(nn.Module):
    """Two convolutions and channel attention, plus the input (3.4, eq. 11)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels),
            nn.ReLU(),
            convolution(channels, channels),
            ChannelAttention(channels, reduction),
        )

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (B, C, H, W) to planes of the same shape."""
        output: Tensor = planes + self.body(planes)
        return output


class ResidualGroup(nn.Module):
    """Blocks and a convolution, plus the input (3.2, eq. 6)."""

    def __init__(self, config: RcanConfig) -> None:
        super().__init__()
        blocks = [AttentionBlock(config.channels, config.reduction) for _ in range(config.blocks)]
        self.body = nn.Sequential(*blocks, convolution(config.channels, config.channels))

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (B, C, H, W) to planes of the same shape."""
        output: Tensor = planes + self.body(planes)
        return output


class Rcan(ResidualNetwork):
    """The network, residual in residual (3.2); shapes and units as in :class:`InPlaneNetwork`."""

    def __init__(self, config: RcanConfig | None = None) -> None:
        config = config or RcanConfig()
        super().__init__(config, config.channels, [ResidualGroup(config) for _ in range(config.groups)])
