"""Window attention on channels-last grids, exact and fast on a CPU: what Swin V1 and Swin V2 layers share.

Speed comes from three things that do not change the result (a fourth is ``lean``, Swin V2's attention on a CPU):

* Everything after the window partition is local to a window, so partition, layer (attention, norms, MLP) and merge run
  on blocks of the grid small enough to stay in the processor's cache; no copy of the whole grid in windows exists.
* A cyclic shift joins opposite borders only in the last row and column of windows. Four masks tell all windows apart
  (inside, right, bottom, corner); most windows need none, so the bias keeps shape (1, heads, N, N).
* Without gradients attention is torch's fused ``scaled_dot_product_attention``, mask and position bias in one additive
  term.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

Attend = Callable[[Tensor], Tensor]

CPU_CHUNK_VALUES = 1 << 17  # tokens times channels, per thread: temporaries of one chunk fit the cache of a core
GPU_CHUNK_TOKENS = 1 << 18  # bounds memory; smaller chunks would only starve the device


class WindowLayer(nn.Module, ABC):
    """A transformer layer that mixes tokens inside windows only.

    Parameters
    ----------
    window : tuple of int
        Rows and columns of a window; the grid's height and width must be multiples of them.
    shifted : bool
        Whether windows are moved by half a window, with masks that keep opposite borders apart.
    """

    attention: nn.Module

    def __init__(self, window: tuple[int, int], shifted: bool) -> None:
        super().__init__()
        self.window = window
        self.shift = (window[0] // 2, window[1] // 2) if shifted else (0, 0)

    @abstractmethod
    def mix(self, tokens: Tensor, attend: Attend) -> Tensor:
        """Apply the whole layer, with attention as :meth:`inside` binds it, inside each window: (windows, N, C)."""

    def inside(self, bias: Tensor) -> Attend:
        """Bind attention to an additive bias (1, heads, N, N)."""
        return partial(self.attention, bias=bias)

    def over_windows(self, grid: Tensor, biases: Tensor) -> Tensor:
        """Apply :meth:`mix` to a grid (B, H, W, C); biases (n, heads, N, N) of as many equal parts of the batch."""
        rows, columns = self.shift
        rolled = torch.roll(grid, (-rows, -columns), dims=(1, 2)) if rows else grid
        mixed = torch.empty_like(rolled)
        parts, targets = (whole.view(len(biases), -1, *whole.shape[1:]) for whole in (rolled, mixed))
        for index, bias in enumerate(biases):
            for place, masked in self._places(bias[None]):
                self._in_blocks(parts[index][place], targets[index][place], self.inside(masked))
        return torch.roll(mixed, (rows, columns), dims=(1, 2)) if rows else mixed

    def _places(self, bias: Tensor) -> list[tuple[tuple[slice, ...], Tensor]]:
        """Where in a grid which bias holds: inside, at the right, at the bottom and in the corner."""
        if not any(self.shift):
            return [((), bias)]
        bottom, right = _shift_masks(self.window, self.shift, bias.device)
        (above, below), (left, last) = ((slice(0, -size), slice(-size, None)) for size in self.window)
        return [
            ((slice(None), above, left), bias),
            ((slice(None), above, last), bias + right),
            ((slice(None), below, left), bias + bottom),
            ((slice(None), below, last), bias + bottom + right),
        ]

    def _in_blocks(self, grid: Tensor, target: Tensor, attend: Attend) -> None:
        """Partition, mix and merge a grid, which may be empty, into ``target``, a cacheful at a time."""
        if not grid.numel():
            return
        tokens = GPU_CHUNK_TOKENS
        if grid.device.type == "cpu":
            tokens = CPU_CHUNK_VALUES // grid.shape[-1] * torch.get_num_threads()
        chunk = max(1, tokens // math.prod(self.window))
        # A way back through many small pieces of one grid would be slow: with gradients it is one block.
        blocks = [(grid, target)] if torch.is_grad_enabled() else zip(*self._cut(tokens, grid, target), strict=True)
        for block, result in blocks:
            windows = _partition(block, self.window)
            parts = [self.mix(part, attend) for part in torch.split(windows.flatten(0, 2).flatten(1, 2), chunk)]
            _partition(result, self.window).copy_(_joined(parts).view(windows.shape))

    def _cut(self, tokens: int, *grids: Tensor) -> list[list[Tensor]]:
        """Cut grids of one shape into blocks of so many tokens: as wide as fits, then as many images, then as high."""
        rows, columns = self.window
        count, height, width, _ = grids[0].shape
        across = min(width, max(1, tokens // rows // columns) * columns)
        images = min(count, max(1, tokens // rows // across))
        down = min(height, max(1, tokens // images // across // rows) * rows)
        return [
            [
                block
                for image in torch.split(grid, images)
                for strip in torch.split(image, down, dim=1)
                for block in torch.split(strip, across, dim=2)
            ]
            for grid in grids
        ]


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Softmax attention of (windows, heads, N, d) with an additive bias; queries come scaled.

    Fused where no gradient is wanted, since torch's way back through a mask is slow on a CPU.
    """
    if not torch.is_grad_enabled():
        with torch.autocast(query.device.type, enabled=False):  # the caller has chosen the type
            return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
    logits = query @ key.transpose(-1, -2) + bias
    return torch.softmax(logits, dim=-1, dtype=torch.float32).to(value.dtype) @ value


def offset_index(window: tuple[int, int]) -> Tensor:
    """Tell for every two tokens of a window which of its (2h - 1) * (2w - 1) offsets lies between them, (N, N)."""
    places = torch.stack(torch.meshgrid(*(torch.arange(size) for size in window), indexing="ij")).flatten(1)
    difference = places[:, :, None] - places[:, None, :]  # (2, N, N)
    return (difference[0] + window[0] - 1) * (2 * window[1] - 1) + difference[1] + window[1] - 1


def pad_to_multiple(planes: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column of (B, S, H, W) until both are multiples."""
    height, width = planes.shape[-2:]
    return functional.pad(planes, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def _shift_masks(window: tuple[int, int], shift: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Additive masks (N, N) of the bottom and of the right border: -inf between the two sides that the roll joined."""
    places = torch.meshgrid(*(torch.arange(size, device=device) for size in window), indexing="ij")
    masks = []
    for place, size, moved in zip(places, window, shift, strict=True):
        side = (place >= size - moved).flatten()
        mask = torch.zeros(side.numel(), side.numel(), device=device)
        masks.append(mask.masked_fill(side[:, None] != side[None, :], -torch.inf))
    return masks[0], masks[1]


def _partition(grid: Tensor, window: tuple[int, int]) -> Tensor:
    """See (B, H, W, C) as windows (B, H / h, W / w, h, w, C), without a copy."""
    batch, height, width, channels = grid.shape
    rows, columns = window
    return grid.view(batch, height // rows, rows, width // columns, columns, channels).transpose(2, 3)


def _joined(pieces: list[Tensor]) -> Tensor:
    """Concatenate, without a copy where there is nothing to join."""
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
