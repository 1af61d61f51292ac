"""The fast Swin V1 layer against one written straight from the formulas, token by token."""

import pytest
import torch

from sr_engine.networks.swin_v1 import SwinV1Layer


def make_layer(window: tuple[int, int], shifted: bool) -> SwinV1Layer:
    torch.manual_seed(5)
    layer = SwinV1Layer(channels=12, heads=3, window=window, shifted=shifted, mlp_ratio=2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def attend(layer: SwinV1Layer, grid: torch.Tensor, token: tuple[int, int], window: list[tuple[int, int]]):
    """Attention output of one token; ``window`` lists (row, column) of the grid that share its window and its side."""
    attention, channels = layer.attention, grid.shape[-1]
    size = channels // attention.heads
    bias = attention.position_table.view(*(2 * side - 1 for side in layer.window), attention.heads)
    query, _, _ = attention.qkv(grid[token]).split(channels)
    mixed = []
    for head in range(attention.heads):
        part = slice(head * size, (head + 1) * size)
        logits, values = [], []
        for other in window:
            _, key, value = attention.qkv(grid[other]).split(channels)
            places = [
                [(p - s) % w for p, s, w in zip(t, layer.shift, layer.window, strict=True)] for t in (token, other)
            ]
            row, column = (a - b + side - 1 for a, b, side in zip(*places, layer.window, strict=True))
            logits.append(query[part] @ key[part] / size**0.5 + bias[row, column, head])
            values.append(value[part])
        mixed.append(torch.softmax(torch.stack(logits), dim=0) @ torch.stack(values))
    return attention.project(torch.cat(mixed))


def plain(layer: SwinV1Layer, grid: torch.Tensor) -> torch.Tensor:
    """Swin V1 for one grid (H, W, C): tokens of one shifted window see each other if no border lies between them."""
    height, width, _ = grid.shape
    tokens = [(row, column) for row in range(height) for column in range(width)]

    def window_of(token: tuple[int, int]) -> tuple[int, ...]:
        return tuple((p - s) // w for p, s, w in zip(token, layer.shift, layer.window, strict=True))

    normed, output = layer.attention_norm(grid), torch.empty_like(grid)
    for token in tokens:
        together = [other for other in tokens if window_of(other) == window_of(token)]
        x = grid[token] + attend(layer, normed, token, together)
        output[token] = x + layer.mlp(layer.mlp_norm(x))
    return output


@pytest.mark.parametrize("shifted", [False, True], ids=["straight", "shifted"])
@pytest.mark.parametrize(("window", "size"), [((4, 4), (8, 12)), ((2, 4), (4, 8))])
def test_the_fast_layer_equals_the_formulas(window: tuple[int, int], size: tuple[int, int], shifted: bool):
    layer = make_layer(window, shifted)
    grids = torch.randn(2, *size, 12, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        slow = torch.stack([plain(layer, grid) for grid in grids])
        assert torch.allclose(layer(grids), slow, atol=1e-5)
    assert torch.allclose(layer(grids), slow, atol=1e-5)  # the way that gradients need


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(ValueError, match="do not split"):
        SwinV1Layer(channels=10, heads=3, window=(4, 4), shifted=False, mlp_ratio=2)
