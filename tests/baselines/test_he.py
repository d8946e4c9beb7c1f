"""He et al.: raw skips of either backbone; decoder stages and heads written out; first weights."""

import math

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from baselines import he
from tests.baselines.methods import as_torch_draws

ENCODERS = ("resunet101", "denseunet121")


def make(encoder="denseunet121", *, image_size=64, n_seg=3, n_cls=3):
    return he.build(image_size=image_size, n_seg=n_seg, n_cls=n_cls, encoder=encoder)


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request):
    return request.param


@pytest.fixture(scope="module")
def network(encoder):
    torch.manual_seed(0)
    return make(encoder)


def unlike_identity(module):
    """Give every norm statistics, scale and shift that a mix-up of channels would show."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight, norm.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (norm.bias, norm.running_mean):
                nn.init.normal_(tensor)
    return module.eval()


def bn_relu_conv(x, layers, padding=0):
    norm, _, conv = layers
    shape = (1, -1, 1, 1)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    x = (x - norm.running_mean.view(shape)) * scale.view(shape) + norm.bias.view(shape)
    return F.conv2d(x.clamp(min=0), conv.weight, conv.bias, padding=padding)


def resize_aligned(x, rows, columns):
    """Bilinear with aligned corners: pixel i of n lies at i (h - 1) / (n - 1)."""

    def weights(length, outputs):
        at = torch.arange(outputs, dtype=x.dtype) * (length - 1) / (outputs - 1)
        return (1 - (at[:, None] - torch.arange(length)).abs()).clamp(min=0)

    return weights(x.shape[2], rows) @ x @ weights(x.shape[3], columns).T


@torch.no_grad()
def test_decoder_stage_is_the_one_written_out():
    torch.manual_seed(1)
    up = unlike_identity(he.Up(5, 3, 7)).double()
    deep, skip = torch.randn(2, 5, 3, 2).double(), torch.randn(2, 3, 6, 4).double()
    merged = bn_relu_conv(torch.cat([resize_aligned(deep, 6, 4), skip], 1), up.merge)
    reduced = bn_relu_conv(merged, up.dense.reduce)
    assert reduced.shape[1] == 192
    expected = torch.cat([merged, bn_relu_conv(reduced, up.dense.grow, padding=1)], 1)
    torch.testing.assert_close(up(deep, skip), expected)
    biased = [conv.bias is not None for conv in up.modules() if isinstance(conv, nn.Conv2d)]
    assert biased == [True, False, False]


@torch.no_grad()
def test_both_heads_read_the_same_full_resolution_map():
    torch.manual_seed(1)
    network = unlike_identity(make()).double()
    maps = []
    network.tail.register_forward_hook(
        lambda _module, inputs, output: maps.extend((*inputs, output))
    )
    prediction = network(torch.rand(2, 3, 64, 32).double())
    x, last = maps
    for number, rows, columns in ((0, 32, 16), (2, 64, 32)):
        x = resize_aligned(bn_relu_conv(x, network.tail[number]), rows, columns)
    torch.testing.assert_close(last, x)
    assert last.shape == (2, 256, 64, 32)
    torch.testing.assert_close(
        prediction.segmentation, bn_relu_conv(last, network.segmentation_head)
    )
    # The mean of a 1×1 convolution is the convolution of the mean.
    norm_relu, conv = network.classification_head[:2], network.classification_head[2]
    pooled = norm_relu(last).mean(dim=(2, 3))
    expected = F.linear(pooled, conv.weight.flatten(1), conv.bias)
    torch.testing.assert_close(prediction.classification, expected)


@torch.no_grad()
def test_skips_are_what_the_stages_of_the_library_network_give(network, encoder):
    name, stage = (
        ("resnet101", "layer{}")
        if encoder == "resunet101"
        else ("densenet121", "features.denseblock{}")
    )
    library = timm.create_model(name).eval()
    missing, unexpected = library.load_state_dict(network.encoder.state_dict(), strict=False)
    # So weights of timm's hub fit by name, all but the parts that the network leaves out.
    assert not unexpected
    assert {key.rsplit(".", 1)[0] for key in missing} == (
        {"fc"} if encoder == "resunet101" else {"features.norm5", "classifier"}
    )
    outputs = []
    for number in range(1, 5):
        module = library.get_submodule(stage.format(number))
        module.register_forward_hook(
            lambda _module, _inputs, output: outputs.append(output.clone())
        )
    image = torch.rand(1, 3, 64, 32)
    library(image)
    skips = network.eval().encoder(image)
    assert [tuple(skip.shape[1:]) for skip in skips] == [
        (channels, 64 // stride, 32 // stride)
        for channels, stride in zip(he.CHANNELS[encoder], (4, 8, 16, 32), strict=True)
    ]
    assert all(torch.equal(*pair) for pair in zip(skips, outputs, strict=True))


@torch.no_grad()
def test_initial_weights(network):
    heads = network.segmentation_head, network.classification_head
    convs = as_torch_draws(*(head[2] for head in heads))
    drawn = {
        f"{n}.{key}" for n, m in network.named_modules() if m in convs for key in ("weight", "bias")
    }
    for name, module in network.named_modules():
        if module in convs:
            continue
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * math.prod(module.kernel_size)
            normal = module.weight * math.sqrt(fan_out / 2)
            n = normal.numel()
            assert abs(normal.std() - 1) < 5 / math.sqrt(2 * n), name
            assert abs(normal.mean()) < 5 / math.sqrt(n), name
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all(), name
        else:
            continue
        assert module.bias is None or not module.bias.any(), name
        drawn |= {f"{name}.{key}" for key, _ in module.named_parameters()}
    assert drawn == {name for name, _ in network.named_parameters()}


def test_no_dropout(network):
    assert not [m for m in network.modules() if isinstance(m, nn.Dropout | nn.Dropout2d)]


def test_oblong_images_and_a_single_lesion_type(encoder):
    with torch.device("meta"):
        prediction = make(encoder, n_seg=1)(torch.empty(2, 3, 96, 160))
    assert prediction.segmentation.shape == (2, 2, 96, 160)
    assert prediction.classification.shape == (2, 3)


def test_wrong_arguments_are_refused(network):
    with pytest.raises(ValueError, match="he: encoder is 'resunet50'; choose one of resunet101, d"):
        make("resunet50")
    for missing in ("n_seg", "n_cls"):
        with pytest.raises(ValueError, match=f"he: {missing} is None; .* needs 1 or more"):
            make(**{missing: None})
    for size in (0, 48):
        with pytest.raises(
            ValueError, match=f"he: .* {size}×{size} .*multiples of 32, at least 32"
        ):
            make(image_size=size)
    with pytest.raises(ValueError, match="he: an image of 64×40 pixels does not work"):
        network(torch.rand(1, 3, 64, 40))
