"""The fast layer against one written straight from the formulas, token by token."""

import math

import pytest
import torch

from sr_engine.networks import lean, windows
from sr_engine.networks.swin import SwinLayer

PLAIN = torch.ones(1, 2)


def make_layer(window: tuple[int, int], shifted: bool) -> SwinLayer:
    torch.manual_seed(5)
    layer = SwinLayer(channels=12, heads=3, window=window, shifted=shifted, mlp_ratio=2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def position_bias(
    layer: SwinLayer, head: int, first: tuple[int, int], second: tuple[int, int], stretch: tuple[float, float]
) -> torch.Tensor:
    scaled = [8 * (a - b) * s / (w - 1) for a, b, w, s in zip(first, second, layer.window, stretch, strict=True)]
    log = torch.tensor([math.copysign(math.log2(abs(u) + 1), u) / math.log2(8) for u in scaled])
    return 16 * torch.sigmoid(layer.attention.position_mlp(log)[head])


def attend(
    layer: SwinLayer,
    grid: torch.Tensor,
    token: tuple[int, int],
    window: list[tuple[int, int]],
    stretch: tuple[float, float],
) -> torch.Tensor:
    """Attention output of one token; ``window`` lists (row, column) of the grid that share its window and its side."""
    attention, channels = layer.attention, grid.shape[-1]
    size, width = channels // attention.heads, layer.window
    weight_q, weight_k, weight_v = attention.qkv.weight.split(channels)
    query = grid[token] @ weight_q.T + attention.q_bias
    mixed = []
    for head in range(attention.heads):
        part = slice(head * size, (head + 1) * size)
        scale = min(float(attention.logit_scale[head]), math.log(100))
        logits, values = [], []
        for other in window:
            key = grid[other] @ weight_k.T
            cosine = torch.cosine_similarity(query[part], key[part], dim=0)
            places = [tuple((p - s) % w for p, s, w in zip(t, layer.shift, width, strict=True)) for t in (token, other)]
            logits.append(cosine * math.exp(scale) + position_bias(layer, head, *places, stretch))
            values.append((grid[other] @ weight_v.T + attention.v_bias)[part])
        mixed.append(torch.softmax(torch.stack(logits), dim=0) @ torch.stack(values))
    return attention.project(torch.cat(mixed))


def plain(layer: SwinLayer, grid: torch.Tensor, stretch: tuple[float, float] = (1, 1)) -> torch.Tensor:
    """Swin V2 for one grid (H, W, C): tokens of one shifted window see each other if no border lies between them."""
    height, width, _ = grid.shape
    output = torch.empty_like(grid)

    def window_of(row: int, column: int) -> tuple[int, ...]:
        # Without the roll, a shifted window grid simply starts half a window early: its border windows are smaller.
        return tuple((p - s) // w for p, s, w in zip((row, column), layer.shift, layer.window, strict=True))

    tokens = [(row, column) for row in range(height) for column in range(width)]
    for token in tokens:
        together = [other for other in tokens if window_of(*other) == window_of(*token)]
        x = grid[token] + layer.attention_norm(attend(layer, grid, token, together, stretch))
        output[token] = x + layer.mlp_norm(layer.mlp(x))
    return output


@pytest.mark.parametrize("shifted", [False, True], ids=["straight", "shifted"])
@pytest.mark.parametrize(("window", "size"), [((4, 4), (8, 12)), ((2, 4), (4, 8)), ((4, 4), (4, 4))])
def test_the_fast_layer_equals_the_formulas(window: tuple[int, int], size: tuple[int, int], shifted: bool):
    layer = make_layer(window, shifted)
    grids = torch.randn(2, *size, 12, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        fast = layer(grids, PLAIN)
        slow = torch.stack([plain(layer, grid) for grid in grids])
    assert torch.allclose(fast, slow, atol=1e-5)


@pytest.mark.parametrize("shifted", [False, True], ids=["straight", "shifted"])
def test_each_part_of_a_batch_has_its_own_distances(shifted: bool):
    layer = make_layer((4, 4), shifted)
    grids = torch.randn(4, 8, 4, 12, generator=torch.Generator().manual_seed(2))
    stretches = ((1.0, 1.0), (0.5, 2.0))
    with torch.no_grad():
        fast = layer(grids, torch.tensor(stretches))
        slow = torch.stack([plain(layer, grid, stretches[index // 2]) for index, grid in enumerate(grids)])
        alike = layer(grids, PLAIN)
    assert torch.allclose(fast, slow, atol=1e-5)
    assert not torch.allclose(fast[2:], alike[2:], atol=1e-3)


@pytest.mark.parametrize("shifted", [False, True], ids=["straight", "shifted"])
@pytest.mark.parametrize("scale", [10.0, 39.0, 100.0])
def test_training_and_inference_attend_alike(scale: float, shifted: bool):
    """Without gradients attention is the lean one, which looks for the largest logit only where scales are large."""
    layer = make_layer((4, 4), shifted)
    with torch.no_grad():
        layer.attention.logit_scale.fill_(math.log(scale))
    grid = torch.randn(2, 8, 8, 12, generator=torch.Generator().manual_seed(2))
    trained = layer(grid, PLAIN)
    with torch.no_grad():
        assert torch.allclose(trained, layer(grid, PLAIN), atol=1e-6 * scale)


def test_the_largest_scale_without_a_look_for_the_largest_logit_is_safe():
    """All keys opposite to all queries, or all like them under the largest bias: the mean of all values, and finite."""
    count, channels = 64, 4
    for sign, height in ((-1.0, 0.0), (1.0, 16.0)):
        project = torch.nn.Linear(channels, channels)
        torch.nn.init.eye_(project.weight)
        torch.nn.init.zeros_(project.bias)
        weights = [torch.zeros(channels, channels), torch.zeros(channels, channels), torch.eye(channels)]
        offsets = [torch.ones(channels), sign * torch.ones(channels), torch.zeros(channels)]
        scale, bias = torch.full((1, 1, 1), lean.LARGEST - 0.01), torch.full((1, 1, count, count), height)
        tokens = 100 * torch.randn(2, count, channels, generator=torch.Generator().manual_seed(2))
        mixed = lean.LeanAttention(weights, offsets, scale, bias, project)(tokens)
        assert torch.allclose(mixed, tokens.mean(dim=1, keepdim=True).expand_as(tokens), atol=1e-4)


@pytest.mark.parametrize("shifted", [False, True], ids=["straight", "shifted"])
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, shifted: bool):
    layer = make_layer((4, 4), shifted)
    grids = torch.randn(2, 16, 12, 12, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = layer(grids, PLAIN)
        monkeypatch.setattr(windows, "CPU_CHUNK_VALUES", 16 * 12)
        assert torch.allclose(layer(grids, PLAIN), whole, atol=1e-5)
    assert torch.allclose(layer(grids, PLAIN), whole, atol=1e-5)


def test_the_logit_scale_is_held_at_100():
    """Swin V2, 3.2: tau is not smaller than 0.01."""
    layer = make_layer((4, 4), shifted=False)
    grid = torch.randn(1, 4, 4, 12, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        layer.attention.logit_scale.fill_(9.0)
        beyond = layer(grid, PLAIN)
        layer.attention.logit_scale.fill_(math.log(100))
        assert torch.equal(beyond, layer(grid, PLAIN))


def test_changed_weights_count_at_once():
    """No stale position bias: a step of training in evaluation mode is seen by the next call."""
    layer = make_layer((4, 4), False).eval()
    grid = torch.randn(1, 4, 4, 12, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before = layer(grid, PLAIN)
        layer.attention.position_mlp[2].weight.mul_(-2)
        assert not torch.allclose(before, layer(grid, PLAIN), atol=1e-3)


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(ValueError, match="do not split"):
        SwinLayer(channels=10, heads=3, window=(4, 4), shifted=False, mlp_ratio=2)
