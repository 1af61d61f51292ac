"""The range of Hounsfield units that networks see and that figures are stated over."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class IntensityRange:
    """A closed range of HU.

    Attributes
    ----------
    low_hu, high_hu : float
        Ends of the range; ``low_hu < high_hu``.
    """

    low_hu: float
    high_hu: float

    def __post_init__(self) -> None:
        if not self.low_hu < self.high_hu:
            raise ValueError(f"intensity range {self.low_hu}..{self.high_hu} HU is empty")

    def clip(self, values: Tensor) -> Tensor:
        """Limit values in HU to the range."""
        return values.clamp(self.low_hu, self.high_hu)


CT_RANGE = IntensityRange(-1024.0, 2048.0)
"""The range of the RPLHR-CT data set and of every PSNR in TVSRN and TVSRN-V2 (arXiv 2206.06253, 4.1)."""
