"""Swin Transformer layer, first version (Liu et al. 2021, arXiv 2103.14030), as TVSRN, SwinIR and RDST use it."""

import torch
from torch import Tensor, nn

from sr_engine.networks.windows import Attend, WindowLayer, attend, offset_index


class TableAttention(nn.Module):
    """Dot-product attention inside one window with a learned table of position biases (Swin V1, eq. 4).

    softmax(q k^T / sqrt(d) + B), B looked up by the offset between two tokens; queries, keys and values have a bias.
    """

    offset_index: Tensor

    def __init__(self, channels: int, heads: int, window: tuple[int, int]) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels do not split into {heads} heads: choose a divisor")
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.position_table = nn.Parameter(torch.empty((2 * window[0] - 1) * (2 * window[1] - 1), heads))
        nn.init.trunc_normal_(self.position_table, std=0.02)
        self.register_buffer("offset_index", offset_index(window), persistent=False)

    def position_bias(self) -> Tensor:
        """Return the bias between every two tokens of a window, (1, heads, N, N)."""
        return self.position_table[self.offset_index].permute(2, 0, 1).unsqueeze(0)

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Attend inside each window: tokens (windows, N, C), additive bias (1, heads, N, N)."""
        windows, count, channels = tokens.shape
        qkv = self.qkv(tokens).view(windows, count, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)  # each (windows, heads, N, C / heads)
        mixed = attend(query * (channels // self.heads) ** -0.5, key, value, bias.to(query.dtype))
        projected: Tensor = self.project(mixed.transpose(1, 2).reshape(windows, count, channels))
        return projected


class SwinV1Layer(WindowLayer):
    """One Swin V1 layer with norms before the branches: x += Attn(LN(x)); x += MLP(LN(x)) (Swin V1, eq. 3).

    Parameters
    ----------
    channels, heads, window, shifted, mlp_ratio
        As :class:`sr_engine.networks.swin.SwinLayer`.
    """

    def __init__(self, channels: int, heads: int, window: tuple[int, int], shifted: bool, mlp_ratio: int) -> None:
        super().__init__(window, shifted)
        self.attention_norm = nn.LayerNorm(channels)
        self.attention: TableAttention = TableAttention(channels, heads, window)
        self.mlp_norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, mlp_ratio * channels), nn.GELU(), nn.Linear(mlp_ratio * channels, channels)
        )

    def forward(self, grid: Tensor, stretch: Tensor | None = None) -> Tensor:  # noqa: ARG002 its table counts pixels
        """Apply the layer to a grid (B, H, W, C); a stretch, known to Swin V2 alone, is not looked at."""
        return self.over_windows(grid, self.attention.position_bias())

    def mix(self, tokens: Tensor, attend: Attend) -> Tensor:
        """Attention and MLP of windows, each branch beginning with its norm."""
        tokens = tokens + attend(self.attention_norm(tokens))
        output: Tensor = tokens + self.mlp(self.mlp_norm(tokens))
        return output
