"""Slice synthesis after SAINT (Peng et al. 2020, arXiv 2001.00704): two views, then fusion in plane.

SAINT's two stages: one network makes coronal and sagittal images finer in z (3.1), another fuses both on axial slices
(3.2). Kept: the shared network of both views, their mean, the axial residual network. Plain instead: residual blocks
as in EDSR for its dense blocks, sub-pixels for its filters generated per position. Hence "like"; its figures are not
SAINT's. 306,690 parameters.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sr_engine.networks.contract import Sampling
from sr_engine.networks.in_plane.base import convolution
from sr_engine.networks.residual_cnn import ResidualBlock
from sr_engine.networks.slots import SlotConfig, SlotNetwork, shuffle_slices


@dataclass(frozen=True, kw_only=True)
class SaintLikeConfig(SlotConfig):
    """Size of the network.

    Attributes
    ----------
    channels : int
        Width of both networks.
    view_blocks, fusion_blocks : int
        Residual blocks of the network of both views, and of the one that fuses them.
    """

    channels: int = 32
    view_blocks: int = 8
    fusion_blocks: int = 6


class SaintLike(SlotNetwork):
    """The network; see the module's text. Shapes and units as in :class:`SliceNetwork`."""

    tile_limit = 256  # 16 slots of 32 channels: 0.1 GB a feature map
    bytes_per_pixel = 15000  # measured at ratio 5, float32

    def __init__(self, config: SaintLikeConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SaintLikeConfig()
        channels = config.channels
        self.view = _residual_network(1, channels, config.view_blocks)
        self.view_grow = convolution(channels, (config.slots_between + 1) * channels)
        self.view_exit = convolution(channels, 1)
        self.fusion = _residual_network(2, channels, config.fusion_blocks)
        self.fusion_exit = convolution(channels, 1)
        for last in (self.view_exit, self.fusion_exit):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(cast("Tensor", last.bias))

    def residual(self, seen: Tensor, sampling: Sampling) -> Tensor:  # noqa: ARG002 counts slices only
        """Mean of both views and what the fusion adds; shapes as in :class:`SlotNetwork`."""
        coronal = self._coronal(seen)
        sagittal = self._coronal(seen.transpose(2, 3)).transpose(2, 3)
        views = torch.stack((coronal, sagittal), dim=2) + self._between(seen).unsqueeze(2)  # (B, slots, 2, H, W)
        fused = self.fusion_exit(self.fusion(views.flatten(0, 1))).view(coronal.shape)
        return (coronal + sagittal) / 2 + fused  # type: ignore[no-any-return]

    def _coronal(self, seen: Tensor) -> Tensor:
        """Make (z, column) images finer in z, one for every row: (B, S, H, W) -> (B, slots, H, W)."""
        batch, _, height, width = seen.shape
        images = seen.transpose(1, 2).flatten(0, 1).unsqueeze(1)  # (B * H, 1, S, W)
        slots = shuffle_slices(self.view_grow(self.view(images)), self.config.slots_between)
        fine: Tensor = self.view_exit(slots)
        return fine.view(batch, height, -1, width).transpose(1, 2)

    def _between(self, seen: Tensor) -> Tensor:
        """Straight lines between slices, (B, S, H, W) -> (B, slots, H, W): what the views add to, for the fusion."""
        size = (self.config.slots, *seen.shape[2:])
        return functional.interpolate(seen.unsqueeze(1), size, mode="trilinear", align_corners=True)[:, 0]


def _residual_network(channels_in: int, channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(convolution(channels_in, channels), *(ResidualBlock(channels) for _ in range(blocks)))
