"""TVSRN-V2 as a straightforward reading of the papers writes it: the yardstick of speed, and a second opinion.

Each Swin V2 layer takes the whole grid at once: roll, partition, queries and keys divided by their lengths, a bias of
shape (1, heads, N, N) and a mask of shape (windows, N, N) on logits of all windows, softmax, merge, roll back, norms
and MLP on the whole grid. Nothing is chunked or fused. Weights are those of the network it is made from.
"""

import copy
import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sr_engine.networks.swin import SwinLayer
from sr_engine.networks.tvsrn_v2 import Backbone, TvsrnV2


def plain(network: TvsrnV2) -> TvsrnV2:
    """Return a copy of ``network`` whose every Swin layer is a :class:`PlainLayer` with the same weights."""
    copied = copy.deepcopy(network)
    for backbone in copied.modules():
        if isinstance(backbone, Backbone):
            backbone.groups = nn.ModuleList(
                nn.ModuleList(PlainLayer(cast("SwinLayer", layer)) for layer in cast("nn.ModuleList", group))
                for group in backbone.groups
            )
    return copied


class PlainLayer(nn.Module):
    """One Swin V2 layer (arXiv 2111.09883, 3.2 and 3.3), written for reading."""

    def __init__(self, layer: SwinLayer) -> None:
        super().__init__()
        self.layer, self.window, self.shift = layer, layer.window, layer.shift

    def forward(self, grid: Tensor, stretch: Tensor) -> Tensor:
        """Map a grid (B, H, W, C) to the same shape; ``stretch`` (1, 2)."""
        rows, columns = self.shift
        rolled = torch.roll(grid, (-rows, -columns), dims=(1, 2))
        windows = self._partition(rolled)  # (B * windows, N, C)
        mixed = self._merge(self._attend(windows, self._mask(grid), stretch), grid)
        mixed = torch.roll(mixed, (rows, columns), dims=(1, 2))
        grid = grid + self.layer.attention_norm(mixed)
        output: Tensor = grid + self.layer.mlp_norm(self.layer.mlp(grid))
        return output

    def _attend(self, windows: Tensor, mask: Tensor, stretch: Tensor) -> Tensor:
        part = self.layer.attention
        count, tokens, channels = windows.shape
        bias = torch.cat((part.q_bias, torch.zeros_like(part.q_bias), part.v_bias))
        qkv = functional.linear(windows, part.qkv.weight, bias)
        query, key, value = qkv.view(count, tokens, 3, part.heads, -1).permute(2, 0, 3, 1, 4)
        cosine = functional.normalize(query, dim=-1) @ functional.normalize(key, dim=-1).transpose(-2, -1)
        logits = cosine * part.logit_scale.clamp(max=math.log(100.0)).exp() + part.position_bias(stretch)
        logits = logits.view(-1, len(mask), part.heads, tokens, tokens) + mask[:, None]
        weights = torch.softmax(logits.view(count, part.heads, tokens, tokens), dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(count, tokens, channels)
        projected: Tensor = part.project(mixed)
        return projected

    def _mask(self, grid: Tensor) -> Tensor:
        """-inf between tokens of a window that the roll brought together, (windows, N, N)."""
        regions = torch.zeros(1, *grid.shape[1:3], 1)
        number = 0
        for down in self._borders(self.window[0], self.shift[0]):
            for across in self._borders(self.window[1], self.shift[1]):
                regions[:, down, across] = number
                number += 1
        region = self._partition(regions).squeeze(-1)  # (windows, N)
        apart = region[:, :, None] != region[:, None, :]
        return torch.zeros(apart.shape).masked_fill(apart, -torch.inf)

    @staticmethod
    def _borders(window: int, shift: int) -> list[slice]:
        return [slice(0, -window), slice(-window, -shift), slice(-shift, None)] if shift else [slice(None)]

    def _partition(self, grid: Tensor) -> Tensor:
        batch, height, width, channels = grid.shape
        rows, columns = self.window
        split = grid.view(batch, height // rows, rows, width // columns, columns, channels)
        return split.permute(0, 1, 3, 2, 4, 5).reshape(-1, rows * columns, channels)

    def _merge(self, windows: Tensor, like: Tensor) -> Tensor:
        batch, height, width, channels = like.shape
        rows, columns = self.window
        split = windows.view(batch, height // rows, width // columns, rows, columns, channels)
        return split.permute(0, 1, 3, 2, 4, 5).reshape(like.shape)
