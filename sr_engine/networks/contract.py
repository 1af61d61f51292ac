"""What every network that makes slices promises: how many thick slices go in, which thin slices come out.

``tiling`` chooses windows from this promise and from nothing else, so a new network needs no new loop. Example,
the published TVSRN at ratio 5 (``SliceContract(4, 10, 5, 3)``)::

    thick        0         1         2         3        4 slices in
    thin grid    0 1 2 3 4 5 6 7 8 9 ...       15
    predicted          3 . . . . . . . . . 12           10 slices out, the first at thin index 3
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class SliceContract:
    """Geometry of one window.

    Attributes
    ----------
    slices_in : int
        Neighbouring thick slices the network reads, >= 2.
    slices_out : int
        Neighbouring thin slices it predicts, > ``ratio`` so that windows can overlap by one thick position.
    ratio : int
        Thin slices per thick spacing, >= 2.
    first_out : int
        Thin index of the first prediction, counted from the window's first thick slice.
    """

    slices_in: int
    slices_out: int
    ratio: int
    first_out: int = 0

    def __post_init__(self) -> None:
        if self.slices_in < 2 or self.ratio < 2:
            raise ValueError(f"a window needs 2 slices and a ratio of 2 or more, not {self.slices_in} and {self.ratio}")
        if self.slices_out <= self.ratio:
            raise ValueError(f"{self.slices_out} slices out cannot span one thick spacing at ratio {self.ratio}")
        if self.first_out < 0 or self.first_out + self.slices_out > (self.slices_in - 1) * self.ratio + 1:
            raise ValueError(
                f"thin slices {self.first_out}..{self.first_out + self.slices_out - 1} reach beyond the "
                f"{self.slices_in} thick slices read at ratio {self.ratio}"
            )

    @property
    def stride(self) -> int:
        """Thick slices from one window to the next, leaving one thick position shared (TVSRN-V2: 3 for 4 in)."""
        return (self.slices_out - 1) // self.ratio


@dataclass(frozen=True)
class Sampling:
    """How far apart things lie in a batch of windows: what one set of weights must know to serve any scan.

    Attributes
    ----------
    step_mm, thickness_mm, pixel_mm : Tensor, float32, shape (B,) or (1,)
        Distance between thick slices, their thickness (above the step where they overlap), and distance between
        pixels. One value stands for all windows of the batch.
    """

    step_mm: Tensor
    thickness_mm: Tensor
    pixel_mm: Tensor

    @classmethod
    def of(cls, step_mm: float, thickness_mm: float, pixel_mm: float) -> Self:
        """All windows alike."""
        return cls(*(torch.tensor([value], dtype=torch.float32) for value in (step_mm, thickness_mm, pixel_mm)))

    def to(self, device: torch.device) -> "Sampling":
        """Return the same on ``device``."""
        return Sampling(self.step_mm.to(device), self.thickness_mm.to(device), self.pixel_mm.to(device))


class SliceNetwork(nn.Module, ABC):
    """A network that makes thin slices from thick ones; HU in, HU out, any ratio with one set of weights.

    Attributes
    ----------
    tile_limit : int or None
        Rows and columns it wants to see at once at most; None where the whole plane is cheap.
    bytes_per_pixel : int
        Memory that one window takes while it runs, for each of its rows times columns; 0 where that is little.
    """

    tile_limit: int | None = None
    bytes_per_pixel: int = 0

    @abstractmethod
    def contract(self, ratio: int) -> SliceContract:
        """Return the geometry of one window at ``ratio``."""

    @abstractmethod
    def forward(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:
        """Predict thin slices.

        Parameters
        ----------
        thick : Tensor, float32, shape (B, slices_in, H, W)
            HU; any H and W >= 1.
        ratio : int
            Thin slices per thick spacing, >= 2.
        sampling : Sampling
            Distances in mm, on the device of ``thick``; networks that only count slices do not look at them.

        Returns
        -------
        Tensor, float32, shape (B, slices_out, H, W)
            HU, on the thin grid positions ``contract(ratio)`` names.
        """
