"""Attention on a processor: against the formula in all formats, in portions, with equal bits."""

import pytest
import torch

from resformer import attention_cpu
from resformer.attention import window_regions
from resformer.attention_cpu import attend

WINDOWS, HEADS, WINDOW, WIDTH = 4, 3, 4, 8
TOKENS = WINDOW**2


def inputs(dtype, batch=2, seed=0):
    torch.manual_seed(seed)
    # As the linear layer makes them: query, key and value lie in one tensor.
    qkv = torch.randn(batch * WINDOWS, TOKENS, 3, HEADS, WIDTH).to(dtype).requires_grad_()
    bias = torch.randn(HEADS, TOKENS, TOKENS).to(torch.promote_types(dtype, torch.float32))
    return qkv, bias.requires_grad_()


def regions():
    """Of a map of 2 × 2 windows, shifted, with a row of padding."""
    return window_regions(7, 8, WINDOW, (2, 2), torch.device("cpu"))


def formula(query, key, value, bias, parts):
    """In float64."""
    query, key, value, bias = (x.double() for x in (query, key, value, bias))
    scores = query @ key.mT / WIDTH**0.5 + bias
    if parts is not None:
        apart = (parts[:, :, None] != parts[:, None, :]).repeat(len(query) // len(parts), 1, 1)
        scores = scores.masked_fill(apart[:, None], float("-inf"))
    return scores.softmax(-1) @ value


def results(function, qkv, bias, parts):
    """Output and gradients."""
    mixed = function(*qkv.permute(2, 0, 3, 1, 4).unbind(0), bias, parts)
    weight = torch.sin(torch.arange(mixed.numel())).view(mixed.shape).to(mixed.dtype)
    return mixed, *torch.autograd.grad((mixed * weight).sum(), (qkv, bias))


@pytest.mark.parametrize("parts", [None, regions()], ids=["windows", "shifted"])
@pytest.mark.parametrize(
    ("dtype", "error"), [(torch.float64, 1e-12), (torch.float32, 2e-6), (torch.bfloat16, 2e-2)]
)
def test_output_and_gradients_are_those_of_the_formula(dtype, error, parts):
    qkv, bias = inputs(dtype)
    found = results(attend, qkv, bias, parts)
    assert [x.dtype for x in found] == [dtype, dtype, bias.dtype]
    for x, exact in zip(found, results(formula, qkv, bias, parts), strict=True):
        assert (x.double() - exact.double()).norm() <= error * exact.double().norm()


@pytest.mark.parametrize("parts", [None, regions()], ids=["windows", "shifted"])
def test_portions_change_no_more_than_rounding(monkeypatch, parts):
    qkv, bias = inputs(torch.float64)
    whole = results(attend, qkv, bias, parts)
    for scores in (1, 3 * TOKENS**2):
        monkeypatch.setattr(attention_cpu, "SCORES", scores)
        torch.testing.assert_close(results(attend, qkv, bias, parts), whole)


def test_equal_inputs_give_equal_bits():
    qkv, bias = inputs(torch.bfloat16)
    first, again = (results(attend, qkv, bias, regions()) for _ in range(2))
    assert all(map(torch.equal, first, again))


def test_backward_inside_autocast_keeps_its_formats():
    qkv, bias = inputs(torch.bfloat16)
    plain = results(attend, qkv, bias, regions())
    with torch.autocast("cpu", torch.bfloat16):
        inside = results(attend, qkv, bias, regions())
    assert all(map(torch.equal, plain, inside))


def test_scores_are_not_kept_for_the_backward_pass():
    qkv, bias = inputs(torch.float32, batch=16)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        attend(*qkv.permute(2, 0, 3, 1, 4).unbind(0), bias, None)
    assert max(x.numel() for x in kept) < 16 * WINDOWS * HEADS * TOKENS**2
