"""A plain vision transformer with sub-pixel upsampling: Table 1's "ViT" (arXiv 2507.15340; TVSRN, 2206.06253, 3.3).

"We map each patch of size 1 x 16 x 16 to token with length of 512 and set the number of transformer layers to eight",
"sub-pixel conversion to perform upsampling". 17,744,640 parameters, 656,640 of them in the head, where 512 channels
become 5 slots of 256 pixels; the paper's 17.15 M, met by an MLP ratio of 2, leaves 0.07 M for a head it does not tell.

Open in the paper, and chosen here: pre-norm layers as in ViT (Dosovitskiy et al. 2021, arXiv 2010.11929) with 8 heads;
attention among all tokens of all slices; one position per patch of a 256 x 256 plane, resampled to planes of another
size as ViT does, plus one per slice; slots as in ``encoder_only``.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sr_engine.networks.contract import Sampling
from sr_engine.networks.slots import SlotConfig, SlotNetwork, shuffle_slices
from sr_engine.networks.windows import pad_to_multiple


@dataclass(frozen=True, kw_only=True)
class VitConfig(SlotConfig):
    """Size of the network.

    Attributes
    ----------
    width, layers, heads, mlp_ratio : int
        Length of a token; transformer layers, their heads and the width of their MLP in multiples of ``width``.
    patch, grid : int
        Rows and columns of a patch; patches along either side of the plane the positions are learned for.
    """

    width: int = 512
    layers: int = 8
    heads: int = 8
    mlp_ratio: int = 2
    patch: int = 16
    grid: int = 16


class Vit(SlotNetwork):
    """The network; see the module's text. Shapes and units as in :class:`SliceNetwork`."""

    tile_limit = 256  # attention is among all tokens, so it costs the square of the plane
    bytes_per_pixel = 1700  # measured at ratio 5, float32

    def __init__(self, config: VitConfig | None = None) -> None:
        super().__init__()
        self.config: VitConfig = config or VitConfig()
        config = self.config
        self.embed = nn.Linear(config.patch**2, config.width)
        self.plane_code = nn.Parameter(torch.empty(1, config.width, config.grid, config.grid))
        self.slice_code = nn.Parameter(torch.empty(config.slices, 1, 1, config.width))
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, config.mlp_ratio * config.width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, config.layers, nn.LayerNorm(config.width), enable_nested_tensor=False
        )
        self.head = nn.Linear(config.width, (config.slots_between + 1) * config.patch**2)
        self._initialise()

    def residual(self, seen: Tensor, sampling: Sampling) -> Tensor:  # noqa: ARG002 counts slices only
        """Attend among patches, then shuffle channels to slots and pixels; shapes as in :class:`SlotNetwork`."""
        height, width = seen.shape[-2:]
        patch = self.config.patch
        patches = functional.pixel_unshuffle(pad_to_multiple(seen, patch).unsqueeze(2), patch)  # (B, S, P * P, h, w)
        tokens = self.embed(patches.permute(0, 1, 3, 4, 2)) + self._position(patches.shape[-2:])  # (B, S, h, w, C)
        encoded = self.encoder(tokens.flatten(1, 3)).view(tokens.shape)
        pixels = functional.pixel_shuffle(self.head(encoded).permute(0, 1, 4, 2, 3), patch)  # (B, S, 5, H, W)
        return shuffle_slices(pixels.transpose(1, 2), self.config.slots_between)[:, 0, :, :height, :width]

    def _position(self, size: tuple[int, ...]) -> Tensor:
        """Code of every patch of every slice, (S, h, w, C)."""
        plane = functional.interpolate(self.plane_code, size, mode="bilinear", align_corners=False)
        return plane[0].permute(1, 2, 0) + self.slice_code

    def _initialise(self) -> None:
        """Codes small, as in ViT; the last layer at zero so that an untrained network adds nothing."""
        nn.init.trunc_normal_(self.plane_code, std=0.02)
        nn.init.trunc_normal_(self.slice_code, std=0.02)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
