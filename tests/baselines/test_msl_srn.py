"""MSL-SRN: its block, its two branches, the layers that are never called."""

import math

import pytest
import torch
import torch.nn.functional as F

from baselines import msl_srn


def make(image_size=96, **options):
    torch.manual_seed(0)
    return msl_srn.build(image_size=image_size, n_seg=None, n_cls=3, **options).network.eval()


@pytest.fixture(scope="module")
def network():
    return make()


def normalised(bn, x):
    """BN in evaluation, written out for running statistics 0 and 1 as at the start."""
    return x / math.sqrt(1 + bn.eps) * bn.weight[:, None, None] + bn.bias[:, None, None]


@pytest.mark.parametrize("widths", [(4, 4), (4, 6)])
@torch.no_grad()
def test_block_against_the_equation(widths):
    torch.manual_seed(0)
    block = msl_srn.SparseResidualBlock(*widths, 2, dead_layers=True).eval()
    for bn in (block.convs[2], block.convs[5], block.bn):
        bn.weight.uniform_(-1, 1)
        bn.bias.uniform_(-1, 1)
    x = torch.randn(2, 4, 6, 8)
    y = x
    for conv, bn in ((block.convs[0], block.convs[2]), (block.convs[3], block.convs[5])):
        y = normalised(bn, F.conv2d(y, conv.weight, conv.bias, padding=1).clamp(min=0))
    beside = x
    if widths == (4, 6):
        beside = F.conv2d(x, block.shortcut.weight, block.shortcut.bias)
    y = normalised(block.bn, (y + beside).clamp(min=0))
    corners = [y[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    torch.testing.assert_close(block(x), torch.stack(corners).amax(0))


@torch.no_grad()
def test_stem_normalises_before_its_relu():
    stem = make().large.stem
    stem[1].bias.fill_(1.0)
    x = torch.randn(1, 3, 8, 8)
    expected = normalised(stem[1], F.conv2d(x, stem[0].weight, stem[0].bias, padding=3))
    torch.testing.assert_close(stem(x), expected.clamp(min=0))


@torch.no_grad()
@pytest.mark.parametrize("size", [(96, 96), (128, 64), (75, 97)])
def test_the_small_branch_sees_the_mean_of_2_by_2_pixels(network, size):
    seen = {}
    hooks = [
        branch.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0]}))
        for name, branch in (("large", network.large), ("small", network.small))
    ]
    image = torch.rand(2, 3, *size)
    logits = network(image)
    for hook in hooks:
        hook.remove()
    assert torch.equal(seen["large"], image)
    assert seen["small"].shape[2:] == (size[0] // 2, size[1] // 2)
    if size != (75, 97):
        corners = [image[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        torch.testing.assert_close(seen["small"], torch.stack(corners).mean(0))
    features = [network.large(seen["large"]), network.small(seen["small"])]
    torch.testing.assert_close(logits, network.head(torch.cat(features, 1)))


def test_branches_share_no_weights(network):
    large, small = (dict(part.named_parameters()) for part in (network.large, network.small))
    assert large.keys() == small.keys()
    assert not {id(p) for p in large.values()} & {id(p) for p in small.values()}
    weight = "blocks.4.convs.0.weight"
    assert not torch.equal(large[weight], small[weight])


@pytest.mark.parametrize(
    ("size", "side"), [(32, 1), (48, 1), (64, 1), (112, 1), (128, 2), (224, 3), (512, 8)]
)
def test_six_poolings_end_no_smaller_than_a_pixel(size, side):
    with torch.device("meta"):
        trunk = make().large
        x = trunk.blocks(msl_srn.halve(trunk.stem(torch.empty(2, 3, size, size))))
    assert x.shape == (2, 512, side, side)


def test_clipped_pooling_changes_nothing_else():
    x = torch.randn(2, 3, 5, 4)
    assert torch.equal(msl_srn.halve(x), F.max_pool2d(x, 2))
    assert torch.equal(msl_srn.halve(x[:, :, :1]), F.max_pool2d(x[:, :, :1], (1, 2)))
    assert torch.equal(msl_srn.halve(x[:, :, :1, :1]), x[:, :, :1, :1])


@torch.no_grad()
def test_dead_layers_count_but_do_nothing(network):
    without = make(dead_layers=False)
    extra, missing = (set(a.state_dict()) for a in (network, without))
    assert {name.rsplit(".", 1)[0] for name in extra ^ missing} == {
        "large.blocks.0.dead_layer",
        "small.blocks.0.dead_layer",
    }
    without.load_state_dict(network.state_dict(), strict=False)
    image = torch.rand(2, 3, 64, 64)
    assert torch.equal(network(image), without(image))


def test_the_linear_layer_starts_xavier_normal(network):
    std = math.sqrt(2 / (1024 + 3))
    assert network.head.weight.std().item() == pytest.approx(std, rel=0.1)


@pytest.mark.parametrize("size", [64, 96])
def test_training_on_small_images_needs_two_of_them(size):
    network = make(size).train()
    network(torch.rand(2, 3, size, size))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        network(torch.rand(1, 3, size, size))


def test_wrong_sizes_and_outputs_are_refused():
    with pytest.raises(ValueError, match=r"msl_srn: an image of 63×63 .* be at least 64 pixels"):
        msl_srn.build(image_size=63, n_seg=None, n_cls=3)
    with pytest.raises(ValueError, match="msl_srn: n_cls is None"):
        msl_srn.build(image_size=64, n_seg=3, n_cls=None)
