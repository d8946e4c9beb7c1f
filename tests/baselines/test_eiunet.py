"""EIU-Net: soft-pooling and each special module against its equation; options; initial weights."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from baselines import eiunet
from baselines.parts.soft_pool import global_soft_pool, soft_pool


def make(image_size=64, **options):
    torch.manual_seed(0)
    return eiunet.build(image_size=image_size, n_seg=1, n_cls=None, **options).network.eval()


@pytest.fixture(scope="module")
def network():
    return make()


def shake(module):
    """Give BatchNorms running statistics, scales and shifts that show."""
    for bn in module.modules():
        if isinstance(bn, nn.BatchNorm2d):
            with torch.no_grad():
                bn.weight.uniform_(-2, 2)
                bn.bias.uniform_(-1, 1)
            bn.running_mean.uniform_(-1, 1)
            bn.running_var.uniform_(0.5, 2)
    return module.eval()


def normalised(bn, x):
    mean, variance, scale, shift = (
        t[:, None, None] for t in (bn.running_mean, bn.running_var, bn.weight, bn.bias)
    )
    return (x - mean) / (variance + bn.eps).sqrt() * scale + shift


def naive_soft_average(values):
    """Σ eˣ x / Σ eˣ of a flat tensor."""
    return (values.exp() * values).sum() / values.exp().sum()


def naive_soft_pool(x):
    rows, columns = x.shape[2] // 2, x.shape[3] // 2
    pooled = [
        naive_soft_average(plane[2 * i : 2 * i + 2, 2 * j : 2 * j + 2])
        for plane in x.flatten(0, 1)
        for i, j in itertools.product(range(rows), range(columns))
    ]
    return torch.stack(pooled).reshape(*x.shape[:2], rows, columns)


def naive_global_soft_pool(x):
    averages = [naive_soft_average(plane) for plane in x.flatten(0, 1)]
    return torch.stack(averages).reshape(x.shape[:2])


@pytest.mark.parametrize(
    ("pool", "naive"), [(soft_pool, naive_soft_pool), (global_soft_pool, naive_global_soft_pool)]
)
class TestSoftPooling:
    def test_values_and_gradients_are_those_of_the_formula(self, pool, naive):
        torch.manual_seed(0)
        x = (3 * torch.randn(2, 3, 4, 6)).requires_grad_()
        weights = torch.randn_like(naive(x))
        torch.testing.assert_close(pool(x), naive(x))
        (gradient,) = torch.autograd.grad((pool(x) * weights).sum(), x)
        (expected,) = torch.autograd.grad((naive(x) * weights).sum(), x)
        torch.testing.assert_close(gradient, expected)

    @pytest.mark.parametrize("value", [100.0, 1e4, -1e4])
    def test_large_values_do_not_overflow(self, pool, naive, value):
        x = torch.randn(1, 2, 4, 4)
        assert not naive(x + value).isfinite().all()
        # Adding a number to every value adds it to the average.
        torch.testing.assert_close(pool(x + value), naive(x) + value, atol=2e-3, rtol=0)
        (gradient,) = torch.autograd.grad(pool(large := (x + value).requires_grad_()).sum(), large)
        assert gradient.isfinite().all()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_rounded_only_at_the_end(self, pool, naive, dtype):
        x = (torch.rand(1, 2, 4, 4) + 12).to(dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            pooled = pool(x)
        assert pooled.dtype == dtype
        torch.testing.assert_close(pooled, naive(x.double()).to(dtype), atol=0, rtol=0)


def test_soft_pooling_keeps_channels_last_memory():
    x = torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert soft_pool(x).is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def test_pyramid_split_attention_written_out():
    torch.manual_seed(0)
    module = eiunet.PyramidSplitAttention(128)
    x = torch.randn(2, 128, 5, 4)
    down, _, up, _ = module.squeeze_excite
    maps, gates = [], []
    for conv, kernel, groups in zip(module.branches, (3, 5, 7, 9), (1, 4, 8, 16), strict=True):
        per_group = [
            F.conv2d(part, weight, padding=kernel // 2)
            for part, weight in zip(x.chunk(groups, 1), conv.weight.chunk(groups), strict=True)
        ]
        maps.append(torch.cat(per_group, 1))
        squeezed = maps[-1].mean((2, 3)) @ down.weight[:, :, 0, 0].T + down.bias
        excited = squeezed.clamp(min=0) @ up.weight[:, :, 0, 0].T + up.bias
        gates.append((1 / (1 + (-excited).exp())).exp())
    assert module.squeeze_excite[0].out_channels == 2
    weighed = [
        y * (gate / sum(gates))[:, :, None, None] for y, gate in zip(maps, gates, strict=True)
    ]
    torch.testing.assert_close(module(x), torch.cat(weighed, 1), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_multi_layer_fusion_written_out():
    torch.manual_seed(0)
    module = shake(eiunet.MultiLayerFusion(4, 6, momentum=0.1, dead_layers=True))
    x, y = torch.randn(2, 4, 8, 6), torch.randn(2, 6, 4, 3)
    conv, bn, _ = module.widen
    x_wide = normalised(bn, F.conv2d(x, conv.weight, padding=1)).clamp(min=0)
    # Aligned corners: the new grid's first and last pixels lie on the old one's.
    rows, columns = (torch.linspace(0, n - 1, 2 * n) for n in (4, 3))
    y_wide = torch.zeros(2, 6, 8, 6)
    for (i, row), (j, column) in itertools.product(enumerate(rows), enumerate(columns)):
        for a, b in itertools.product(range(4), range(3)):
            share = max(0.0, 1 - abs(row.item() - a)) * max(0.0, 1 - abs(column.item() - b))
            y_wide[:, :, i, j] += share * y[:, :, a, b]
    pooled = [x_wide.mean((2, 3)), y_wide.mean((2, 3)), x_wide.amax((2, 3)), y_wide.amax((2, 3))]
    descriptor = torch.cat(pooled, 1)[:, :, None, None]
    down, down_bn, _, up, up_bn, attention = module.weigh
    assert down.out_channels == 3
    a = normalised(down_bn, F.conv2d(descriptor, down.weight)).clamp(min=0)
    a = normalised(up_bn, F.conv2d(a, up.weight))
    share = attention.bn.weight.abs() / attention.bn.weight.abs().sum()
    a = torch.sigmoid(normalised(attention.bn, a) * share[:, None, None]) * a
    assert a.min() < 0 or a.max() > 1
    torch.testing.assert_close(module(x, y), a * x_wide + (1 - a) * y_wide, atol=1e-5, rtol=1e-4)


def test_the_share_of_a_scale_in_the_fusion_has_no_gradient():
    torch.manual_seed(0)
    attention = shake(eiunet.NormalisedChannelAttention(4))
    x, weights = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    (attention(x) * weights).sum().backward()
    # The same with the share as a number, and the scale through BN alone.
    scale = attention.bn.weight.detach().requires_grad_()
    share = scale.detach().abs() / scale.detach().abs().sum()
    mean, var = attention.bn.running_mean, attention.bn.running_var
    y = F.batch_norm(x, mean, var, scale, attention.bn.bias.detach())
    (torch.sigmoid(y * share[:, None, None]) * x * weights).sum().backward()
    torch.testing.assert_close(attention.bn.weight.grad, scale.grad)
    # With a gradient through the share it would be another one.
    other = scale.detach().requires_grad_()
    share = other.abs() / other.abs().sum()
    y = F.batch_norm(x, mean, var, other, attention.bn.bias.detach())
    (torch.sigmoid(y * share[:, None, None]) * x * weights).sum().backward()
    assert (other.grad - scale.grad).norm() > 0.1 * scale.grad.norm()


@torch.no_grad()
def test_scale_attention_written_out():
    torch.manual_seed(0)
    module = shake(eiunet.ScaleAttention())
    x = torch.randn(2, 16, 6, 8)
    first, _, second = module.channel_mlp
    scores = torch.zeros(2, 16)
    for pooled in (x.square().sum((2, 3)).sqrt(), naive_global_soft_pool(x)):
        scores += second(first(pooled).clamp(min=0))
    spatial, bn, _, pointwise, _ = module.spatial_convs
    per_level = [torch.sigmoid(scores[:, 4 * s : 4 * s + 4].mean(1)) for s in range(4)]
    gated = torch.cat([x[:, [c]] * per_level[c // 4][:, None, None, None] for c in range(16)], 1)
    gate = normalised(bn, F.conv2d(gated, spatial.weight, padding=1)).clamp(min=0)
    gate = torch.sigmoid(F.conv2d(gate, pointwise.weight).clamp(min=0))
    gated = torch.cat([gated[:, [c]] * (1 + gate[:, [c // 4]]) for c in range(16)], 1)
    mix, mix_bn, _ = module.mix
    expected = normalised(mix_bn, F.conv2d((gated + x).clamp(min=0), mix.weight, padding=1))
    torch.testing.assert_close(module(x), expected.clamp(min=0), atol=1e-5, rtol=1e-4)


def test_an_empty_map_has_a_gradient_in_the_channel_gate():
    x = torch.zeros(1, 16, 4, 4, requires_grad=True)
    eiunet.ScaleAttention().channel_gate(x).sum().backward()
    assert x.grad.isfinite().all()


@torch.no_grad()
def test_activations_at_the_ends_of_the_encoder_levels(network):
    torch.manual_seed(0)
    image = torch.rand(2, 3, 64, 64)
    stem = network.stem(image)
    assert stem.min() == 0
    assert network.encoders[0](soft_pool(stem)).min() < 0
    assert network.encoders[3](torch.randn(2, 256, 4, 4)).min() == 0
    aspp = network.aspp(10 * torch.randn(2, 512, 4, 4))
    assert (aspp.min(), aspp.max()) == (0, 6)
    assert network.aspp.dropout.p == 0.5


def test_pyramid_pooling_dilates_by_6_12_18(network):
    assert [branch[0].dilation[0] for branch in network.aspp.branches] == [1, 6, 12, 18]


@torch.no_grad()
def test_the_parts_are_joined_level_by_level(network):
    image = torch.rand(2, 3, 32, 64)
    stem = network.stem(image)
    encoder1, encoder2, encoder3, encoder4 = network.encoders
    level1 = encoder1(soft_pool(stem))
    level2 = encoder2(soft_pool(level1))
    level3 = encoder3(soft_pool(level2))
    bottom = network.aspp(encoder4(soft_pool(level3)))
    fusion1, fusion2, fusion3 = network.fusions
    decoder1, decoder2, decoder3, decoder4 = network.decoders
    d4 = decoder4(bottom, soft_pool(fusion3(level2, level3)))
    d3 = decoder3(d4, soft_pool(fusion2(level1, level2)))
    d2 = decoder2(d3, soft_pool(fusion1(stem, level1)))
    d1 = decoder1(d2, stem)
    assert [d.shape[1:] for d in (d4, d3)] == [(256, 4, 8), (128, 8, 16)]
    assert [d.shape[1:] for d in (d2, d1)] == [(64, 16, 32), (32, 32, 64)]
    scales = [
        F.interpolate(reshape(d), size=(32, 64), mode="bilinear")
        for reshape, d in zip(network.reshapes, (d1, d2, d3, d4), strict=True)
    ]
    expected = network.head(network.scale_attention(torch.cat(scales, 1)))
    torch.testing.assert_close(network(image), expected)


def test_the_official_image_of_224_by_320_counts_the_official_flops():
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        make(224)(torch.empty(1, 3, 224, 320))
    second_output_channel = 2 * 4 * 224 * 320
    assert counter.get_total_flops() - second_output_channel == 33_962_223_104


@pytest.mark.parametrize(("options", "momentum"), [({}, 0.1), ({"paper_bn": True}, 0.9)])
def test_momentum_of_the_fusions_alone_is_an_option(options, momentum):
    with torch.device("meta"):
        network = make(**options)
    found = {
        name: m.momentum for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)
    }
    fusions = {name for name in found if name.startswith("fusions.")}
    assert len(fusions) == 3 * 5
    assert {found.pop(name) for name in fusions} == {momentum}
    assert found.pop("scale_attention.spatial_convs.1") == 0.01
    assert set(found.values()) == {0.1}


@torch.no_grad()
def test_dead_layers_count_but_do_nothing(network):
    without = make(dead_layers=False)
    difference = set(network.state_dict()) ^ set(without.state_dict())
    assert {name.split(".dead_layer")[0] for name in difference} == {
        "fusions.0",
        "fusions.1",
        "fusions.2",
    }
    without.load_state_dict(network.state_dict(), strict=False)
    image = torch.rand(2, 3, 32, 32)
    assert torch.equal(network(image), without(image))


def test_initial_weights_follow_the_official_rule(network):
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 2000:
            fan_in = module.weight[0].numel()
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.1)
        elif isinstance(module, nn.ConvTranspose2d):
            # Torch's default, which its authors leave: uniform over what torch calls the fan-in.
            fan_in = module.weight[0].numel()
            assert module.weight.abs().max().item() <= fan_in**-0.5
            assert module.weight.std().item() == pytest.approx((3 * fan_in) ** -0.5, rel=0.1)
            assert module.bias.any()
    bns = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    scales = torch.cat([bn.weight for bn in bns])
    assert scales.mean().item() == pytest.approx(1, abs=0.002)
    assert scales.std().item() == pytest.approx(0.02, rel=0.05)
    assert not any(bn.bias.any() for bn in bns)


def test_training_needs_two_images():
    network = make(32).train()
    network(torch.rand(2, 3, 32, 32))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        network(torch.rand(1, 3, 32, 32))


def test_wrong_sizes_and_outputs_are_refused():
    with pytest.raises(
        ValueError, match=r"eiunet: .* 72×72 .* multiples of 16, at least 32 pixels"
    ):
        eiunet.build(image_size=72, n_seg=1, n_cls=None)
    with pytest.raises(ValueError, match="eiunet: n_seg is None"):
        eiunet.build(image_size=64, n_seg=None, n_cls=3)
