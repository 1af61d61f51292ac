"""Interpolation along z behind the same contract as the learned networks: the honest baselines.

All are local kernels, so a window gives the same answer wherever it is cut, and all reproduce thick slices exactly.
"""

import torch
from torch import Tensor

from sr_engine.networks.contract import Sampling, SliceContract, SliceNetwork


class LinearInterpolation(SliceNetwork):
    """The straight line between two neighbouring thick slices."""

    def contract(self, ratio: int) -> SliceContract:
        """Two slices in, both of them and everything between out."""
        return SliceContract(slices_in=2, slices_out=ratio + 1, ratio=ratio)

    def forward(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:  # noqa: ARG002 counts slices only
        """Interpolate; shapes as in :class:`SliceNetwork`."""
        t = torch.arange(ratio + 1, dtype=torch.float64) / ratio
        return _weighted(thick, torch.stack((1 - t, t), dim=1))


class CubicInterpolation(SliceNetwork):
    """Cubic convolution over the four nearest thick slices, see :func:`cubic`."""

    def contract(self, ratio: int) -> SliceContract:
        """Four slices in, the middle two and everything between out."""
        return SliceContract(slices_in=4, slices_out=ratio + 1, ratio=ratio, first_out=ratio)

    def forward(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:  # noqa: ARG002 counts slices only
        """Interpolate; shapes as in :class:`SliceNetwork`."""
        return cubic(thick, ratio)


class LanczosInterpolation(SliceNetwork):
    """Lanczos' windowed sinc with a = 3 over the six nearest thick slices (Duchon, J. Appl. Meteorol. 18:1016, 1979).

    Weights are divided by their sum, so that a flat volume stays flat.
    """

    def contract(self, ratio: int) -> SliceContract:
        """Six slices in, the middle two and everything between out."""
        return SliceContract(slices_in=6, slices_out=ratio + 1, ratio=ratio, first_out=2 * ratio)

    def forward(self, thick: Tensor, ratio: int, sampling: Sampling) -> Tensor:  # noqa: ARG002 counts slices only
        """Interpolate; shapes as in :class:`SliceNetwork`."""
        positions = 2 + torch.arange(ratio + 1, dtype=torch.float64) / ratio
        weights = _lanczos_kernel(positions[:, None] - torch.arange(6, dtype=torch.float64))
        return _weighted(thick, weights / weights.sum(dim=1, keepdim=True))


def cubic(thick: Tensor, ratio: int) -> Tensor:
    """Interpolate with Keys' cubic convolution, a = -1/2 (IEEE Trans. ASSP 29:1153, 1981), along the slice axis.

    Exact for straight lines and parabolas, and exactly the thick slice at a thick position. The outermost slices are
    only read, never reproduced, so the caller decides what stands beyond a volume's end.

    Parameters
    ----------
    thick : Tensor, float32, shape (B, S, H, W)
        S >= 4 neighbouring thick slices.
    ratio : int
        Thin slices per thick spacing.

    Returns
    -------
    Tensor, float32, shape (B, (S - 3) * ratio + 1, H, W)
        From thick slice 1 to thick slice S - 2, both included.
    """
    slices = thick.shape[1]
    positions = 1 + torch.arange((slices - 3) * ratio + 1, dtype=torch.float64) / ratio
    return _weighted(thick, _keys_kernel(positions[:, None] - torch.arange(slices, dtype=torch.float64)))


def _keys_kernel(distance: Tensor) -> Tensor:
    """Keys' kernel at signed distances in thick spacings; 1 at 0, 0 at every other integer."""
    s = distance.abs()
    near = 1.5 * s**3 - 2.5 * s**2 + 1
    far = -0.5 * s**3 + 2.5 * s**2 - 4 * s + 2
    return torch.where(s < 1, near, torch.where(s < 2, far, torch.zeros_like(s)))


def _lanczos_kernel(distance: Tensor) -> Tensor:
    """Lanczos' kernel, a = 3, at signed distances in thick spacings; exactly 1 at 0, 0 at every other integer."""
    kernel = torch.sinc(distance) * torch.sinc(distance / 3) * (distance.abs() < 3)
    return torch.where(distance == distance.round(), (distance == 0).to(kernel), kernel)  # sinc(1) is not quite 0


def _weighted(thick: Tensor, weights: Tensor) -> Tensor:
    """Sum thick slices (B, S, H, W) with weights (D, S) into (B, D, H, W); a weight of 1 among zeros copies exactly."""
    batch, slices, height, width = thick.shape
    with torch.autocast(thick.device.type, enabled=False):  # bfloat16 would round HU to steps of 4 to 8
        flat = weights.to(thick) @ thick.reshape(batch, slices, -1)
    return flat.view(batch, -1, height, width)
