"""What is special to TransUNet: ResNet, transformer and upsampler, and their initial weights."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines import transunet
from baselines.parts.cascade import CascadedUpsampler
from baselines.parts.standardised_resnet import Bottleneck, StandardisedConv2d
from baselines.parts.vit import ViTBlock


def make(*, image_size=64, n_seg=2, n_cls=None, **options):
    return transunet.build(image_size=image_size, n_seg=n_seg, n_cls=n_cls, **options)


@pytest.fixture(scope="module")
def network():
    """For the tests that only read it, in evaluation mode."""
    torch.manual_seed(1)
    return make().network.eval()


@pytest.fixture(scope="module")
def meta():
    """The default network where it costs nothing."""
    with torch.device("meta"):
        return make(image_size=224).network


def shapes(maps):
    return [tuple(x.shape[1:]) for x in maps]


def test_standardised_convolution_by_hand():
    conv = StandardisedConv2d(2, 1, 1)
    conv.weight.data = torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)
    # Mean 2 and, divided by 2 and not by 1, variance 1: the filter in use is -1, 1.
    expected = (7 - 4) / math.sqrt(1 + 1e-5)
    output = conv(torch.tensor([4.0, 7.0]).reshape(1, 2, 1, 1))
    assert output.item() == pytest.approx(expected, rel=1e-6)


def test_standardisation_is_filter_by_filter_and_takes_out_shift_and_scale():
    torch.manual_seed(0)
    conv, x = StandardisedConv2d(8, 4, 3, stride=2), torch.randn(1, 8, 9, 9)
    before = conv(x)
    assert before.shape == (1, 4, 5, 5)
    scale = torch.tensor([10.0, 20, 40, 80]).reshape(4, 1, 1, 1)
    conv.weight.data = conv.weight.data * scale + scale
    # Not exactly, because of the 1e-5 beside a variance of 1 / (3 × 72).
    torch.testing.assert_close(conv(x), before, rtol=2e-3, atol=2e-3)


def test_every_convolution_of_the_cnn_is_standardised_and_without_bias(meta):
    depths = [len(stage) for stage in (meta.cnn.stage1, meta.cnn.stage2, meta.cnn.stage3)]
    assert depths == [3, 4, 9]
    convs = [m for m in meta.cnn.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 1 + 3 * (3 + 4 + 9) + 3
    assert all(isinstance(conv, StandardisedConv2d) and conv.bias is None for conv in convs)


def standardised(conv, x):
    """A standardised convolution written out."""
    rows = conv.weight.flatten(1)
    variance = rows.square().mean(1, keepdim=True) - rows.mean(1, keepdim=True).square()
    rows = (rows - rows.mean(1, keepdim=True)) / (variance + 1e-5).sqrt()
    return F.conv2d(x, rows.view_as(conv.weight), None, conv.stride, conv.padding)


def grouped(norm, x, groups, eps):
    """GroupNorm written out."""
    rows = x.reshape(len(x), groups, -1)
    mean, variance = rows.mean(2, keepdim=True), rows.var(2, correction=0, keepdim=True)
    x = ((rows - mean) / (variance + eps).sqrt()).reshape(x.shape)
    return x * norm.weight[:, None, None] + norm.bias[:, None, None]


@pytest.mark.parametrize(
    ("in_channels", "stride", "projected"), [(64, 1, True), (128, 2, True), (128, 1, False)]
)
@torch.no_grad()
def test_bottleneck_is_its_formula(in_channels, stride, projected):
    torch.manual_seed(0)
    block = Bottleneck(in_channels, 128, stride)
    for parameter in block.parameters():
        parameter.copy_(torch.rand_like(parameter))
    # Small numbers, beside whose variance an eps shows.
    x = 1e-3 * torch.randn(2, in_channels, 7, 7)
    y = F.relu(grouped(block.gn1, standardised(block.conv1, x), 32, 1e-6))
    y = F.relu(grouped(block.gn2, standardised(block.conv2, y), 32, 1e-6))
    y = grouped(block.gn3, standardised(block.conv3, y), 32, 1e-6)
    shortcut = x
    if projected:
        conv, norm = block.shortcut
        shortcut = grouped(norm, standardised(conv, x), 128, 1e-5)
    assert (block.conv1.out_channels, block.conv2.stride) == (32, (stride, stride))
    torch.testing.assert_close(block(x), F.relu(y + shortcut), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("size", "stage1"), [(64, 15), (96, 23), (224, 55), (512, 127)])
def test_stage_1_is_one_row_short_and_the_trunk_stays_so(meta, size, stage1):
    image = torch.empty(1, 3, size, size, device="meta")
    seen = []
    hook = meta.cnn.stage2.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    maps = meta.cnn(image)
    hook.remove()
    assert shapes(seen) == [(256, stage1, stage1)]
    expected = [
        (64, size // 2, size // 2),
        (256, size // 4, size // 4),
        (512, size // 8, size // 8),
        (1024, size // 16, size // 16),
    ]
    assert shapes(maps) == expected


@torch.no_grad()
def test_skip_of_stage_1_ends_in_zeros(network):
    image = torch.rand(1, 3, 64, 64)
    cnn = network.cnn
    half, quarter, eighth, _ = cnn(image)
    # The root's pooling starts at the corner: no padding on that side either.
    trunk = cnn.stage1(F.max_pool2d(half, 3, stride=2, padding=0))
    assert torch.equal(quarter[..., :-1, :-1], trunk)
    assert not quarter[..., -1, :].any()
    assert not quarter[..., -1].any()
    assert torch.equal(eighth, cnn.stage2(trunk))


@torch.no_grad()
def test_vit_block_is_its_formula():
    torch.manual_seed(0)
    block, x = ViTBlock(16, 4, 24).eval(), torch.randn(2, 5, 16)
    for norm in (block.norm1, block.norm2):
        norm.weight.copy_(torch.rand(16))
        norm.bias.copy_(torch.rand(16))

    def layer_norm(norm, x):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
        return x * norm.weight + norm.bias

    query, key, value = block.attention.qkv(layer_norm(block.norm1, x)).chunk(3, dim=-1)
    mixed = torch.empty(2, 5, 16)
    for head in range(4):
        of_head = slice(4 * head, 4 * head + 4)
        scores = query[..., of_head] @ key[..., of_head].transpose(1, 2) / 2  # sqrt(4 channels)
        mixed[..., of_head] = scores.softmax(-1) @ value[..., of_head]
    y = x + block.attention.projection(mixed)
    expand, contract = block.mlp[0], block.mlp[3]
    hidden = expand(layer_norm(block.norm2, y))
    gelu = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    torch.testing.assert_close(block(x), y + contract(gelu), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_transformer_ends_in_a_layer_norm(network):
    tokens = network.transformer(5 + 3 * torch.randn(1, 16, 768))
    assert tokens.mean(2).abs().max() < 1e-5
    torch.testing.assert_close(tokens.square().mean(2), torch.ones(1, 16), rtol=1e-3, atol=0)


@torch.no_grad()
def test_tokens_are_patches_row_by_row_with_positions(network):
    image, seen = torch.rand(2, 3, 64, 64), {}

    def keep_tokens(module, args, output):
        seen["into"], seen["out_of"] = args[0], output

    def keep_maps(module, args):
        seen["map"], seen["skips"] = args

    hooks = [
        network.transformer.register_forward_hook(keep_tokens),
        network.decoder.register_forward_pre_hook(keep_maps),
    ]
    position = torch.randn(1, 16, 768)
    network.position.copy_(position)
    network(image)
    network.position.zero_()
    for hook in hooks:
        hook.remove()
    patches = network.patch_embedding(network.cnn(image)[-1])
    assert seen["into"].shape == (2, 16, 768)
    for row, column in ((0, 0), (0, 3), (2, 1), (3, 3)):
        token = 4 * row + column
        expected = patches[:, :, row, column] + position[:, token]
        assert torch.equal(seen["into"][:, token], expected)
        assert torch.equal(seen["map"][:, :, row, column], seen["out_of"][:, token])
    assert shapes(seen["skips"]) == [(512, 8, 8), (256, 16, 16), (64, 32, 32)]


@torch.no_grad()
def test_upsampling_keeps_the_corners_and_puts_the_skip_last(network):
    step, seen = network.decoder.steps[2], []
    hook = step.convs.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    coarse, skip = torch.rand(1, 128, 3, 3), torch.rand(1, 64, 6, 6)
    assert step(coarse, skip).shape == (1, 64, 6, 6)
    hook.remove()
    (joined,) = seen
    assert torch.equal(joined[:, 128:], skip)
    assert torch.allclose(joined[:, :128, ::5, ::5], coarse[..., ::2, ::2])
    # Between them points lie 2 / 5 of a coarse step apart.
    between = 0.6 * coarse[..., 0, 0] + 0.4 * coarse[..., 0, 1]
    assert torch.allclose(joined[:, :128, 0, 1], between)


def test_widths_of_the_upsampler():
    with torch.device("meta"):
        decoder = CascadedUpsampler(768, (512, 256), align_corners=True)
    firsts = [step.convs[0] for step in decoder.steps]
    assert [(conv.in_channels, conv.out_channels) for conv in firsts] == [
        (512 + 512, 256),
        (256 + 256, 128),
        (128, 64),
        (64, 16),
    ]
    skips = [torch.empty(1, 512, 4, 4, device="meta"), torch.empty(1, 256, 8, 8, device="meta")]
    assert decoder(torch.empty(1, 768, 2, 2, device="meta"), skips).shape == (1, 16, 32, 32)


def test_without_skips_the_decoder_sees_the_transformer_only():
    with torch.device("meta"):
        network = make(n_skip=0).network
        seen = []
        network.decoder.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
        assert network(torch.empty(1, 3, 64, 64)).shape == (1, 3, 64, 64)
    assert [len(skips) for skips in seen] == [0]
    assert [step.convs[0].in_channels for step in network.decoder.steps] == [512, 256, 128, 64]


def test_the_large_transformer():
    with torch.device("meta"):
        network = make(vit="large").network
    blocks = network.transformer.blocks
    assert (len(blocks), blocks[0].attention.heads) == (24, 16)
    assert blocks[0].mlp[0].weight.shape == (4096, 1024)


def test_dropout_is_on_tokens_and_mlps_but_not_on_attention_and_its_projection(meta):
    transformer = meta.transformer
    assert transformer.dropout.p == 0.1
    assert len(transformer.blocks) == 12
    for block in transformer.blocks:
        assert block.attention.dropout.p == 0
        assert [m.p for m in block.mlp if isinstance(m, nn.Dropout)] == [0.1, 0.1]
    assert {m.eps for m in meta.modules() if isinstance(m, nn.LayerNorm)} == {1e-6}


def test_initial_weights(network):
    assert not network.position.any()
    block = network.transformer.blocks[7]
    for layer in (block.mlp[0], block.mlp[3]):
        # Xavier-uniform: bound sqrt(6 / (768 + 3072)), standard deviation bound / sqrt(3).
        bound = (6 / (768 + 3072)) ** 0.5
        check_uniform(layer.weight, bound)
        assert layer.bias.std().item() == pytest.approx(1e-6, rel=0.15)
    # torch's default of linear layers and convolutions: bound 1 / sqrt(fan-in).
    for layer, fan_in in (
        (block.attention.qkv, 768),
        (block.attention.projection, 768),
        (network.patch_embedding, 1024),
        (network.decoder.conv_more[0], 768 * 9),
        (network.cnn.stage3[4].conv2, 256 * 9),
    ):
        check_uniform(layer.weight, fan_in**-0.5)
        if layer.bias is not None:
            check_uniform(layer.bias, fan_in**-0.5)
    norms = (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
    for norm in (m for m in network.modules() if isinstance(m, norms)):
        assert (norm.weight == 1).all()
        assert not norm.bias.any()


def check_uniform(weight, bound):
    """Within the bound and close up to it, with the standard deviation of an even spread."""
    assert 0.95 * bound < weight.abs().max() <= bound
    # Four standard errors; the relative one of n evenly spread numbers is sqrt(0.2 / n).
    tolerance = 4 * (0.2 / weight.numel()) ** 0.5
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=tolerance)


@pytest.mark.parametrize(
    ("option", "value", "choices"), [("vit", "huge", "base, large"), ("n_skip", 2, "3, 0")]
)
def test_unknown_options_are_refused(option, value, choices):
    message = f"transunet: {option} is {value!r}; choose one of {choices}"
    with pytest.raises(ValueError, match=message):
        make(**{option: value})


def test_wrong_sizes_and_a_missing_task_are_refused():
    with torch.device("meta"):
        network = make(image_size=96)
        for size in ((64, 64), (96, 64)):
            with pytest.raises(ValueError, match=r"transunet: .* does not fit .* built for 96×96"):
                network(torch.empty(1, 3, *size))
    with pytest.raises(ValueError, match=r"40×40 pixels does not work; .* multiples of 16"):
        make(image_size=40)
    with pytest.raises(ValueError, match="transunet: n_seg is None; this method needs 1 or more"):
        make(n_seg=None)
