"""Scaled cosine attention for inference on a CPU, written for its cache; equal to the written-out one but for rounding.

* Tokens are columns, (windows, channels, N): lengths of queries and keys, and the softmax's sums, add up whole rows,
  and every product finds its operands as they lie.
* Keys come before queries in logits and bias, so that the softmax runs along rows too.
* A logit is no larger than its head's scale and 16. While that is small the softmax need not look for the largest.
* Temporaries are changed in place, and what all blocks of a layer share is made ready once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LARGEST = 40.0  # scale up to which e^(scale + 16), summed over a window, and e^-(scale + 40) are normal in float32


class LeanAttention:
    """Attention of windows under one bias.

    Parameters
    ----------
    weights, offsets : sequence of Tensor, shapes (C, C) and (C,)
        Of queries, keys and values.
    scale : Tensor, shape (heads, 1, 1)
        Of cosines.
    bias : Tensor, shape (1, heads, N, N)
        Added to logits, rows are queries: 0 to 16, or -inf where tokens must not see each other.
    project : Linear
        From the heads' values to the result.
    """

    def __init__(
        self, weights: Sequence[Tensor], offsets: Sequence[Tensor], scale: Tensor, bias: Tensor, project: nn.Linear
    ) -> None:
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else project.weight.dtype
        self._parts = [(w.to(dtype), o.to(dtype)[:, None]) for w, o in zip(weights, offsets, strict=True)]
        self._project, self._project_bias = project.weight.to(dtype).mT, project.bias.to(dtype)
        self._dtype, self._scale, self._bias = dtype, scale, bias.float().mT.contiguous()
        self._bounded = bool(scale.amax() < LARGEST)
        self._seen = (self._bias > -torch.inf).float() if self._bounded and self._bias.amin() == -torch.inf else None
        if self._bounded:
            self._bias = self._bias.clamp(min=-LARGEST)  # e to less takes several times as long

    def __call__(self, tokens: Tensor) -> Tensor:
        """Attend inside each window: (windows, N, C) -> same. Matrix products with weights in autocast's type.

        All else is float32: so few channels to a head are slower in bfloat16, see docs/engine.md.
        """
        windows, count, channels = tokens.shape
        with torch.autocast("cpu", enabled=False):
            columns = tokens.to(self._dtype).mT
            query, key, value = (
                torch.baddbmm(offset, weight.expand(windows, -1, -1), columns)
                .float()
                .view(windows, len(self._scale), -1, count)
                for weight, offset in self._parts
            )
            query.mul_(_reciprocal_lengths(query).mul_(self._scale))
            key.mul_(_reciprocal_lengths(key))
            mixed = self._weighted(value, (key.mT @ query).add_(self._bias))
            rows = mixed.view(windows, channels, count).to(self._dtype).mT
            return torch.baddbmm(self._project_bias, rows, self._project.expand(windows, -1, -1))

    def _weighted(self, value: Tensor, logits: Tensor) -> Tensor:
        """Average values (windows, heads, d, N) under the softmax of logits (windows, heads, keys, queries)."""
        if not self._bounded:
            return value @ torch.softmax(logits, dim=-2)
        shares = logits.exp_()
        if self._seen is not None:
            shares.mul_(self._seen)
        return (value @ shares).div_(shares.sum(dim=-2, keepdim=True))


def _reciprocal_lengths(columns: Tensor) -> Tensor:
    return columns.square().sum(dim=-2, keepdim=True).add_(1e-12).rsqrt_()
