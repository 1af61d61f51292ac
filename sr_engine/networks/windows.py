"""Window attention on channels-last grids, exact and fast on a CPU: what Swin V1 and Swin V2 layers share.

Speed comes from three things that do not change the result:

* Everything after the window partition is local to a window, so partition, layer (attention, norms, MLP) and merge run
  on blocks of the grid small enough to stay in the processor's cache; no copy of the whole grid in windows exists.
* A cyclic shift joins opposite borders only in the last row and column of windows. Four masks tell all windows apart
  (inside, right, bottom, corner); most windows need none, so the bias keeps shape (1, heads, N, N).
* Attention is torch's fused ``scaled_dot_product_attention`` with mask and position bias in one additive term.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

CPU_CHUNK_TOKENS = 2048  # per thread: temporaries of one chunk fit the cache of a core
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

    def __init__(self, window: tuple[int, int], shifted: bool) -> None:
        super().__init__()
        self.window = window
        self.shift = (window[0] // 2, window[1] // 2) if shifted else (0, 0)

    @abstractmethod
    def mix(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Apply the whole layer inside each window: tokens (windows, N, C), additive bias (1, heads, N, N)."""

    def over_windows(self, grid: Tensor, biases: Tensor) -> Tensor:
        """Apply :meth:`mix` to a grid (B, H, W, C); biases (n, heads, N, N) of as many equal parts of the batch."""
        rows, columns = self.shift
        rolled = torch.roll(grid, (-rows, -columns), dims=(1, 2)) if rows else grid
        parts = zip(rolled.chunk(len(biases)), biases, strict=True)
        mixed = _joined([self._in_blocks(part, bias[None]) for part, bias in parts], dim=0)
        return torch.roll(mixed, (rows, columns), dims=(1, 2)) if rows else mixed

    def _in_blocks(self, grid: Tensor, bias: Tensor) -> Tensor:
        """Cut a grid into blocks, a cacheful each, and mix every block under the mask of its place."""
        bottom, right = _shift_masks(self.window, self.shift, bias.device)  # zeros where nothing was moved
        images, heights, widths = self._blocks(grid)
        done = []
        for image in torch.split(grid, images):
            strips = []
            for strip, lowest in zip(torch.split(image, heights, dim=1), _last(heights), strict=True):
                masked = bias + bottom if lowest else bias
                blocks = [
                    self._block(block, masked + right if rightmost else masked)
                    for block, rightmost in zip(torch.split(strip, widths, dim=2), _last(widths), strict=True)
                ]
                strips.append(_joined(blocks, dim=2))
            done.append(_joined(strips, dim=1))
        return _joined(done, dim=0)

    def _blocks(self, grid: Tensor) -> tuple[int, list[int], list[int]]:
        """Images, heights and widths of blocks: as wide as fits, then as many images, then as high.

        Where windows were moved, the last row and the last column of windows are blocks of their own.
        """
        rows, columns = self.window
        count, height, width, _ = grid.shape
        tokens = CPU_CHUNK_TOKENS * torch.get_num_threads() if grid.device.type == "cpu" else GPU_CHUNK_TOKENS
        across = min(width, max(1, tokens // rows // columns) * columns)
        images = min(count, max(1, tokens // rows // across))
        down = min(height, max(1, tokens // images // across // rows) * rows)
        last_row, last_column = (size if moved else 0 for size, moved in zip(self.window, self.shift, strict=True))
        return images, _cuts(height, down, last_row), _cuts(width, across, last_column)

    def _block(self, block: Tensor, bias: Tensor) -> Tensor:
        """Partition, mix and merge a block (B, h, w, C)."""
        windows = _partition(block, self.window)
        return _merge(self.mix(windows.flatten(0, 2), bias).view(windows.shape), self.window)


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
    """(B, H, W, C) -> (B, H / h, W / w, h * w, C)."""
    batch, height, width, channels = grid.shape
    rows, columns = window
    split = grid.view(batch, height // rows, rows, width // columns, columns, channels)
    return split.transpose(2, 3).reshape(batch, height // rows, width // columns, rows * columns, channels)


def _merge(windows: Tensor, window: tuple[int, int]) -> Tensor:
    """Undo :func:`_partition`."""
    batch, down, across, _, channels = windows.shape
    rows, columns = window
    split = windows.view(batch, down, across, rows, columns, channels).transpose(2, 3)
    return split.reshape(batch, down * rows, across * columns, channels)


def _cuts(size: int, step: int, last: int) -> list[int]:
    """Lengths of the pieces of an axis: steps and what remains, but ``last`` by itself at the end."""
    whole, rest = divmod(size - last, step)
    return [length for length in (*[step] * whole, rest, last) if length]


def _last(lengths: list[int]) -> list[bool]:
    """Tell which piece is the last."""
    return [*[False] * (len(lengths) - 1), True]


def _joined(pieces: list[Tensor], dim: int) -> Tensor:
    """Concatenate, without a copy where there is nothing to join."""
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=dim)
