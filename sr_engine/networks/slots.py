"""Slots: the places between thick slices at which a network predicts, a fifth of a spacing apart for ratio 5.

What the baselines share stands here too: a network of their kind sees 4 thick slices (some see more) and adds a
residual at 16 slots, TVSRN's at ratio 5. For other ratios it reads between the slots along straight lines.
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from sr_engine.intensity import CT_RANGE, IntensityRange
from sr_engine.networks.contract import Sampling, SliceContract, SliceNetwork
from sr_engine.networks.interpolation import cubic

MARGIN = 1  # thick slices on either side that only the cubic base reads


@dataclass(frozen=True, kw_only=True)
class SlotConfig:
    """What is seen and what is predicted.

    Attributes
    ----------
    slices, slots_between : int
        Thick slices the network sees; slots between two of them.
    centre_hu, contrast_hu : float
        The network sees (HU - centre) / contrast.
    intensity : IntensityRange
        The network sees values clipped to this range; the cubic base does not clip.
    """

    slices: int = 4
    slots_between: int = 4
    centre_hu: float = -500.0
    contrast_hu: float = 384.0
    intensity: IntensityRange = CT_RANGE

    @property
    def slots(self) -> int:
        """Slots from the first thick slice seen to the last."""
        return (self.slices - 1) * (self.slots_between + 1) + 1


class SlotNetwork(SliceNetwork):
    """Cubic interpolation plus a residual at slots; a network of this kind says in :meth:`residual` how it gets it."""

    tile_limit = 288
    config: SlotConfig

    def contract(self, ratio: int) -> SliceContract:
        """As TVSRN-V2 where 4 slices are seen: 6 in, 16 out at ratio 5."""
        spacings = self.config.slices - 1
        return SliceContract(self.config.slices + 2 * MARGIN, spacings * ratio + 1, ratio, MARGIN * ratio)

    def forward(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:
        """Cubic interpolation plus what the network has learned to add; shapes as in :class:`SliceNetwork`."""
        config = self.config
        seen = (config.intensity.clip(thick[:, MARGIN:-MARGIN]) - config.centre_hu) / config.contrast_hu
        slots = self.residual(seen, sampling).to(thick)
        count = (config.slices - 1) * ratio + 1
        flat = functional.interpolate(slots.flatten(2).transpose(1, 2), count, mode="linear", align_corners=True)
        residual = flat.transpose(1, 2).reshape(len(thick), count, *thick.shape[2:])
        return cubic(thick, ratio) + residual * config.contrast_hu

    @abstractmethod
    def residual(self, seen: Tensor, sampling: Sampling) -> Tensor:
        """Predict what cubic interpolation lacks, in contrasts: scaled slices (B, S, H, W) -> (B, slots, H, W)."""


def shuffle_slices(features: Tensor, slots_between: int) -> Tensor:
    """Sub-pixel upsampling (Shi et al. 2016, arXiv 1609.05158) along one axis: channels become slots around a slice.

    Parameters
    ----------
    features : Tensor, shape (B, C * r, S, ...)
        r = ``slots_between`` + 1 values for each of S slices.
    slots_between : int
        Slots between two slices.

    Returns
    -------
    Tensor, shape (B, C, (S - 1) * r + 1, ...)
        From the first slice to the last; slice i fills the slots nearest to it. What lies beyond the ends is dropped.
    """
    each = slots_between + 1
    batch, channels, slices, *plane = features.shape
    split = features.reshape(batch, channels // each, each, slices, *plane).transpose(2, 3).flatten(2, 3)
    return split.narrow(2, each // 2, (slices - 1) * each + 1)


def slot_passes(slices: int, slots_between: int, ratio: int) -> list[list[int]]:
    """Which thin position each slot of each pass predicts; every position is asked for at least once.

    Slots between two thick slices share out the positions between them evenly and in order; the slots of the thick
    slices keep theirs. With 4 slots between and ratio 3, one pass: ``[0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, ...]``.
    """
    count = -(-(ratio - 1) // slots_between)
    passes = []
    for start in range(1, count + 1):
        wanted = range(start, ratio, count)
        shared = [wanted[(2 * slot + 1) * len(wanted) // (2 * slots_between)] for slot in range(slots_between)]
        inner = [interval * ratio + step for interval in range(slices - 1) for step in [0, *shared]]
        passes.append([*inner, (slices - 1) * ratio])
    return passes
