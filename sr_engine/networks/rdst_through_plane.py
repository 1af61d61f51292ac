"""RDST and RDST-E turned on their side: OUR extension, not the paper's, which makes no slices (arXiv 2302.11184).

The body of RDST sees coronal images, 8 thick slices high (its window) and as wide as the plane, one for every row. Its
upsampler, twice twofold in both axes there, is fivefold in z alone here: 3x3 to 5d channels, which become the 5 slots
around a slice, and 3x3 to 1. 4,367,581 parameters with RDST's 8 groups, 2,281,861 with RDST-E's 4.

Rows do not see each other; what TVSRN's second view adds would cost this network twice its time.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sr_engine.networks.contract import Sampling
from sr_engine.networks.in_plane.base import convolution, reflect_to_multiple
from sr_engine.networks.in_plane.rdst import WINDOW, RdstBody, RdstConfig
from sr_engine.networks.slots import SlotConfig, SlotNetwork, shuffle_slices


@dataclass(frozen=True, kw_only=True)
class RdstThroughPlaneConfig(SlotConfig):
    """Size of the network; ``slices`` is a multiple of RDST's window.

    Attributes
    ----------
    groups : int
        Residual dense groups: 8 as RDST, 4 as RDST-E. All else is RDST's.
    """

    slices: int = WINDOW
    groups: int = 8

    def __post_init__(self) -> None:
        if self.slices % WINDOW:
            raise ValueError(f"{self.slices} slices do not fill RDST's windows: see a multiple of {WINDOW}")


class RdstThroughPlane(SlotNetwork):
    """The network; see the module's text. Shapes and units as in :class:`SliceNetwork`."""

    tile_limit = 128  # 5d channels for 8 slices: 0.2 GB at this size
    bytes_per_pixel = 45000  # measured at ratio 5, float32

    def __init__(self, config: RdstThroughPlaneConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RdstThroughPlaneConfig()
        published = RdstConfig(groups=config.groups)
        self.body = RdstBody(published)
        self.grow = convolution(published.channels, (config.slots_between + 1) * published.channels)
        self.exit = convolution(published.channels, 1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)  # type: ignore[arg-type]

    def residual(self, seen: Tensor, sampling: Sampling) -> Tensor:  # noqa: ARG002 counts slices only
        """Make every row's coronal image finer in z; shapes as in :class:`SlotNetwork`."""
        batch, _, height, width = seen.shape
        images = reflect_to_multiple(seen.transpose(1, 2).flatten(0, 1).unsqueeze(1), WINDOW)  # (B * H, 1, S, W)
        slots = shuffle_slices(self.grow(self.body(images)), self.config.slots_between)  # (B * H, d, slots, W)
        fine: Tensor = self.exit(slots)[:, 0, :, :width]
        return fine.view(batch, height, -1, width).transpose(1, 2)
