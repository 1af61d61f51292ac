"""HAN (Niu et al. 2020, arXiv 2008.08767): RCAN's groups under layer and channel-spatial attention.

With 128 channels, as the RDST paper (arXiv 2302.11184, table 5) has it, 64,194,143 parameters: its 64.19 M. HAN's own
has 64 channels.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from sr_engine.networks.in_plane.base import InPlaneNetwork, convolution, upsampler
from sr_engine.networks.in_plane.rcan import RcanConfig, ResidualGroup


@dataclass(frozen=True, kw_only=True)
class HanConfig(RcanConfig):
    """Size of the network; fields as :class:`RcanConfig`."""

    channels: int = 128


class LayerAttention(nn.Module):
    """Mix the outputs of all groups by how alike they are (3.2, eq. 4 and 5).

    Likeness is the mean product here, the sum in the paper: a sum grows with the plane, so that the same weights would
    act differently on tiles of another size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, layers: Tensor) -> Tensor:
        """Map the outputs of N groups (B, N, C, H, W) to features (B, N * C, H, W)."""
        flat = layers.flatten(2)
        alike = torch.softmax(flat @ flat.transpose(1, 2) / flat.shape[2], dim=-1)  # (B, N, N)
        mixed = (alike @ flat).view(layers.shape)
        return (self.scale * mixed + layers).flatten(1, 2)


class ChannelSpatialAttention(nn.Module):
    """Weigh every value by its neighbours in plane and among channels (3.3, eq. 6 and 7)."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv3d(1, 1, 3, padding=1)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (B, C, H, W) to planes of the same shape."""
        weight = torch.sigmoid(self.look(planes.unsqueeze(1))).squeeze(1)
        weighted: Tensor = planes + self.scale * weight * planes
        return weighted


class Han(InPlaneNetwork):
    """The network; see the module's text. Shapes and units as in :class:`InPlaneNetwork`."""

    def __init__(self, config: HanConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HanConfig()
        channels = config.channels
        self.entry = convolution(1, channels)
        self.groups = nn.ModuleList(ResidualGroup(config) for _ in range(config.groups))
        self.last = convolution(channels, channels)
        self.layer_attention, self.channel_spatial = LayerAttention(), ChannelSpatialAttention()
        self.fuse_layers = convolution((config.groups + 1) * channels, channels)
        self.fuse = convolution(2 * channels, channels)
        self.exit = upsampler(channels)
        self._start(cast("nn.Conv2d", self.exit[-1]))

    def grow(self, seen: Tensor) -> Tensor:
        """Both attentions over the last output and over all (3.1), then sub-pixels."""
        shallow = self.entry(seen)
        features, outputs = shallow, []
        for group in self.groups:
            features = group(features)
            outputs.append(features)
        features = self.last(features)
        layers = self.fuse_layers(self.layer_attention(torch.stack((*outputs, features), dim=1)))
        fused = self.fuse(torch.cat((self.channel_spatial(features), layers), dim=1))
        grown: Tensor = self.exit(fused + shallow)
        return grown
