"""What every in-plane network promises: one slice in, the same slice with pixels a quarter as wide out.

These are the networks of the RDST paper (Zhu et al., arXiv 2302.11184). They make no slices: nothing here stands behind
:class:`SliceContract`, and restoring a series does not use them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sr_engine.intensity import CT_RANGE, IntensityRange


@dataclass(frozen=True, kw_only=True)
class InPlaneConfig:
    """Scale of every in-plane network.

    Attributes
    ----------
    bicubic_base : bool
        Whether the network adds to bicubic interpolation, so that untrained it equals it, or makes the image alone as
        in the papers.
    centre_hu, contrast_hu : float
        The network sees (HU - centre) / contrast. The RDST paper scales each volume by its own extremes, which would
        make the result depend on the brightest voxel.
    intensity : IntensityRange
        The network sees values clipped to this range; the bicubic base does not clip.
    """

    bicubic_base: bool = True
    centre_hu: float = -500.0
    contrast_hu: float = 384.0
    intensity: IntensityRange = CT_RANGE


class InPlaneNetwork(nn.Module, ABC):
    """A network that makes a slice four times finer in rows and columns; HU in, HU out.

    Attributes
    ----------
    scale : int
        Rows and columns out per row and column in.
    multiple : int
        Rows and columns that :meth:`grow` is given are multiples of this.
    """

    scale: ClassVar[int] = 4
    multiple: ClassVar[int] = 1
    config: InPlaneConfig

    def forward(self, planes: Tensor) -> Tensor:
        """Make slices finer.

        Parameters
        ----------
        planes : Tensor, float32, shape (B, 1, H, W)
            HU; any H and W >= 1.

        Returns
        -------
        Tensor, float32, shape (B, 1, 4 * H, 4 * W)
            HU; the outer edges of the image stay where they are (pixel centres move).
        """
        config, scale = self.config, self.scale
        height, width = planes.shape[-2:]
        seen = (config.intensity.clip(planes) - config.centre_hu) / config.contrast_hu
        grown = self.grow(reflect_to_multiple(seen, self.multiple))[..., : scale * height, : scale * width]
        return grown.to(planes) * config.contrast_hu + self._base(planes)

    @abstractmethod
    def grow(self, seen: Tensor) -> Tensor:
        """Map scaled values (B, 1, H, W) to (B, 1, 4 * H, 4 * W), H and W multiples of :attr:`multiple`."""

    def _base(self, planes: Tensor) -> Tensor:
        if not self.config.bicubic_base:
            return planes.new_tensor(self.config.centre_hu)
        return bicubic(planes, self.scale)

    def _start(self, last: nn.Conv2d) -> None:
        """With a bicubic base, set the last convolution to zero: an untrained network adds nothing."""
        if self.config.bicubic_base:
            nn.init.zeros_(last.weight)
            if last.bias is not None:
                nn.init.zeros_(last.bias)


class ResidualNetwork(InPlaneNetwork):
    """Entry, blocks and a convolution under one long skip, sub-pixels: EDSR and RCAN differ in their blocks alone."""

    def __init__(self, config: InPlaneConfig, channels: int, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.config = config
        self.entry = convolution(1, channels)
        self.body = nn.Sequential(*blocks, convolution(channels, channels))
        self.exit = upsampler(channels)
        self._start(cast("nn.Conv2d", self.exit[-1]))

    def grow(self, seen: Tensor) -> Tensor:
        """Convolve, then shuffle channels to pixels; shapes as in :class:`InPlaneNetwork`."""
        features = self.entry(seen)
        grown: Tensor = self.exit(self.body(features) + features)
        return grown


def bicubic(planes: Tensor, scale: int) -> Tensor:
    """Keys' cubic convolution in rows and columns, (B, 1, H, W) -> (B, 1, scale * H, scale * W); a = -3/4."""
    with torch.autocast(planes.device.type, enabled=False):
        return functional.interpolate(planes, scale_factor=scale, mode="bicubic", align_corners=False)


def reflect_to_multiple(planes: Tensor, multiple: int) -> Tensor:
    """Mirror the lower and right edge of (B, C, H, W) until H and W are multiples, however small they are."""
    rows, columns = (_mirrored(size, multiple, planes.device) for size in planes.shape[-2:])
    return planes[..., rows, :][..., columns]


def convolution(channels: int, channels_out: int, size: int = 3) -> nn.Conv2d:
    """Convolution that keeps rows and columns."""
    return nn.Conv2d(channels, channels_out, size, padding=size // 2)


def upsampler(channels: int) -> nn.Sequential:
    """Twice twofold sub-pixel upsampling and a convolution to one channel (Shi et al. 2016, arXiv 1609.05158)."""
    return nn.Sequential(
        convolution(channels, 4 * channels),
        nn.PixelShuffle(2),
        convolution(channels, 4 * channels),
        nn.PixelShuffle(2),
        convolution(channels, 1),
    )


def _mirrored(size: int, multiple: int, device: torch.device) -> Tensor:
    """0 .. size - 1 and back, as far as the next multiple."""
    there_and_back = max(1, 2 * (size - 1))
    places = torch.arange(size + -size % multiple, device=device) % there_and_back
    return torch.minimum(places, there_and_back - places) if size > 1 else places
