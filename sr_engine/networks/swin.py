"""Swin Transformer V2 layer (Liu et al. 2022, arXiv 2111.09883) on channels-last grids.

Fast by ``windows`` and, on a CPU without gradients, ``lean``.
The position bias is computed once per layer call (0.2 ms), not cached between
calls: a cache would have to notice every change of the weights.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sr_engine.networks.lean import LeanAttention
from sr_engine.networks.windows import Attend, WindowLayer, attend, offset_index

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
        self.register_buffer("offsets", _offsets(window), persistent=False)
        self.register_buffer("offset_index", offset_index(window), persistent=False)

    def position_bias(self, stretch: Tensor) -> Tensor:
        """Return the bias between every two tokens of a window, (n, heads, N, N), for stretch (n, 2) of its axes."""
        offsets = self.offsets * stretch[:, None]  # (n, all offsets, 2)
        offsets = offsets.sign() * torch.log2(offsets.abs() + 1) / math.log2(8)
        table = 16 * torch.sigmoid(self.position_mlp(offsets))  # (n, all offsets, heads)
        return table[:, self.offset_index].permute(0, 3, 1, 2)

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Attend inside each window: tokens (windows, N, C), additive bias (1, heads, N, N)."""
        windows, count, channels = tokens.shape
        qkv = functional.linear(tokens, self.qkv.weight, torch.cat(self._offsets()))
        qkv = qkv.view(windows, count, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)  # each (windows, heads, N, C / heads)
        query = query * (self._scale() * _reciprocal_norm(query)).to(query.dtype)
        key = key * _reciprocal_norm(key).to(key.dtype)
        mixed = attend(query, key, value, bias.to(query.dtype))
        projected: Tensor = self.project(mixed.transpose(1, 2).reshape(windows, count, channels))
        return projected

    def lean(self, bias: Tensor) -> LeanAttention:
        """Return the same under ``bias``, faster on a CPU and without gradients."""
        return LeanAttention(self.qkv.weight.chunk(3), self._offsets(), self._scale(), bias, self.project)

    def _offsets(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.q_bias, torch.zeros_like(self.q_bias), self.v_bias

    def _scale(self) -> Tensor:
        return self.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()


class SwinLayer(WindowLayer):
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
        super().__init__(window, shifted)
        self.attention: WindowAttention = WindowAttention(channels, heads, window)
        self.attention_norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, mlp_ratio * channels), nn.GELU(), nn.Linear(mlp_ratio * channels, channels)
        )
        self.mlp_norm = nn.LayerNorm(channels)

    def forward(self, grid: Tensor, stretch: Tensor) -> Tensor:
        """Apply the layer to a grid (B, H, W, C); stretch (n, 2) of as many equal parts of the batch, n divides B."""
        return self.over_windows(grid, self.attention.position_bias(stretch))

    def inside(self, bias: Tensor) -> Attend:
        """Bind attention to a bias; on a CPU without gradients the lean one."""
        if bias.device.type == "cpu" and not torch.is_grad_enabled():
            return self.attention.lean(bias)
        return super().inside(bias)

    def mix(self, tokens: Tensor, attend: Attend) -> Tensor:
        """Attention and MLP of windows, each branch ending in its norm."""
        tokens = self.attention_norm(attend(tokens)).add_(tokens)
        output: Tensor = self.mlp_norm(self.mlp(tokens)).add_(tokens)
        return output


def initialise(network: nn.Module, branch_norm: float) -> None:
    """Set Swin's initial values in all of ``network``; norms that end a branch start at ``branch_norm``."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, SwinLayer):
            nn.init.constant_(module.attention_norm.weight, branch_norm)
            nn.init.constant_(module.mlp_norm.weight, branch_norm)


def _offsets(window: tuple[int, int]) -> Tensor:
    """All offsets inside a window in eighths of it, shape (all, 2)."""
    spans = [torch.arange(1 - size, size, dtype=torch.float32) * 8 / (size - 1) for size in window]
    return torch.stack(torch.meshgrid(*spans, indexing="ij"), dim=-1).flatten(0, 1)


def _reciprocal_norm(vectors: Tensor) -> Tensor:
    """1 / length of the last axis, float32; cheaper than dividing."""
    return torch.rsqrt(vectors.float().square().sum(dim=-1, keepdim=True) + 1e-12)
