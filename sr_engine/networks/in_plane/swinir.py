"""SwinIR (Liang et al. 2021, arXiv 2108.10257): groups of Swin V1 layers between convolutions.

11,521,996 parameters, 11,473,396 without position tables: the 11.47 M of the RDST paper (arXiv 2302.11184, table 1),
which only the one-step upsampler of SwinIR's lightweight form gives at 180 channels. SwinIR's own classical form has a
longer upsampler.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sr_engine.networks.in_plane.base import InPlaneConfig, InPlaneNetwork, convolution
from sr_engine.networks.swin_v1 import SwinV1Layer


@dataclass(frozen=True, kw_only=True)
class SwinIrConfig(InPlaneConfig):
    """Size of the network.

    Attributes
    ----------
    channels, heads, mlp_ratio : int
        Width, attention heads, hidden width of an MLP in multiples of ``channels``.
    groups, layers : int
        Residual groups, and Swin layers in each.
    """

    channels: int = 180
    heads: int = 6
    mlp_ratio: int = 2
    groups: int = 6
    layers: int = 6


class SwinGroup(nn.Module):
    """Swin layers and a convolution, plus the input (3.2, eq. 6)."""

    def __init__(self, config: SwinIrConfig, window: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                SwinV1Layer(config.channels, config.heads, (window, window), index % 2 == 1, config.mlp_ratio)
                for index in range(config.layers)
            )
        )
        self.exit = convolution(config.channels, config.channels)

    def forward(self, grid: Tensor) -> Tensor:
        """Map a grid (B, H, W, C) to one of the same shape."""
        mixed = self.layers(grid).permute(0, 3, 1, 2)
        output: Tensor = grid + self.exit(mixed).permute(0, 2, 3, 1)
        return output


class SwinIr(InPlaneNetwork):
    """The network; see the module's text. Shapes and units as in :class:`InPlaneNetwork`."""

    multiple = 8  # its window

    def __init__(self, config: SwinIrConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SwinIrConfig()
        self.entry = convolution(1, config.channels)
        self.groups = nn.Sequential(
            nn.LayerNorm(config.channels),
            *(SwinGroup(config, self.multiple) for _ in range(config.groups)),
            nn.LayerNorm(config.channels),
        )
        self.last = convolution(config.channels, config.channels)
        self.exit = convolution(config.channels, self.scale**2)
        self.shuffle = nn.PixelShuffle(self.scale)
        self._start(self.exit)

    def grow(self, seen: Tensor) -> Tensor:
        """Deep features plus shallow ones (3.1), then sub-pixels; shapes as in :class:`InPlaneNetwork`."""
        shallow = self.entry(seen)  # (B, C, H, W)
        deep = self.groups(shallow.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        grown: Tensor = self.shuffle(self.exit(self.last(deep) + shallow))
        return grown
