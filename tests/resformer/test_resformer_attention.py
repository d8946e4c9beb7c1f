"""W-MSA and SW-MSA against attention computed window by window, pair by pair, head by head."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from resformer.attention import (
    WindowAttention,
    join_windows,
    relative_position_index,
    split_windows,
    window_regions,
)


def attention(channels, heads, window, *, shifted, seed=0):
    torch.manual_seed(seed)
    module = WindowAttention(channels, heads, window, shifted=shifted).double()
    # The tiny initial biases would hide a wrong relative position.
    torch.nn.init.normal_(module.bias_table)
    return module


def naive_window(module, tokens, places):
    """Attention among `tokens [T, C]`; `places` are (row, column) in the window and the map.

    A pair may attend if it is as far apart in the map as in the window; a token without a place
    in the map is padding.
    """
    side = 2 * module.window - 1
    query, key, value = F.linear(tokens, module.qkv.weight, module.qkv.bias).chunk(3, dim=1)
    width = tokens.shape[1] // module.heads
    mixed = torch.zeros_like(tokens)
    for head in range(module.heads):
        part = slice(head * width, (head + 1) * width)
        for i, (inside_i, map_i) in enumerate(places):
            if map_i is None:
                continue
            scores, values = [], []
            for j, (inside_j, map_j) in enumerate(places):
                offset = (inside_i[0] - inside_j[0], inside_i[1] - inside_j[1])
                if map_j is None or (map_i[0] - map_j[0], map_i[1] - map_j[1]) != offset:
                    continue
                number = (offset[0] + module.window - 1) * side + offset[1] + module.window - 1
                score = query[i, part] @ key[j, part] / math.sqrt(width)
                scores.append(score + module.bias_table[number, head])
                values.append(value[j, part])
            weights = torch.softmax(torch.stack(scores), 0)
            mixed[i, part] = (weights[:, None] * torch.stack(values)).sum(0)
    return F.linear(mixed, module.projection.weight, module.projection.bias)


def naive_attention(module, x):
    """The whole of (S)W-MSA on `[B, H, W, C]`, one window of one image at a time."""
    _, height, width, _ = x.shape
    window = module.window
    padded = [math.ceil(length / window) * window for length in (height, width)]
    shift = [window // 2 if module.shifted and length > window else 0 for length in (height, width)]
    results = []
    for image in x:
        token_at = {}
        for top in range(0, padded[0], window):
            for left in range(0, padded[1], window):
                tokens, places = [], []
                for row in range(window):
                    for column in range(window):
                        at = (
                            (top + row + shift[0]) % padded[0],
                            (left + column + shift[1]) % padded[1],
                        )
                        real = at[0] < height and at[1] < width
                        tokens.append(image[at] if real else torch.zeros_like(image[0, 0]))
                        places.append(((row, column), at if real else None))
                mixed = naive_window(module, torch.stack(tokens), places)
                token_at |= {at: y for y, (_, at) in zip(mixed, places, strict=True) if at}
        results += [token_at[row, column] for row in range(height) for column in range(width)]
    return torch.stack(results).reshape(x.shape)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(
    ("height", "width", "window"),
    [(8, 8, 4), (6, 9, 3), (7, 5, 3), (4, 4, 4), (3, 5, 4), (2, 2, 3), (5, 3, 2)],
)
def test_attention_equals_the_loop_over_windows_and_pairs(height, width, window, shifted):
    module = attention(8, 2, window, shifted=shifted)
    x = torch.randn(2, height, width, 8, dtype=torch.double)
    torch.testing.assert_close(module(x), naive_attention(module, x), rtol=1e-9, atol=1e-9)


@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    window=st.integers(1, 4),
    shifted=st.booleans(),
)
def test_attention_equals_the_loop_on_any_map(height, width, window, shifted):
    module = attention(4, 2, window, shifted=shifted, seed=height * 8 + width)
    x = torch.randn(1, height, width, 4, dtype=torch.double)
    torch.testing.assert_close(module(x), naive_attention(module, x), rtol=1e-9, atol=1e-9)


def test_gradients_equal_those_of_the_loop():
    module = attention(4, 2, 3, shifted=True)
    x = torch.randn(2, 5, 6, 4, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 5, 6, 4, dtype=torch.double)
    inputs = (x, *module.parameters())
    fast = torch.autograd.grad((module(x) * weight).sum(), inputs)
    slow = torch.autograd.grad((naive_attention(module, x) * weight).sum(), inputs)
    torch.testing.assert_close(fast, slow, rtol=1e-8, atol=1e-8)


def test_a_window_over_the_whole_map_has_no_shift():
    plain = attention(8, 2, 4, shifted=False)
    shifted = attention(8, 2, 4, shifted=True)
    x = torch.randn(2, 4, 4, 8, dtype=torch.double)
    assert torch.equal(plain(x), shifted(x))
    wide = torch.randn(2, 4, 8, 8, dtype=torch.double)
    assert not torch.allclose(plain(wide), shifted(wide))


def spied(monkeypatch, device):
    """Shapes of queries and masks that fused attention gets, without and with a shift."""
    masks = []
    original = F.scaled_dot_product_attention

    def spy(query, key, value, attn_mask):
        masks.append((query.shape, attn_mask.shape))
        return original(query, key, value, attn_mask=attn_mask)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    x = torch.randn(5, 8, 8, 8, dtype=torch.double, device=device)
    attention(8, 2, 4, shifted=False).to(device)(x)
    attention(8, 2, 4, shifted=True).to(device)(x)
    return masks


def test_one_mask_serves_every_image_of_the_batch(monkeypatch):
    # 2 × 2 windows and 2 heads: 8 masks of 16 × 16 for the five images together.
    expected = [((20, 2, 16, 4), (1, 2, 16, 16)), ((5, 8, 16, 4), (1, 8, 16, 16))]
    assert spied(monkeypatch, "meta") == expected


def test_on_a_processor_one_mask_serves_every_window_of_its_kind(monkeypatch):
    whole, *kinds = spied(monkeypatch, "cpu")
    assert whole == ((20, 2, 16, 4), (1, 2, 16, 16))
    assert kinds == [((5, 2, 16, 4), (1, 2, 16, 16))] * 4


def test_relative_positions_are_numbered_by_offset():
    index = relative_position_index(3)
    assert index.shape == (9, 9)
    assert index.unique().tolist() == list(range(25))
    assert index.diagonal().unique().tolist() == [12]  # offset (0, 0) is the middle of 5 × 5
    assert index[0, 8] == 0  # offset (-2, -2)
    assert index[3, 0] == 17  # offset (+1, 0)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))
def test_joining_undoes_splitting(batch, rows, columns, window):
    height, width = rows * window, columns * window
    x = torch.arange(batch * height * width * 2).reshape(batch, height, width, 2)
    windows = split_windows(x, window)
    assert windows.shape == (batch * rows * columns, window * window, 2)
    assert torch.equal(windows[0, 0], x[0, 0, 0])
    assert torch.equal(windows[-1, -1], x[-1, -1, -1])
    assert torch.equal(join_windows(windows, window, height, width), x)


def test_regions_of_a_shifted_and_padded_map():
    # Three rows and four columns, window 2: one row of padding; rolled up and left by one.
    regions = window_regions(3, 4, 2, (1, 1), torch.device("cpu"))
    assert regions.tolist() == [
        [0, 0, 0, 0],
        [0, 1, 0, 1],
        [4, 4, 2, 2],
        [4, 4, 2, 3],
    ]
