"""RetiFluidNet: attention and pooling against plain formulas, the heads, the initial weights."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines import retifluidnet
from baselines.retifluidnet import MultiKernelPooling, SelfDualAttention
from workflow.networks.anchors import flops, parameters


def make(*, image_size=64, n_seg=2, **options):
    return retifluidnet.build(image_size=image_size, n_seg=n_seg, n_cls=None, **options)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return make(side_outputs=True)


def nearest(x, height, width):
    """Nearest neighbours by pixel centres, as TensorFlow has it."""
    rows = [int((i + 0.5) * x.shape[2] / height) for i in range(height)]
    columns = [int((i + 0.5) * x.shape[3] / width) for i in range(width)]
    return x[:, :, rows][:, :, :, columns]


def softmax(scores):
    exponential = (scores - scores.amax(-1, keepdim=True)).exp()
    return exponential / exponential.sum(-1, keepdim=True)


def attention_by_definition(x, pixel_scale, channel_scale, pool=4):
    """One image at a time, with every matrix written out."""
    height, width = x.shape[2:]
    pooled = F.max_pool2d(x, (min(pool, height), min(pool, width)))
    images = []
    for image, small in zip(x, pooled, strict=True):
        tokens = small.flatten(1).T  # N, C
        count, channels = tokens.shape
        pixel = softmax(tokens @ tokens.T / math.sqrt(count)) @ tokens
        channel = tokens @ softmax(tokens.T @ tokens / channels)
        both = (pixel_scale * pixel).clamp(min=0) + (channel_scale * channel).clamp(min=0)
        resized = nearest(both.T.reshape(1, *small.shape), height, width)[0]
        images.append(image + 0.5 * resized)
    return torch.stack(images)


@pytest.mark.parametrize("size", [(8, 8), (14, 22), (7, 7), (3, 2), (1, 1)])
@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.7, -0.3), (-2.0, 1.5)])
def test_attention_is_the_formula_and_pools_by_whole_maps_where_four_is_too_much(size, scales):
    x = torch.randn(2, 5, *size, generator=torch.Generator().manual_seed(1))
    attention = SelfDualAttention()
    with torch.no_grad():
        attention.pixel_scale.fill_(scales[0])
        attention.channel_scale.fill_(scales[1])
    expected = attention_by_definition(x, *scales)
    torch.testing.assert_close(attention(x), expected, rtol=1e-5, atol=1e-5)


def test_attention_of_two_orthogonal_pixels_by_hand():
    # Pooled to two tokens (1, 0) and (0, 1). Pixels: scores 1 and 0 over sqrt(2); channels: XᵀX is
    # the identity over 2; X is the identity as well.
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])[None, :, None].repeat_interleave(4, dim=3)
    own, other = (1 / (1 + math.exp(sign / math.sqrt(2))) for sign in (-1, 1))
    own, other = own + 1 / (1 + math.exp(-0.5)), other + 1 / (1 + math.exp(0.5))
    with torch.no_grad():
        out = SelfDualAttention()(x)
    assert out[0, 0, 0].tolist() == pytest.approx([1 + own / 2] * 4 + [other / 2] * 4)
    assert out[0, 1, 0].tolist() == pytest.approx([other / 2] * 4 + [1 + own / 2] * 4)


def test_channel_attention_keeps_float32_under_autocast():
    # Channels that are nearly alike: large scores, and small differences that the softmax sees.
    generator = torch.Generator().manual_seed(2)
    alike = torch.rand(1, 4096, 1, generator=generator)
    tokens = (alike + 0.05 * torch.rand(1, 4096, 8, generator=generator)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = SelfDualAttention().channel_attention(tokens)
    wide = tokens.double()
    expected = softmax(wide.mT @ wide / 8)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-4)
    # The test can tell: rounded scores are off.
    rounded = softmax((wide.mT @ wide / 8).bfloat16().double())
    assert (rounded - expected).abs().max() > 0.01


@pytest.mark.parametrize("size", [(16, 16), (7, 7), (3, 3), (1, 2)])
def test_multi_kernel_pooling_adds_one_channel_a_window(size):
    torch.manual_seed(3)
    pooling = MultiKernelPooling(6)
    x = torch.randn(2, 6, *size)
    out = pooling(x)
    assert torch.equal(out[:, :6], x)
    for k, (conv, side) in enumerate(zip(pooling.convs, (2, 3, 5, 6), strict=True)):
        window = min(side, size[0]), min(side, size[1])
        pooled = F.max_pool2d(x, window, stride=window)
        one = torch.einsum("oc,bchw->bohw", conv.weight[:, :, 0, 0], pooled) + conv.bias
        expected = nearest(one.clamp(min=0), *size)
        torch.testing.assert_close(out[:, 6 + k : 7 + k], expected, rtol=1e-5, atol=1e-6)


def test_there_is_attention_in_every_level_and_in_the_bottleneck():
    with torch.device("meta"):
        found = [m for m in make().modules() if isinstance(m, SelfDualAttention)]
    assert len(found) == 6
    assert sum(parameters(m) for m in found) == 12


@pytest.mark.parametrize(
    ("n_seg", "image_size", "expected"),
    [
        (3, 224, 29_387_779_072),
        (3, 512, 185_317_666_816),
        (1, 224, 29_180_652_544),
        (1, 512, 184_235_536_384),
    ],
)
def test_flops_of_the_training_path(n_seg, image_size, expected):
    with torch.device("meta"):
        network = make(n_seg=n_seg, image_size=image_size, side_outputs=True).train()
    assert flops(network, image_size) == expected


@pytest.mark.parametrize("size", [32, 64, 96, 192])
def test_side_outputs_have_the_images_size(size):
    with torch.device("meta"):
        prediction = make(side_outputs=True).train()(torch.empty(2, 3, size, size))
    assert prediction.auxiliary.keys() == {"side", "connectivity"}
    assert [x.shape for x in prediction.auxiliary["side"]] == [(2, 3, size, size)] * 4
    links = [x.shape for x in prediction.auxiliary["connectivity"]]
    assert links == [(2, 3, 8, size, size)] * 5


@torch.no_grad()
def test_side_outputs_leave_the_main_output_alone_and_need_training_and_the_option(network):
    image = torch.rand(2, 3, 64, 64)
    without = make()
    without.load_state_dict(network.state_dict(), strict=True)
    full, main = network.train()(image), without.train()(image)
    assert torch.equal(full.segmentation, main.segmentation)
    assert full.auxiliary is not None
    assert main.auxiliary is None
    assert network.eval()(image).auxiliary is None


@torch.no_grad()
def test_each_side_output_comes_from_its_level(network):
    """Level k is constant over blocks of 2^k pixels, and over no larger ones."""
    side = network.train()(torch.rand(2, 3, 64, 64)).auxiliary["side"]
    for level, logits in enumerate(side, start=1):
        block = 2**level
        assert torch.equal(logits, nearest(nearest(logits, 64 // block, 64 // block), 64, 64))
        assert not torch.equal(logits, nearest(nearest(logits, 32 // block, 32 // block), 64, 64))


@torch.no_grad()
def test_connectivity_heads_read_main_scores_and_side_probabilities(network):
    prediction = network.train()(torch.rand(2, 3, 64, 64))
    side, links = prediction.auxiliary["side"], prediction.auxiliary["connectivity"]
    inputs = [prediction.segmentation, *(softmax(x.movedim(1, -1)).movedim(-1, 1) for x in side)]
    for head, scores, found in zip(network.connectivity_heads, inputs, links, strict=True):
        weight, bias = head.weight.view(3, 8, 1, 1), head.bias.view(3, 8, 1, 1)
        torch.testing.assert_close(found, weight * scores.unsqueeze(2) + bias)


def glorot(fan_in, fan_out):
    return math.sqrt(6 / (fan_in + fan_out))


def test_weights_are_glorot_uniform_and_biases_zero(network):
    bounds = {
        "encoder.4.3.weight": glorot(512 * 9, 512 * 9),
        "bottleneck.1.0.weight": glorot(512 * 9, 1024 * 9),
        "decoder.0.up.weight": glorot(1028 * 4, 512 * 4),
        "side_heads.3.weight": glorot(512, 3),
        # Eight maps from one, for every class apart: not glorot(1, 24).
        "connectivity_heads.0.weight": glorot(1, 8),
    }
    weights = dict(network.named_parameters())
    for name, bound in bounds.items():
        assert weights[name].abs().max() <= bound
        assert weights[name].abs().max() > 0.8 * bound, name
        assert weights[name].std().item() == pytest.approx(bound / math.sqrt(3), rel=0.4), name
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == 10 + 2 + 4 + 15 + 1 + 4 + 5
    assert all(not m.bias.any() for m in convolutions)


def test_sizes_and_outputs_that_do_not_work_are_refused():
    with pytest.raises(ValueError, match="retifluidnet: an image of 48×48 pixels does not work"):
        make(image_size=48)
    with torch.device("meta"):
        network = make()
        with pytest.raises(ValueError, match=r"64×80 pixels does not work; .*multiples of 32"):
            network(torch.empty(1, 3, 64, 80))
    with pytest.raises(ValueError, match="retifluidnet: n_seg is None"):
        make(n_seg=None)
