"""The shared Swin pieces: the order of patches by hand, counts by formula, masks of -100."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from baselines.parts.swin import (
    PatchExpand,
    SwinPatchMerging,
    SwinStage,
    choose_window,
    drop_path_rates,
    stage_windows,
    window_for,
)
from resformer.attention import join_windows, split_windows


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_patch_merging_gathers_the_rows_of_a_column_first():
    merge = SwinPatchMerging(1)
    merge.norm = merge.reduction = nn.Identity()
    x = torch.arange(16).reshape(1, 4, 4, 1)
    # Row-major numbers: 0 1 4 5 are the upper left 2×2.
    assert merge(x)[0].tolist() == [
        [[0, 4, 1, 5], [2, 6, 3, 7]],
        [[8, 12, 9, 13], [10, 14, 11, 15]],
    ]


def test_patch_merging_norms_before_it_reduces():
    torch.manual_seed(0)
    merge = SwinPatchMerging(3)
    nn.init.normal_(merge.norm.weight)
    nn.init.normal_(merge.norm.bias)
    x = torch.randn(2, 4, 6, 3)
    merged = merge(x)
    assert merged.shape == (2, 2, 3, 6)
    patch = torch.cat([x[1, 2, 4], x[1, 3, 4], x[1, 2, 5], x[1, 3, 5]])
    normed = (patch - patch.mean()) / (patch.var(correction=0) + 1e-5).sqrt()
    normed = normed * merge.norm.weight + merge.norm.bias
    torch.testing.assert_close(merged[1, 1, 2], merge.reduction.weight @ normed)


def test_patch_expand_shares_channels_out_by_row_then_column():
    expand = PatchExpand(4, out_channels=2)
    expand.norm = nn.Identity()
    with torch.no_grad():
        expand.expand.weight.zero_()
        expand.expand.weight[:, 0] = torch.arange(8.0)
    x = torch.zeros(1, 1, 2, 4)
    x[0, 0, :, 0] = torch.tensor([1.0, 10.0])
    # Eight features of a token: two channels each, first both positions of the upper row.
    assert expand(x)[0].tolist() == [
        [[0, 1], [2, 3], [0, 10], [20, 30]],
        [[4, 5], [6, 7], [40, 50], [60, 70]],
    ]


def test_patch_expand_norms_each_new_position_by_itself():
    torch.manual_seed(0)
    expand = PatchExpand(6, factor=4, out_channels=6)
    x = torch.randn(2, 3, 2, 6)
    fine = expand(x)
    assert fine.shape == (2, 12, 8, 6)
    features = (expand.expand.weight @ x[1, 2, 0]).reshape(4, 4, 6)
    assert torch.allclose(fine[1, 8:, :4], expand.norm(features), atol=1e-6)
    assert torch.allclose(fine.mean(-1), torch.zeros(()), atol=1e-5)


@pytest.mark.parametrize(("channels", "heads", "window"), [(96, 3, 7), (48, 6, 16), (64, 4, 1)])
def test_parameters_by_formula(channels, heads, window):
    stage = SwinStage(channels, heads, window, [0.0] * 3)
    block = 12 * channels**2 + 13 * channels + (2 * window - 1) ** 2 * heads
    assert [count(part) for part in stage] == [block] * 3
    assert count(SwinPatchMerging(channels)) == 8 * channels**2 + 8 * channels
    assert count(PatchExpand(channels)) == 2 * channels**2 + channels


def additive_mask(length, window):
    """`[nW, T, T]`: -100 between tokens that only the cyclic shift brought together."""
    shift = window // 2
    # Along an axis: away from the last window, its part before the seam, its part behind it.
    part = torch.bucketize(
        torch.arange(length), torch.tensor([length - window, length - shift]), right=True
    )
    region = (3 * part[:, None] + part)[None, :, :, None]
    region = split_windows(region, window).squeeze(-1)
    return -100.0 * (region[:, :, None] != region[:, None, :])


def softmax_attention(attention, x, *, shifted):
    """(S)W-MSA on `[B, L, L, C]` with everything written out."""
    length, window, heads = x.shape[1], attention.window, attention.heads
    shift = window // 2 if shifted else 0
    windows = split_windows(x.roll((-shift, -shift), (1, 2)), window)
    count, tokens, channels = windows.shape
    query, key, value = (
        part.reshape(count, tokens, heads, channels // heads).transpose(1, 2)
        for part in attention.qkv(windows).chunk(3, dim=-1)
    )
    scores = query @ key.transpose(2, 3) / math.sqrt(channels // heads) + attention.position_bias()
    if shifted:
        mask = additive_mask(length, window)
        scores = scores + mask.repeat(len(x), 1, 1)[:, None]
    mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(windows.shape)
    joined = join_windows(attention.projection(mixed), window, length, length)
    return joined.roll((shift, shift), (1, 2))


def test_a_stage_equals_blocks_written_out_with_a_mask_of_minus_100():
    torch.manual_seed(0)
    stage = SwinStage(12, 3, 4, [0.0] * 3).double()
    for block in stage:
        nn.init.normal_(block.attention.bias_table)
    x = torch.randn(2, 12, 12, 12, dtype=torch.double)
    expected = x
    for index, block in enumerate(stage):
        normed = block.norm1(expected)
        expected = expected + softmax_attention(block.attention, normed, shifted=index == 1)
        expected = expected + block.ffn(block.norm2(expected))
    torch.testing.assert_close(stage(x), expected, rtol=1e-10, atol=1e-10)


def test_the_mask_matters():
    torch.manual_seed(0)
    attention = SwinStage(8, 2, 4, [0.0] * 2)[1].attention
    x = torch.randn(1, 8, 8, 8)
    unmasked = softmax_attention(attention, x.roll((-2, -2), (1, 2)), shifted=False)
    assert not torch.allclose(attention(x), unmasked.roll((2, 2), (1, 2)))


def test_feed_forward_is_four_times_as_wide_with_exact_gelu():
    torch.manual_seed(0)
    ffn = SwinStage(8, 2, 4, [0.0])[0].ffn
    x = torch.randn(1, 2, 2, 8)
    hidden = ffn.expand(x)
    assert hidden.shape[-1] == 32
    exact = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    torch.testing.assert_close(ffn(x), ffn.contract(exact))


@pytest.mark.parametrize(("size", "window"), [(64, 2), (224, 7), (256, 8), (384, 12), (512, 16)])
def test_windows_follow_the_image(size, window):
    assert window_for(size) == choose_window("any", None, size) == window
    assert stage_windows(window, size, 4) == [window] * 4


def test_windows_are_cut_to_the_map():
    assert stage_windows(7, 64, 4) == [7, 7, 4, 2]
    assert stage_windows(7, 512, 3) == [7, 7, 7]
    assert stage_windows(16, 64, 3, first_stride=8) == [8, 4, 2]


def test_an_empty_window_is_refused():
    assert choose_window("any", 8, 512) == 8
    with pytest.raises(
        ValueError, match=r"^any: window_size is 0; it must be 1 or more, or null .*7"
    ):
        choose_window("any", 0, 224)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.floats(0.01, 0.9))
def test_stochastic_depth_rises_in_equal_steps(depths, last):
    stages = drop_path_rates(last, depths)
    assert [len(rates) for rates in stages] == depths
    rates = [rate for stage in stages for rate in stage]
    expected = torch.linspace(0, last, len(rates), dtype=torch.double).tolist()
    assert rates == pytest.approx(expected)
