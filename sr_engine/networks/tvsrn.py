"""TVSRN (Yu et al. 2022, arXiv 2206.06253): the way of TVSRN-V2 with Swin V1 layers, see ``tvsrn_v2`` for the drawing.

Its text and its released code are two networks, so there are two presets:

=========================  ======================  ==============================================
part                       ``paper`` (text)        ``released`` (code)
=========================  ======================  ==============================================
embedding                  1 x 1, 1 -> 8           8 x 8 pixels of all slices -> 2048 -> unfolded
in-plane decoder           4 layers                2 groups of 4 layers
parameters                 1,060,977               2,387,585
=========================  ======================  ==============================================

The paper's 1.73 M follows from neither. Two faults of the released code are not repeated: its mask tokens never reach
the optimiser (here 12 vectors of 8, "a learned vector", which is the 96 over 1,060,881 and 2,387,489), and its head
reads slices as channels. Its DropPath (0 to 0.1) is left out: it has no parameters and its worth was not reported.

Any ratio, the scale of the input and the cubic base are ours, as in TVSRN-V2; ``as_published`` gives the paper's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional

from sr_engine.networks.swin_v1 import SwinV1Layer
from sr_engine.networks.tvsrn_v2 import Backbone, TvsrnV2, TvsrnV2Config

PRESETS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"paper": {"patch": 1, "decoder_groups": 1}, "released": {"patch": 8, "decoder_groups": 2}}
)


@dataclass(frozen=True)
class TvsrnConfig(TvsrnV2Config):
    """Size and scale of the network; the defaults are the ``released`` geometry, the only one that was ever run.

    Attributes
    ----------
    patch : int
        Pixels along either side that the embedding reads at once; divides ``window``.
    millimetres : bool
        Only the z code takes distances in mm here: Swin V1's position bias is a table.
    """

    patch: int = 8
    millimetres: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % self.patch:
            raise ValueError(f"patches of {self.patch} pixels do not fill windows of {self.window}: choose a divisor")

    @classmethod
    def of(cls, preset: str, **changes: Any) -> Self:
        """Return a preset with some fields changed.

        Raises
        ------
        ValueError
            No preset has that name.
        """
        if preset not in PRESETS:
            raise ValueError(f"TVSRN has no preset {preset!r}: choose {' or '.join(PRESETS)}")
        return cls(**{**PRESETS[preset], **changes})


class PatchEmbedding(nn.Module):
    """The released code's embedding: patches of all slices -> channels of all pixels (526,336 parameters)."""

    def __init__(self, slices: int, channels: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.project = nn.Conv2d(slices * patch**2, slices * channels * patch**2, 1)

    def forward(self, values: Tensor) -> Tensor:
        """Embed values (B, H, W, S, 1) as (B, H, W, S, C)."""
        patches = functional.pixel_unshuffle(values.squeeze(-1).permute(0, 3, 1, 2), self.patch)
        planes = functional.pixel_shuffle(self.project(patches), self.patch)  # (B, S * C, H, W), slice-major
        return planes.permute(0, 2, 3, 1).reshape(*values.shape[:-1], -1)


class BackboneV1(Backbone):
    """The same with Swin V1 layers."""

    layer = SwinV1Layer


class Tvsrn(TvsrnV2):
    """The network; see the module's text. Shapes and units as in :class:`SliceNetwork`."""

    backbone = BackboneV1
    config: TvsrnConfig

    def __init__(self, config: TvsrnConfig | None = None) -> None:
        config = config or TvsrnConfig()
        super().__init__(config)
        if config.patch > 1:
            self.embed = PatchEmbedding(config.slices, config.channels, config.patch)
