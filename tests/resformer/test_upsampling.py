"""Bilinear resizing with a deterministic gradient: torch's values and gradients, on a processor."""

from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from resformer.upsampling import BilinearUpsampling, DeterministicBilinear, resize_bilinear

SIDE = st.integers(1, 17)


def own(x: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """What a GPU computes where deterministic algorithms are asked for."""
    return cast("Tensor", DeterministicBilinear.apply(x, size, align_corners))


def both(
    shape: tuple[int, ...], size: tuple[int, int], align_corners: bool, last: bool
) -> list[tuple[Tensor, Tensor]]:
    """Result and gradient, ours and torch's, in float64."""
    form = torch.channels_last if last else torch.contiguous_format
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, dtype=torch.float64, generator=generator)
    weights = torch.randn((*shape[:2], *size), dtype=torch.float64, generator=generator)
    found = []
    for resize in (own, lambda x, s, a: F.interpolate(x, s, mode="bilinear", align_corners=a)):
        x = values.clone().contiguous(memory_format=form).requires_grad_()
        y = resize(x, size, align_corners)
        (y * weights.contiguous(memory_format=form)).sum().backward()
        assert x.grad is not None
        found.append((y.detach(), x.grad))
    return found


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 3), SIDE, SIDE, SIDE, SIDE, st.booleans(), st.booleans())
def test_values_and_gradients_are_torchs_at_any_size(
    channels: int, h: int, w: int, height: int, width: int, align_corners: bool, last: bool
) -> None:
    (y, gradient), (y_torch, gradient_torch) = both(
        (2, channels, h, w), (height, width), align_corners, last
    )
    assert torch.equal(y, y_torch)
    assert (gradient - gradient_torch).abs().max() < 1e-13


@pytest.mark.parametrize("align_corners", [False, True])
def test_doubling_a_large_map_is_right_to_rounding(align_corners: bool) -> None:
    (_, gradient), (_, gradient_torch) = both((2, 8, 64, 48), (128, 96), align_corners, last=True)
    assert (gradient - gradient_torch).abs().max() < 2e-14  # the sum of 16 products of some ones
    assert gradient.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("align_corners", [False, True])
def test_bf16_gradients_are_as_near_as_bf16_is(align_corners: bool) -> None:
    x = torch.randn(2, 8, 32, 32).bfloat16().requires_grad_()
    weights = torch.randn(2, 8, 64, 64).bfloat16()
    (own(x, (64, 64), align_corners) * weights).sum().backward()
    exact = x.detach().double().requires_grad_()
    F.interpolate(exact, (64, 64), mode="bilinear", align_corners=align_corners).mul(
        weights.double()
    ).sum().backward()
    assert x.grad is not None
    assert exact.grad is not None
    difference = (x.grad.double() - exact.grad).abs().max() / exact.grad.abs().max()
    assert x.grad.dtype == torch.bfloat16
    assert difference < 2**-7


def test_on_a_processor_it_is_torchs_own_operation() -> None:
    x = torch.randn(1, 3, 8, 8)
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(
            resize_bilinear(x, (16, 16), align_corners=False),
            F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
        )
    finally:
        torch.use_deterministic_algorithms(False)
    module = BilinearUpsampling(4, align_corners=True)
    expected = torch.nn.Upsample(scale_factor=4, mode="bilinear", align_corners=True)
    assert torch.equal(module(x), expected(x))


def test_it_compiles_in_one_graph() -> None:
    x = torch.randn(1, 2, 6, 6, requires_grad=True)
    compiled = torch.compile(lambda x: own(x, (12, 12), False), backend="aot_eager", fullgraph=True)
    compiled(x).sum().backward()
    first, x.grad = x.grad, None
    own(x, (12, 12), False).sum().backward()
    assert first is not None
    assert x.grad is not None
    assert torch.allclose(first, x.grad)
