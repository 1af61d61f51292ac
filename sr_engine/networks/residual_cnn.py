"""A plain residual CNN over cubic interpolation: the honest baseline that a transformer has to beat at equal budget.

Two-dimensional 3 x 3 convolutions over 4 thick slices as channels; 16 slots come out, a fifth of a thick spacing apart,
as in TVSRN at ratio 5. Other ratios read between the slots along straight lines. 454,736 parameters.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from sr_engine.intensity import CT_RANGE, IntensityRange
from sr_engine.networks.contract import Sampling, SliceContract, SliceNetwork
from sr_engine.networks.interpolation import cubic

MARGIN = 1  # thick slices on either side that only the cubic base reads


@dataclass(frozen=True)
class ResidualCnnConfig:
    """Size and scale of the network.

    Attributes
    ----------
    channels, blocks : int
        Width, and residual blocks of two convolutions.
    slices, slots_between : int
        Thick slices the network sees; slots between two of them.
    centre_hu, contrast_hu : float
        The network sees (HU - centre) / contrast.
    intensity : IntensityRange
        The network sees values clipped to this range; the cubic base does not clip.
    """

    channels: int = 64
    blocks: int = 6
    slices: int = 4
    slots_between: int = 4
    centre_hu: float = -500.0
    contrast_hu: float = 384.0
    intensity: IntensityRange = CT_RANGE


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), as in EDSR (Lim et al. 2017, arXiv 1707.02921)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (B, C, H, W) to planes of the same shape."""
        output: Tensor = planes + self.body(planes)
        return output


class ResidualCnn(SliceNetwork):
    """The network; see the module's text. Shapes and units as in :class:`SliceNetwork`."""

    tile_limit = 288

    def __init__(self, config: ResidualCnnConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ResidualCnnConfig()
        slots = (config.slices - 1) * (config.slots_between + 1) + 1
        self.entry = nn.Conv2d(config.slices, config.channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(config.channels) for _ in range(config.blocks)))
        self.exit = nn.Conv2d(config.channels, slots, 3, padding=1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)  # type: ignore[arg-type]

    def contract(self, ratio: int) -> SliceContract:
        """As TVSRN-V2: 6 in, 16 out at ratio 5."""
        return SliceContract(
            self.config.slices + 2 * MARGIN, (self.config.slices - 1) * ratio + 1, ratio, MARGIN * ratio
        )

    def forward(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:  # noqa: ARG002 counts slices only
        """Cubic interpolation plus what the network has learned to add."""
        config = self.config
        seen = (config.intensity.clip(thick[:, MARGIN:-MARGIN]) - config.centre_hu) / config.contrast_hu
        features = self.entry(seen)
        slots = self.exit(self.blocks(features) + features).to(thick)
        count = (config.slices - 1) * ratio + 1
        flat = functional.interpolate(slots.flatten(2).transpose(1, 2), count, mode="linear", align_corners=True)
        residual = flat.transpose(1, 2).reshape(len(thick), count, *thick.shape[2:])
        return cubic(thick, ratio) + residual * config.contrast_hu
