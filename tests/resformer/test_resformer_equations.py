"""The paper's equations, recomputed from a module's own parameters with functional calls."""

import pytest
import torch
import torch.nn.functional as F

from resformer.blocks import (
    FeedForward,
    ResidualBlock,
    StochasticDepth,
    SwinTransformerBlock,
    resnet34_block,
)
from resformer.decoder import Decoder
from resformer.dfe import DFE, SpatialAttention
from resformer.encoder import Encoder, LevelMaps, stochastic_depth_rates
from resformer.model import ClassificationHead, build
from resformer.released import ECA, MultiScaleMerging, ReleasedDFE, ReleasedEncoder
from resformer.released import build as build_released

TRAINING = pytest.mark.parametrize("training", [True, False])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(3)


def stirred(module):
    """Give norms and biases values that a forgotten term would show up with."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            buffer.normal_()
    return module.double()


def bn(layer, x):
    if layer.training:
        mean = x.mean((0, 2, 3))
        variance = x.var((0, 2, 3), correction=0)
    else:
        mean, variance = layer.running_mean, layer.running_var
    normal = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + layer.eps)
    return normal * layer.weight[:, None, None] + layer.bias[:, None, None]


def ln(layer, x):
    mean = x.mean(-1, keepdim=True)
    variance = x.var(-1, correction=0, keepdim=True)
    return (x - mean) / torch.sqrt(variance + layer.eps) * layer.weight + layer.bias


def randn(*shape):
    return torch.randn(*shape, dtype=torch.double)


@TRAINING
def test_resnet34_block(training):
    block = stirred(ResidualBlock(6, 6)).train(training)
    x = randn(2, 6, 5, 7)
    inner = torch.relu(bn(block.bn1, F.conv2d(x, block.conv1.weight, padding=1)))
    residual = bn(block.bn2, F.conv2d(inner, block.conv2.weight, padding=1))
    torch.testing.assert_close(block(x), torch.relu(x + residual))


@TRAINING
def test_resnet34_block_of_the_released_stages(training):
    block = stirred(ResidualBlock(4, 8, stride=2)).train(training)
    x = randn(2, 4, 6, 6)
    inner = torch.relu(bn(block.bn1, F.conv2d(x, block.conv1.weight, padding=1, stride=2)))
    residual = bn(block.bn2, F.conv2d(inner, block.conv2.weight, padding=1))
    projection, norm = block.shortcut
    shortcut = bn(norm, F.conv2d(x, projection.weight, stride=2))
    torch.testing.assert_close(block(x), torch.relu(shortcut + residual))


def test_depth_stacks_residual_blocks():
    stack = stirred(resnet34_block(4, 3)).eval()
    x = randn(1, 4, 6, 6)
    torch.testing.assert_close(stack(x), stack[2](stack[1](stack[0](x))))
    assert len(stack) == 3


def test_feed_forward():
    ffn = stirred(FeedForward(6))
    x = randn(2, 3, 4, 6)
    hidden = F.linear(x, ffn.expand.weight, ffn.expand.bias)
    gelu = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    torch.testing.assert_close(ffn(x), F.linear(gelu, ffn.contract.weight, ffn.contract.bias))
    assert hidden.shape[-1] == 24


def test_swin_transformer_block_is_the_paper_s_four_lines():
    block = stirred(SwinTransformerBlock(8, 2, 3, (0.0, 0.0))).eval()
    first, second = block.w_msa, block.sw_msa
    assert (first.attention.shifted, second.attention.shifted) == (False, True)
    x = randn(2, 8, 6, 7)
    f = x.permute(0, 2, 3, 1)
    f_w = first.attention(ln(first.norm1, f)) + f
    f_prime = first.ffn(ln(first.norm2, f_w)) + f_w
    f_sw = second.attention(ln(second.norm1, f_prime)) + f_prime
    f_t = second.ffn(ln(second.norm2, f_sw)) + f_sw
    torch.testing.assert_close(block(x), f_t.permute(0, 3, 1, 2))


def test_stochastic_depth_rises_linearly_over_eight_blocks():
    rates = [rate for pair in stochastic_depth_rates(0.1, 4) for rate in pair]
    assert rates == pytest.approx(torch.linspace(0, 0.1, 8).tolist())
    network = build(image_size=32, n_seg=None, n_cls=1)
    built = [module.rate for module in network.modules() if isinstance(module, StochasticDepth)]
    assert built == pytest.approx(rates)
    assert all(rate == 0 for pair in stochastic_depth_rates(0, 4) for rate in pair)


def test_stochastic_depth_drops_whole_images_and_keeps_the_mean():
    drop = StochasticDepth(0.25).train()
    x = torch.rand(4000, 2, 1, 3) + 0.5
    torch.manual_seed(1)
    y = drop(x)
    scale = (y / x).flatten(1)
    assert torch.equal(scale == 0, (scale == 0).all(1, keepdim=True).expand_as(scale))
    torch.testing.assert_close(scale[scale != 0], torch.full_like(scale[scale != 0], 4 / 3))
    # Binomial: 4000 draws with p = 0.25 have a standard deviation of 0.0068.
    assert (scale[:, 0] == 0).double().mean() == pytest.approx(0.25, abs=0.03)
    torch.manual_seed(1)
    assert torch.equal(drop(x), y)  # torch's default generator decides
    assert torch.equal(drop.eval()(x), x)


@pytest.mark.parametrize("mode", ["sequential", "parallel"])
def test_encoder_levels(mode):
    encoder = Encoder(mode, (1, 1, 1, 1), 2, 0.1).eval()
    image = torch.randn(1, 3, 32, 48)
    stem = encoder.stem
    convolved = F.conv2d(image, stem.conv.weight, padding=3)
    assert convolved.shape == (1, 64, 32, 48)
    f = F.max_pool2d(torch.relu(bn(stem.bn, convolved)), 3, 2, 1)
    expected = []
    for level, block in enumerate(encoder.levels):
        if level:
            conv = encoder.merges[level - 1].conv
            f = F.conv2d(expected[-1], conv.weight, conv.bias, stride=2, padding=1)
        f_r = block.resnet(f)
        f_t = block.swin(f_r if mode == "sequential" else f)
        expected.append(f_t if mode == "sequential" else f_r + f_t)
    maps = encoder(image)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (64, 16, 24),
        (128, 8, 12),
        (256, 4, 6),
        (512, 2, 3),
    ]
    for got, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_parallel_is_the_sum_of_its_branches():
    network = build(image_size=32, n_seg=None, n_cls=1, mode="parallel").double().eval()
    block = network.encoder.levels[1]
    x = randn(2, 128, 8, 8)
    torch.testing.assert_close(block(x), block.resnet(x) + block.swin(x), rtol=0, atol=0)


def test_spatial_attention():
    module = stirred(SpatialAttention())
    x = randn(2, 5, 6, 7)
    summary = torch.stack((x.max(1).values, x.mean(1)), 1)
    gate = 1 / (1 + torch.exp(-F.conv2d(summary, module.conv.weight, padding=3)))
    torch.testing.assert_close(module(x), x * gate)


@TRAINING
def test_dfe(training):
    module = stirred(DFE(4)).train(training)
    x = randn(2, 4, 21, 40)  # wider than the largest dilation, so that all of them count
    total = torch.zeros_like(x)
    for branch, d in zip(module.branches, (6, 12, 18), strict=True):
        dilated, bn1, pointwise, bn2 = branch
        y = bn(bn1, F.conv2d(x, dilated.weight, padding=d, dilation=d))
        total = total + bn(bn2, F.conv2d(y, pointwise.weight))
    torch.testing.assert_close(module(x), module.sa(torch.relu(total)))


@pytest.mark.parametrize("upsample", ["bilinear", "transposed"])
@TRAINING
def test_decoder(upsample, training):
    decoder = Decoder(upsample).double().train(training)
    shapes = ((64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3))
    enhanced = LevelMaps(*(randn(2, *shape) for shape in shapes))

    def up(layer, x):
        if upsample == "bilinear":
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return F.conv_transpose2d(x, layer.weight, layer.bias, stride=2)

    d = up(decoder.up, enhanced.level4)
    for level, skip in ((decoder.level3, 2), (decoder.level2, 1), (decoder.level1, 0)):
        conv, norm, _ = level.fuse
        fused = F.conv2d(torch.cat((enhanced[skip], d), 1), conv.weight, padding=1)
        d = up(level.up, torch.relu(bn(norm, fused)))
    assert d.shape == (2, 64, 32, 48)
    torch.testing.assert_close(decoder(enhanced), d)


@pytest.mark.parametrize("norm", ["none", "bn_relu"])
@pytest.mark.parametrize("activation", ["none", "relu"])
def test_classification_head(activation, norm):
    head = stirred(ClassificationHead(3, 8, activation, norm)).eval()
    given = level3, level4 = randn(2, 256, 4, 6), randn(2, 512, 2, 3)
    if norm == "bn_relu":
        level3, level4 = (
            torch.relu(bn(before[0], x))
            for before, x in zip((head.norm3, head.norm4), given, strict=True)
        )
    pooled = torch.cat((level3.sum((2, 3)) / 24, level4.sum((2, 3)) / 6), 1)
    hidden = pooled @ head.fc1.weight.T + head.fc1.bias
    hidden = hidden.clamp(min=0) if activation == "relu" else hidden
    torch.testing.assert_close(head(*given), hidden @ head.fc2.weight.T + head.fc2.bias)


@pytest.mark.parametrize("with_dfe", [True, False])
def test_segmentation_path_runs_each_dfe_on_its_level(with_dfe):
    network = build(image_size=32, n_seg=2, n_cls=None, dfe=with_dfe, conv_depths=(1, 1, 1, 1))
    network = network.double().eval()
    image = randn(1, 3, 32, 32)
    maps = network.encoder(image)
    path = network.segmentation
    enhanced = [dfe(x) for dfe, x in zip(path.dfe, maps, strict=True)] if with_dfe else maps
    d4 = path.decoder(LevelMaps(*enhanced))
    expected = F.conv2d(d4, path.head.weight, path.head.bias)
    torch.testing.assert_close(network(image).segmentation, expected)


# --- the released network -----------------------------------------------------------------------
def test_eca_gates_each_channel_by_its_neighbours_means_and_adds_the_input():
    eca = stirred(ECA())
    x = randn(2, 3, 4, 6)
    mean = F.pad(x.mean((1, 2)), (1, 1))
    left, middle, right = eca.conv.weight.flatten()
    gate = torch.sigmoid(left * mean[:, :-2] + middle * mean[:, 1:-1] + right * mean[:, 2:])
    torch.testing.assert_close(eca(x), x * gate[:, None, None] + x)


def test_released_merging():
    merging = stirred(MultiScaleMerging(4))
    x = randn(2, 4, 6, 8)
    normal = ln(merging.norm, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    two, four = merging.scales.convs
    parts = (
        F.conv2d(normal, two.weight, two.bias, stride=2),
        F.conv2d(normal, four.weight, four.bias, stride=2, padding=1),
    )
    expected = merging.scales.eca(torch.cat(parts, 1).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert expected.shape == (2, 8, 3, 4)
    torch.testing.assert_close(merging(x), expected)


@TRAINING
def test_released_dfe(training):
    module = stirred(ReleasedDFE(3)).train(training)
    x = randn(2, 3, 40, 21)
    parts = []
    for branch, (padding, dilation) in zip(
        module.branches, ((0, 1), (6, 6), (12, 12), (18, 18)), strict=True
    ):
        conv, norm, _ = branch
        y = F.conv2d(x, conv.weight, padding=padding, dilation=dilation)
        parts.append(torch.relu(bn(norm, y)))
    fused = bn(module.fuse[1], F.conv2d(torch.cat(parts, 1), module.fuse[0].weight, padding=1))
    shortcut = bn(module.shortcut[1], F.conv2d(x, module.shortcut[0].weight))
    torch.testing.assert_close(module(x), module.sa(torch.relu(fused + shortcut)))


@pytest.mark.parametrize("mode", ["sequential", "parallel"])
def test_released_encoder_levels(mode):
    encoder = ReleasedEncoder(mode, 2, 0.1).eval()
    image = torch.randn(1, 3, 32, 48)
    f0, embedding = encoder.stem(image), encoder.embedding(image)
    swin, stage, merge = encoder.swins, encoder.stages, encoder.merges
    if mode == "sequential":
        expected = [swin[0](stage[0](f0) + embedding)]
        for i in (1, 2, 3):
            previous = expected[-1]
            expected.append(swin[i](stage[i](previous) + merge[i - 1](previous)))
    else:
        f0 = f0 + embedding
        expected = [stage[0](f0) + swin[0](f0)]
        for i in (1, 2, 3):
            previous = expected[-1]
            expected.append(stage[i](previous) + swin[i](merge[i - 1](previous)))
    maps = encoder(image)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (64, 16, 24),
        (128, 8, 12),
        (256, 4, 6),
        (512, 2, 3),
    ]
    for got, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(got, wanted)


def test_released_heads():
    network = build_released(image_size=32, n_seg=1, n_cls=2, mode="parallel").double().eval()
    image = randn(1, 3, 32, 32)
    maps = network.encoder(image)
    path, head = network.segmentation, network.classification
    x = maps.level4
    for level, skip in zip(path.levels, (2, 1, 0), strict=True):
        up = F.conv_transpose2d(x, level.up.weight, level.up.bias, stride=2)
        conv, norm, _ = level.fuse
        fused = F.conv2d(torch.cat((maps[skip], up), 1), conv.weight, conv.bias, padding=1)
        x = torch.relu(bn(norm, fused))
    x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    prediction = network(image)
    torch.testing.assert_close(prediction.segmentation, F.conv2d(x, path.head.weight))
    pooled = [
        torch.relu(bn(norm[0], level)).mean((2, 3))
        for norm, level in ((head.norm3, maps.level3), (head.norm4, maps.level4))
    ]
    hidden = F.linear(torch.cat(pooled, 1), head.fc1.weight, head.fc1.bias)
    expected = F.linear(hidden, head.fc2.weight, head.fc2.bias)
    torch.testing.assert_close(prediction.classification, expected)
