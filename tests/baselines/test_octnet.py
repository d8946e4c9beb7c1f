"""OCTNet: the order inside a block, the pooling before the head, and the head."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines import octnet


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return octnet.build(image_size=224, n_seg=None, n_cls=3).network.eval()


@torch.no_grad()
def test_a_block_is_convolution_relu_bn_pooling():
    torch.manual_seed(0)
    block = octnet.block(3, 4, 5).eval()
    convolution, _, bn, _ = block
    # Both signs of the scale, or ReLU, BN and pooling could change places unseen.
    bn.weight.copy_(torch.tensor([1.5, -1.5, 0.5, -0.5]))
    bn.running_mean.uniform_(-1, 1)
    x = torch.randn(2, 3, 9, 8)
    mapped = F.conv2d(x, convolution.weight, convolution.bias, padding=2).clamp(min=0)
    mean, scale = bn.running_mean[:, None, None], bn.weight[:, None, None]
    mapped = (mapped - mean) / math.sqrt(1 + bn.eps) * scale
    corners = [mapped[:, :, i:8:2, j:8:2] for i in (0, 1) for j in (0, 1)]
    torch.testing.assert_close(block(x), torch.stack(corners).amax(0))


@pytest.mark.parametrize(("size", "side"), [(64, 1), (96, 1), (224, 3), (227, 3), (512, 8)])
def test_global_pooling_replaces_the_fixed_one(size, side):
    with torch.device("meta"):
        network = octnet.build(image_size=size, n_seg=None, n_cls=3).network
        assert network.blocks(torch.empty(2, 3, size, size)).shape == (2, 512, side, side)


@torch.no_grad()
def test_at_224_the_head_sees_what_averaging_3_by_3_pixels_gives(network):
    image = torch.rand(1, 3, 224, 224)
    features = F.avg_pool2d(network.blocks(image), 3).flatten(1)
    torch.testing.assert_close(network(image), network.head(features))


@torch.no_grad()
def test_the_head_has_no_activation_and_drops_values_in_training_only(network):
    x, y = torch.randn(2, 7, 512)
    head = network.head
    torch.testing.assert_close(head((x + y) / 2), (head(x) + head(y)) / 2)
    assert [m.p for m in head if isinstance(m, nn.Dropout)] == [0.5, 0.5]


def test_linear_layers_start_xavier_normal(network):
    linear = [m for m in network.head if isinstance(m, nn.Linear)]
    assert [m.out_features for m in linear] == [128, 32, 3]
    for layer in linear:
        std = math.sqrt(2 / (layer.in_features + layer.out_features))
        assert layer.weight.std().item() == pytest.approx(std, rel=0.15)
        # A uniform draw of this spread ends at sqrt(3) standard deviations.
        assert layer.weight.abs().max() > 2 * std


def test_wrong_sizes_and_outputs_are_refused():
    with pytest.raises(
        ValueError, match=r"octnet: an image of 63×63 .* must be at least 64 pixels"
    ):
        octnet.build(image_size=63, n_seg=None, n_cls=3)
    with pytest.raises(ValueError, match="octnet: n_cls is None"):
        octnet.build(image_size=64, n_seg=3, n_cls=None)
