"""RDST and RDST-E (Zhu et al. 2023, arXiv 2302.11184): dense connections among Swin V1 layers, x 4 in plane.

The way of one slice, d = 60 channels, g = 30 more from every dense block (eq. 2 to 5)::

    HU (B, 1, H, W) ─ centre, scale ─► 3x3 head ─► norm ─► N dense groups ─► norm ─► 3x3 ─► + the head's output
      ─► twice (3x3 to 4d, shuffle) ─► 3x3 to 1 ─► residual in HU over bicubic interpolation

==========  ======  ===========  ==============  =================================================
network     N       parameters   without tables  the paper's table 1
==========  ======  ===========  ==============  =================================================
RDST        8       4,464,961    4,400,161       4.40 M, which does not count position tables
RDST-E      4       2,379,241    2,346,841       2.35 M, likewise
==========  ======  ===========  ==============  =================================================

The reference counts 4 more: two fixed 1 x 1 "mean shifts" that change nothing in one channel.
The reference fails on sides that are no multiples of 8; here they are mirrored and cut. Scale and base are ours, as in
the through-plane networks; ``bicubic_base`` off gives the paper's own.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from sr_engine.networks.in_plane.base import InPlaneConfig, InPlaneNetwork, convolution, upsampler
from sr_engine.networks.swin_v1 import SwinV1Layer

WINDOW = 8
RDST_E_GROUPS = 4


@dataclass(frozen=True, kw_only=True)
class RdstConfig(InPlaneConfig):
    """Size of the network; the defaults are RDST, 4 ``groups`` are RDST-E (4.3).

    Attributes
    ----------
    channels, growth : int
        Width between groups (d), and channels that a dense block adds (g).
    groups, blocks : int
        Residual dense groups (N), and dense blocks in each.
    heads, mlp_ratio : int
        Of every Swin layer.
    """

    channels: int = 60
    growth: int = 30
    groups: int = 8
    blocks: int = 3
    heads: int = 6
    mlp_ratio: int = 2


class DenseSwinBlock(nn.Module):
    """Two Swin layers, one shifted, and a norm and a linear layer down to what is added (3.1, eq. 3 and 4)."""

    def __init__(self, channels: int, growth: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(SwinV1Layer(channels, heads, (WINDOW, WINDOW), shifted, mlp_ratio) for shifted in (False, True))
        )
        self.squeeze = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, growth))

    def forward(self, grid: Tensor) -> Tensor:
        """Map a grid (B, H, W, C) to (B, H, W, C + growth): the input and what is new."""
        return torch.cat((grid, self.squeeze(self.layers(grid))), dim=-1)


class DenseSwinGroup(nn.Module):
    """Dense blocks and a 3 x 3 convolution that fuses them, plus the input (3.1, eq. 5)."""

    def __init__(self, config: RdstConfig) -> None:
        super().__init__()
        widths = [config.channels + index * config.growth for index in range(config.blocks + 1)]
        self.blocks = nn.Sequential(
            *(DenseSwinBlock(width, config.growth, config.heads, config.mlp_ratio) for width in widths[:-1])
        )
        self.fuse = convolution(widths[-1], config.channels)

    def forward(self, grid: Tensor) -> Tensor:
        """Map a grid (B, H, W, C) to one of the same shape."""
        dense = self.blocks(grid).permute(0, 3, 1, 2)
        output: Tensor = grid + self.fuse(dense).permute(0, 2, 3, 1)
        return output


class RdstBody(nn.Module):
    """Head and body: all that stands before the upsampler (3, eq. 2)."""

    def __init__(self, config: RdstConfig) -> None:
        super().__init__()
        channels = config.channels
        self.head = convolution(1, channels)
        groups = [DenseSwinGroup(config) for _ in range(config.groups)]
        self.groups = nn.Sequential(nn.LayerNorm(channels), *groups, nn.LayerNorm(channels))
        self.last = convolution(channels, channels)

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (B, 1, H, W), sides multiples of 8, to features (B, d, H, W)."""
        shallow = self.head(planes)
        deep = self.groups(shallow.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        features: Tensor = shallow + self.last(deep)
        return features


class Rdst(InPlaneNetwork):
    """The network; see the module's text. Shapes and units as in :class:`InPlaneNetwork`."""

    multiple = WINDOW

    def __init__(self, config: RdstConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RdstConfig()
        self.body = RdstBody(config)
        self.upsampler = upsampler(config.channels)
        self._start(cast("nn.Conv2d", self.upsampler[-1]))

    def grow(self, seen: Tensor) -> Tensor:
        """Body, then sub-pixels; shapes as in :class:`InPlaneNetwork`."""
        grown: Tensor = self.upsampler(self.body(seen))
        return grown


def rdst_e() -> Rdst:
    """Make RDST-E, the efficient variant with half the groups (4.3)."""
    return Rdst(RdstConfig(groups=RDST_E_GROUPS))
