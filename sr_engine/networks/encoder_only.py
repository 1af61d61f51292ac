"""TVSRN-V2 without its decoder: Table 1's "encoder only" (arXiv 2507.15340; TVSRN, arXiv 2206.06253, 3.3).

"N is increased to eight and C is increased to 32. The upsampling method is subpixel convert": 8 Swin V2 layers on
4 slices x 32 channels, then every slice's 32 channels become the 5 slots around it. With Swin V1 layers that body has
1,601,088 parameters, of which the paper counts 1.58 M (without position tables); with Swin V2 layers 1,630,784.

Open in the papers: how 4 slices become 16 by a whole factor. Here slice i fills slots 5i - 2 .. 5i + 2 and the two
beyond either end are dropped, which treats both ends alike.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sr_engine.networks.contract import Sampling
from sr_engine.networks.slots import SlotConfig, SlotNetwork, shuffle_slices
from sr_engine.networks.swin import initialise
from sr_engine.networks.tvsrn_v2 import Backbone, TvsrnV2Config, stretch_in_plane
from sr_engine.networks.windows import pad_to_multiple


@dataclass(frozen=True, kw_only=True)
class EncoderOnlyConfig(SlotConfig):
    """Size of the network.

    Attributes
    ----------
    channels, layers, heads, mlp_ratio, window, branch_norm
        Of the encoder, as in :class:`TvsrnV2Config`.
    millimetres : bool
        Whether offsets in plane are distances in mm, or counts of pixels as published.
    """

    channels: int = 32
    layers: int = 8
    heads: int = 8
    mlp_ratio: int = 4
    window: int = 8
    branch_norm: float = 0.3
    millimetres: bool = True


class EncoderOnly(SlotNetwork):
    """The network; see the module's text. Shapes and units as in :class:`SliceNetwork`."""

    bytes_per_pixel = 5000  # measured at ratio 5, float32

    def __init__(self, config: EncoderOnlyConfig | None = None) -> None:
        super().__init__()
        self.config: EncoderOnlyConfig = config or EncoderOnlyConfig()
        config = self.config
        published = TvsrnV2Config(channels=config.channels, heads=config.heads, mlp_ratio=config.mlp_ratio)
        self.embed = nn.Linear(1, config.channels)
        self.encoder = Backbone(published, config.slices * config.channels, 1, config.layers, config.window)
        self.head = nn.Linear(config.channels, config.slots_between + 1)
        initialise(self, config.branch_norm)
        nn.init.zeros_(self.head.weight)

    def residual(self, seen: Tensor, sampling: Sampling) -> Tensor:
        """Encode, then shuffle channels along z; shapes as in :class:`SlotNetwork`."""
        height, width = seen.shape[-2:]
        planes = pad_to_multiple(seen, self.config.window)
        embedded = self.embed(planes.permute(0, 2, 3, 1).unsqueeze(-1))  # (B, H, W, S, C)
        folded = embedded.flatten(-2)  # (B, H, W, S * C), slice-major
        encoded = (self.encoder(folded, stretch_in_plane(sampling, self.config.millimetres)) + folded).view(
            embedded.shape
        )
        values = self.head(encoded).permute(0, 4, 3, 1, 2)  # (B, 5, S, H, W)
        return shuffle_slices(values, self.config.slots_between)[:, 0, :, :height, :width]
