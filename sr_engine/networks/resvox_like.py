"""Slice synthesis after ResVox (Ge et al., MICCAI 2019), as TVSRN compares with it, "the noise reduction part removed".

Residual blocks of 3 x 3 x 3 convolutions on thick slices, then sub-pixels along z. ResVox's text was not at hand: that
it is a residual network of voxels is all that this one has of it, hence "like"; widths and depth are ours, and its
figures are not ResVox's. 337,381 parameters.
"""

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from sr_engine.networks.contract import Sampling
from sr_engine.networks.slots import SlotConfig, SlotNetwork, shuffle_slices


@dataclass(frozen=True, kw_only=True)
class ResVoxLikeConfig(SlotConfig):
    """Size of the network.

    Attributes
    ----------
    channels, blocks : int
        Width, and residual blocks of two convolutions.
    """

    channels: int = 32
    blocks: int = 6


class VoxelBlock(nn.Module):
    """x + conv(relu(conv(x))) in three dimensions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(channels, channels), nn.ReLU(), _convolution(channels, channels))

    def forward(self, voxels: Tensor) -> Tensor:
        """Map voxels (B, C, S, H, W) to voxels of the same shape."""
        output: Tensor = voxels + self.body(voxels)
        return output


class ResVoxLike(SlotNetwork):
    """The network; see the module's text. Shapes and units as in :class:`SliceNetwork`."""

    tile_limit = 256  # 4 slices of 32 channels: 0.03 GB a feature map
    bytes_per_pixel = 4300  # measured at ratio 5, float32

    def __init__(self, config: ResVoxLikeConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ResVoxLikeConfig()
        self.entry = _convolution(1, config.channels)
        self.blocks = nn.Sequential(*(VoxelBlock(config.channels) for _ in range(config.blocks)))
        self.exit = _convolution(config.channels, config.slots_between + 1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(cast("Tensor", self.exit.bias))

    def residual(self, seen: Tensor, sampling: Sampling) -> Tensor:  # noqa: ARG002 counts slices only
        """Convolve, then shuffle channels to slots; shapes as in :class:`SlotNetwork`."""
        features = self.entry(seen.unsqueeze(1))  # (B, C, S, H, W)
        values = self.exit(self.blocks(features) + features)
        return shuffle_slices(values, self.config.slots_between)[:, 0]


def _convolution(channels: int, channels_out: int) -> nn.Conv3d:
    return nn.Conv3d(channels, channels_out, 3, padding=1)
