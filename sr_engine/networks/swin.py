"""Swin Transformer V2 layer (Liu et al. 2022, arXiv 2111.09883) on channels-last grids, exact and fast on a CPU.

Speed comes from three things that do not change the result:

* Everything after the window partition is local to a window, so the whole layer (attention, norms, MLP) runs on
  chunks of windows small enough to stay in the processor's cache.
* A cyclic shift joins opposite borders only in the last row and column of windows. Four masks tell all windows apart
  (inside, right, bottom, corner); most windows need none, so the bias keeps shape (1, heads, N, N).
* Attention is torch's fused ``scaled_dot_product_attention`` with mask and position bias in one additive term.

The position bias is computed once per layer call (0.2 ms), not cached between
calls: a cache would have to notice every change of the weights.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

CPU_CHUNK_TOKENS = 2048  # per thread: temporaries of one chunk fit the cache of a core
GPU_CHUNK_TOKENS = 1 << 18  # bounds memory; smaller chunks would only starve the device
MAX_LOGIT_SCALE = math.log(100.0)  # Swin V2 3.2: tau is not smaller than 0.01


class WindowAttention(nn.Module):
    """Scaled cosine attention inside one window with log-spaced continuous position bias (Swin V2, 3.2 and 3.3).

    logits = cos(q, k) * exp(min(s, ln 100)) + 16 * sigmoid(MLP(t)), t = sign(u) log2(|u| + 1) / log2 8,
    u = 8 * offset * stretch / (window - 1). Queries and values have a bias, keys have none. A stretch of 1 is Swin V2;
    another one says how far apart neighbours lie compared with the distance for which the offsets stand.
    """

    offsets: Tensor
    offset_index: Tensor

    def __init__(self, channels: int, heads: int, window: tuple[int, int]) -> None:
        super().__init__()
        if channels % heads or min(window) < 2:
            raise ValueError(f"{channels} channels do not split into {heads} heads, or window {window} is below 2")
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(channels))
        self.v_bias = nn.Parameter(torch.zeros(channels))
        self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))
        self.position_mlp = nn.Sequential(nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, heads, bias=False))
        self.project = nn.Linear(channels, channels)
        offsets, index = _relative_offsets(window)
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("offset_index", index, persistent=False)

    def position_bias(self, stretch: Tensor) -> Tensor:
        """Return the bias between every two tokens of a window, (n, heads, N, N), for stretch (n, 2) of its axes."""
        offsets = self.offsets * stretch[:, None]  # (n, all offsets, 2)
        offsets = offsets.sign() * torch.log2(offsets.abs() + 1) / math.log2(8)
        table = 16 * torch.sigmoid(self.position_mlp(offsets))  # (n, all offsets, heads)
        return table[:, self.offset_index].permute(0, 3, 1, 2)

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Attend inside each window: tokens (windows, N, C), additive bias (1, heads, N, N)."""
        windows, count, channels = tokens.shape
        qkv_bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        qkv = functional.linear(tokens, self.qkv.weight, qkv_bias)
        qkv = qkv.view(windows, count, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)  # each (windows, heads, N, C / heads)
        query = query * (self.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp() * _reciprocal_norm(query)).to(query.dtype)
        key = key * _reciprocal_norm(key).to(key.dtype)
        mixed = _attend(query, key, value, bias.to(query.dtype))
        projected: Tensor = self.project(mixed.transpose(1, 2).reshape(windows, count, channels))
        return projected


