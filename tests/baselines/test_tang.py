"""What is special to Tang et al.'s network: class token, resizable positions, initial weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines import tang
from tests.baselines.methods import as_torch_draws


def make(*, image_size=64, n_seg=2, n_cls=3, preset="small"):
    return tang.build(image_size=image_size, n_seg=n_seg, n_cls=n_cls, preset=preset)


@pytest.fixture(scope="module")
def network():
    """For the tests that only read it, in evaluation mode."""
    torch.manual_seed(1)
    return make().eval()


@pytest.fixture(scope="module")
def meta():
    """The default network where it costs nothing."""
    with torch.device("meta"):
        return make(image_size=512, preset="base")


def shapes(maps):
    return [tuple(x.shape[1:]) for x in maps]


def test_cnn_is_resnet50_without_its_last_stage(meta):
    assert not hasattr(meta.cnn, "layer4")
    assert [len(getattr(meta.cnn, f"layer{i}")) for i in (1, 2, 3)] == [3, 4, 6]
    maps = meta.cnn(torch.empty(1, 3, 512, 512, device="meta"))
    expected = [(64, 256, 256), (256, 128, 128), (512, 64, 64), (1024, 32, 32)]
    assert shapes(maps) == expected
    # Stride on the 3×3 convolution, as in torchvision's ResNet.
    strides = [meta.cnn.layer2[0].conv1.stride, meta.cnn.layer2[0].conv2.stride]
    assert strides == [(1, 1), (2, 2)]


@torch.no_grad()
def test_first_skip_is_the_stem_before_its_pooling(network):
    image = torch.rand(1, 3, 64, 64)
    half = network.cnn(image)[0]
    assert torch.equal(half, F.relu(network.cnn.bn1(network.cnn.conv1(image))))


def parts(network, image):
    """Tokens that enter and leave the transformer, what the decoder gets, and the prediction."""
    seen = {}

    def keep_tokens(module, args, output):
        seen["into"], seen["out_of"] = args[0], output

    def keep_maps(module, args):
        seen["map"], seen["skips"] = args

    hooks = [
        network.transformer.register_forward_hook(keep_tokens),
        network.decoder.register_forward_pre_hook(keep_maps),
    ]
    prediction = network(image)
    for hook in hooks:
        hook.remove()
    return seen, prediction


@torch.no_grad()
def test_tokens_are_class_token_and_patches_row_by_row(network):
    image = torch.rand(2, 3, 96, 64)
    seen, prediction = parts(network, image)
    patches = network.projection(network.cnn(image)[-1]) + network.positions(6, 4)
    assert seen["into"].shape == (2, 1 + 6 * 4, 384)
    class_token = network.class_token + network.class_position
    assert torch.equal(seen["into"][:, :1], class_token.expand(2, 1, -1))
    for row, column in ((0, 0), (0, 3), (2, 1), (5, 3)):
        token = seen["into"][:, 1 + 4 * row + column]
        assert torch.equal(token, patches[:, :, row, column])
        after = seen["out_of"][:, 1 + 4 * row + column]
        assert torch.equal(after, seen["map"][:, :, row, column])
    assert shapes(seen["skips"]) == [(512, 12, 8), (256, 24, 16), (64, 48, 32)]
    labels = network.classification_head(seen["out_of"][:, 0])
    assert torch.equal(prediction.classification, labels)


@torch.no_grad()
def test_both_tasks_see_the_class_token_and_it_sees_all_patches(network):
    tokens = torch.randn(1, 1 + 16, 384)
    # Not a constant shift of the channels: the LayerNorms would take it out again.
    step = torch.linspace(-1, 1, 384)
    before = network.transformer(tokens)
    moved_class, moved_patch = tokens.clone(), tokens.clone()
    moved_class[:, 0] += step
    moved_patch[:, 16] += step
    after_class, after_patch = network.transformer(moved_class), network.transformer(moved_patch)
    assert (after_class[:, 1:] - before[:, 1:]).abs().amax(2).min() > 1e-5
    assert (after_patch[:, 0] - before[:, 0]).abs().max() > 1e-5


def test_positions_are_the_learned_map_at_the_size_built_for(network):
    assert network.positions(4, 4) is network.position


@pytest.mark.parametrize("grid", [(6, 6), (4, 2), (8, 4), (3, 5), (14, 32)])
@torch.no_grad()
def test_other_sizes_get_the_positions_resized_bicubically(network, grid):
    expected = F.interpolate(network.position, grid, mode="bicubic", align_corners=False)
    torch.testing.assert_close(network.positions(*grid), expected, rtol=1e-5, atol=1e-7)


def test_resized_positions_learn_the_same_every_time():
    gradients = []
    for _ in range(2):
        torch.manual_seed(3)
        network = make()
        network.positions(7, 5).square().sum().backward()
        gradients.append(network.position.grad)
    assert gradients[0].abs().min() > 0
    assert torch.equal(*gradients)


@torch.no_grad()
def test_a_network_built_for_512_takes_224():
    torch.manual_seed(2)
    network = make(image_size=512).eval()
    image = torch.rand(1, 3, 224, 224)
    first, second = network(image), network(image)
    assert first.segmentation.shape == (1, 3, 224, 224)
    assert torch.equal(first.segmentation, second.segmentation)
    assert torch.equal(first.classification, second.classification)


def test_dropout_is_on_tokens_projections_and_mlps_but_not_on_attention(meta):
    rates = [m.p for m in meta.modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.1] * (1 + 12 * 3)
    assert meta.transformer.dropout.p == meta.transformer.blocks[0].attention.dropout.p == 0.1


def test_normalisations_and_interpolation_are_the_documented_ones(meta):
    assert {m.eps for m in meta.modules() if isinstance(m, nn.LayerNorm)} == {1e-6}
    assert [step.align_corners for step in meta.decoder.steps] == [False] * 4


def test_initial_weights(network):
    # Standard deviations of 0.02, and of ResNet's rule: sqrt(2 / (channels out × kernel area)).
    stds = {
        network.position: 0.02,
        network.class_token: 0.02,
        network.class_position: 0.02,
        network.transformer.blocks[0].attention.qkv.weight: 0.02,
        network.transformer.blocks[5].mlp[0].weight: 0.02,
        network.cnn.layer2[1].conv2.weight: (2 / (128 * 9)) ** 0.5,
        network.projection.weight: (2 / 384) ** 0.5,
        network.decoder.conv_more[0].weight: (2 / (512 * 9)) ** 0.5,
    }
    for weight, std in stds.items():
        # Four standard errors of an estimate from this many numbers.
        assert weight.std().item() == pytest.approx(std, rel=4 / (2 * weight.numel()) ** 0.5)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d | nn.LayerNorm)]
    assert len(norms) > 50
    # timm starts the last BN of each bottleneck at 0; here all start at 1.
    assert all((m.weight == 1).all() and not m.bias.any() for m in norms)
    heads = as_torch_draws(network.segmentation_head, network.classification_head)
    of_heads = {id(head.bias) for head in heads}
    biases = [
        p
        for name, p in network.named_parameters()
        if name.endswith("bias") and id(p) not in of_heads
    ]
    assert not any(p.any() for p in biases)


def test_presets(meta):
    with torch.device("meta"):
        small = make(image_size=512)
    for network, channels, layers, heads, hidden in (
        (meta, 768, 12, 12, 3072),
        (small, 384, 6, 6, 1536),
    ):
        blocks = network.transformer.blocks
        assert (len(blocks), blocks[0].attention.heads) == (layers, heads)
        assert blocks[0].mlp[0].weight.shape == (hidden, channels)
    with pytest.raises(ValueError, match="tang: preset is 'large'; choose one of base, small"):
        make(preset="large")


def test_both_tasks_are_required():
    for missing in ("n_seg", "n_cls"):
        with pytest.raises(ValueError, match=f"tang: {missing} is None; .* needs 1 or more"):
            make(**{missing: None})


def test_wrong_sizes_are_refused(network):
    message = "tang: an image of 40×64 pixels does not work; .* multiples of 16, at least 32"
    with pytest.raises(ValueError, match=message):
        network(torch.rand(1, 3, 40, 64))
    with pytest.raises(ValueError, match="tang: an image of 16×16 pixels does not work"):
        make(image_size=16)
