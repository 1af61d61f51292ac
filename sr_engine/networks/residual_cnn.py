"""A plain residual CNN over cubic interpolation: the honest baseline that a transformer has to beat at equal budget.

Two-dimensional 3 x 3 convolutions over 4 thick slices as channels, 16 slots out (see ``slots``). 454,736 parameters.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sr_engine.networks.contract import Sampling
from sr_engine.networks.slots import SlotConfig, SlotNetwork


@dataclass(frozen=True, kw_only=True)
class ResidualCnnConfig(SlotConfig):
    """Size of the network.

    Attributes
    ----------
    channels, blocks : int
        Width, and residual blocks of two convolutions.
    """

    channels: int = 64
    blocks: int = 6


class ResidualBlock(nn.Module):
    """x + scale * conv(relu(conv(x))), as in EDSR (Lim et al. 2017, arXiv 1707.02921, 3.1 and 3.3)."""

    def __init__(self, channels: int, scale: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.scale = scale

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (B, C, H, W) to planes of the same shape."""
        output: Tensor = planes + self.scale * self.body(planes)
        return output


class ResidualCnn(SlotNetwork):
    """The network; see the module's text. Shapes and units as in :class:`SliceNetwork`."""

    bytes_per_pixel = 1500  # measured at ratio 5, float32
    config: ResidualCnnConfig

    def __init__(self, config: ResidualCnnConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ResidualCnnConfig()
        self.entry = nn.Conv2d(config.slices, config.channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(config.channels) for _ in range(config.blocks)))
        self.exit = nn.Conv2d(config.channels, config.slots, 3, padding=1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)  # type: ignore[arg-type]

    def residual(self, seen: Tensor, sampling: Sampling) -> Tensor:  # noqa: ARG002 counts slices only
        """Convolve; shapes as in :class:`SlotNetwork`."""
        features = self.entry(seen.contiguous(memory_format=torch.channels_last))  # half the time of planes in a row
        slots: Tensor = self.exit(self.blocks(features) + features)
        return slots