class SwinLayer(nn.Module):
    """One Swin V2 layer with norms after the branches: x += LN(Attn(x)); x += LN(MLP(x)) (Swin V2, 3.2).

    Parameters
    ----------
    channels, heads : int
        Width and its split.
    window : tuple of int
        Rows and columns of a window; the grid's height and width must be multiples of them.
    shifted : bool
        Whether windows are moved by half a window, with masks that keep opposite borders apart.
    mlp_ratio : int
        Hidden width of the MLP in multiples of ``channels``.
    """

    def __init__(self, channels: int, heads: int, window: tuple[int, int], shifted: bool, mlp_ratio: int) -> None:
        super().__init__()
        self.window = window
        self.shift = (window[0] // 2, window[1] // 2) if shifted else (0, 0)
        self.attention = WindowAttention(channels, heads, window)
        self.attention_norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, mlp_ratio * channels), nn.GELU(), nn.Linear(mlp_ratio * channels, channels)
        )
        self.mlp_norm = nn.LayerNorm(channels)

    def forward(self, grid: Tensor, stretch: Tensor) -> Tensor:
        """Apply the layer to a grid (B, H, W, C); stretch (n, 2) of as many equal parts of the batch, n divides B."""
        rows, columns = self.shift
        rolled = torch.roll(grid, (-rows, -columns), dims=(1, 2)) if rows else grid
        biases = self.attention.position_bias(stretch)
        parts = _partition(rolled, self.window).chunk(len(biases))
        windows = torch.cat([self._by_region(part, bias[None]) for part, bias in zip(parts, biases, strict=True)])
        mixed = _merge(windows, self.window)
        return torch.roll(mixed, (rows, columns), dims=(1, 2)) if rows else mixed

    def _by_region(self, windows: Tensor, bias: Tensor) -> Tensor:
        """Run the windows (B, rows, columns, N, C), each region of the shifted grid under its own mask."""
        if not self.shift[0]:
            return self._run(windows, bias)
        bottom, right = _shift_masks(self.window, self.shift, bias.device)
        upper = torch.cat((self._run(windows[:, :-1, :-1], bias), self._run(windows[:, :-1, -1:], bias + right)), dim=2)
        lower = torch.cat(
            (self._run(windows[:, -1:, :-1], bias + bottom), self._run(windows[:, -1:, -1:], bias + bottom + right)),
            dim=2,
        )
        return torch.cat((upper, lower), dim=1)

    def _run(self, windows: Tensor, bias: Tensor) -> Tensor:
        """Run windows of any leading shape (..., N, C) in chunks."""
        if windows.numel() == 0:
            return windows
        flat = windows.flatten(0, -3)
        return _in_chunks(lambda chunk: self._layer(chunk, bias), flat).view(windows.shape)

    def _layer(self, tokens: Tensor, bias: Tensor) -> Tensor:
        tokens = tokens + self.attention_norm(self.attention(tokens, bias))
        output: Tensor = tokens + self.mlp_norm(self.mlp(tokens))
        return output


def _relative_offsets(window: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """All offsets inside a window in eighths of it, shape (all, 2), and which one lies between two tokens, (N, N)."""
    spans = [torch.arange(1 - size, size, dtype=torch.float32) * 8 / (size - 1) for size in window]
    offsets = torch.stack(torch.meshgrid(*spans, indexing="ij"), dim=-1).flatten(0, 1)
    places = torch.stack(torch.meshgrid(*(torch.arange(size) for size in window), indexing="ij")).flatten(1)
    difference = places[:, :, None] - places[:, None, :]  # (2, N, N)
    index = (difference[0] + window[0] - 1) * (2 * window[1] - 1) + difference[1] + window[1] - 1
    return offsets, index


def _reciprocal_norm(vectors: Tensor) -> Tensor:
    """1 / length of the last axis, float32; cheaper than dividing."""
    return torch.rsqrt(vectors.float().square().sum(dim=-1, keepdim=True) + 1e-12)


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Softmax attention; fused where no gradient is wanted, since torch's way back through a mask is slow on a CPU."""
    if not torch.is_grad_enabled():
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
    logits = query @ key.transpose(-1, -2) + bias
    return torch.softmax(logits, dim=-1, dtype=torch.float32).to(value.dtype) @ value


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


def _in_chunks(function: Callable[[Tensor], Tensor], windows: Tensor) -> Tensor:
    """Apply ``function`` to windows (n, N, C), a cacheful at a time."""
    tokens = CPU_CHUNK_TOKENS * torch.get_num_threads() if windows.device.type == "cpu" else GPU_CHUNK_TOKENS
    chunks = torch.split(windows, max(1, tokens // windows.shape[1]))
    return torch.cat([function(chunk) for chunk in chunks])
