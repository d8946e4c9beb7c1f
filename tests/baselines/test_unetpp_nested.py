"""UNet++ in its original nested form: wiring, deep supervision, initial weights, options."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines import unetpp
from workflow.networks.anchors import flops

WIDTHS = (32, 64, 128, 256, 512)


def make(*, image_size=32, n_seg=2, form="nested", **options):
    return unetpp.build(image_size=image_size, n_seg=n_seg, n_cls=None, form=form, **options)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return make(deep_supervision=True)


def node_by_definition(network, image, row, column):
    """X^{i,j} by the paper's recursion, without any store of earlier nodes."""
    if column == 0:
        inputs = image
        if row > 0:
            inputs = F.max_pool2d(node_by_definition(network, image, row - 1, 0), 2)
    else:
        same = [node_by_definition(network, image, row, j) for j in range(column)]
        below = node_by_definition(network, image, row + 1, column - 1)
        up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)(below)
        inputs = torch.cat([*same, up], dim=1)
    return network.nodes[f"x{row}{column}"](inputs)


@torch.no_grad()
@pytest.mark.parametrize("column", [1, 2, 3, 4])
def test_every_head_reads_its_node_of_the_recursion(network, column):
    image = torch.rand(2, 3, 32, 32)
    prediction = network.train()(image)
    found = (*prediction.auxiliary["side"], prediction.segmentation)[column - 1]
    expected = network.heads[f"x0{column}"](node_by_definition(network, image, 0, column))
    torch.testing.assert_close(found, expected)


def test_nodes_take_their_row_and_the_node_below():
    with torch.device("meta"):
        nodes = make().nodes
    assert len(nodes) == 15
    for row, width in enumerate(WIDTHS):
        for column in range(1, 5 - row):
            first = nodes[f"x{row}{column}"][0]
            assert first.in_channels == column * width + WIDTHS[row + 1]
            assert first.out_channels == width
            assert first.bias is not None


@torch.no_grad()
def test_deep_supervision_only_adds_heads_and_only_trains(network):
    image = torch.rand(2, 3, 32, 32)
    plain = make()
    missing = plain.load_state_dict(network.state_dict(), strict=False)
    assert not missing.missing_keys
    assert sorted(missing.unexpected_keys) == [
        f"heads.x0{column}.{part}" for column in (1, 2, 3) for part in ("bias", "weight")
    ]
    supervised, alone = network.train()(image), plain.train()(image)
    assert torch.equal(supervised.segmentation, alone.segmentation)
    assert [x.shape for x in supervised.auxiliary["side"]] == [(2, 3, 32, 32)] * 3
    assert alone.auxiliary is None
    assert network.eval()(image).auxiliary is None


@pytest.mark.parametrize(
    ("n_seg", "image_size", "expected"),
    [
        (3, 224, 52_854_194_176),
        (3, 512, 276_136_198_144),
        (1, 224, 52_828_504_064),
        (1, 512, 276_001_980_416),
    ],
)
def test_flops_of_all_four_heads(n_seg, image_size, expected):
    with torch.device("meta"):
        network = make(n_seg=n_seg, image_size=image_size, deep_supervision=True).train()
    assert flops(network, image_size) == expected


def test_weights_are_kaiming_normal_over_the_fan_in(network):
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 2 * 15 + 4
    for conv in convolutions:
        fan_in = conv.in_channels * conv.kernel_size[0] ** 2
        assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.25)
        assert not conv.bias.any()


def test_the_nested_form_has_no_encoder_to_choose():
    with torch.device("meta"):
        one, other = make(encoder="resnet34"), make(encoder="vgg16_bn")
    assert one.state_dict().keys() == other.state_dict().keys()


def test_options_that_do_not_work_are_refused():
    with pytest.raises(ValueError, match="unetpp: form is 'keras'; choose one of smp, nested"):
        make(form="keras")
    with pytest.raises(ValueError, match="deep_supervision works with form nested only"):
        make(form="smp", deep_supervision=True)
    with pytest.raises(ValueError, match="unetpp: an image of 48×48 pixels does not work"):
        make(image_size=48)
    with torch.device("meta"):
        network = make()
        with pytest.raises(ValueError, match="unetpp: an image of 32×48 pixels does not work"):
            network(torch.empty(1, 3, 32, 48))
