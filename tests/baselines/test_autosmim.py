"""autoSMIM's two networks: what they share, how they start, and what the second takes over."""

import math

import pytest
import torch
from torch import nn

from baselines import autosmim
from workflow.networks.anchors import flops, load_anchors, parameters


def segmenter(**options):
    return autosmim.build(**{"image_size": 64, "n_seg": 1, "n_cls": None} | options)


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return segmenter(), autosmim.build_inpainting(image_size=64)


@pytest.mark.parametrize("image_size", [224, 512])
def test_the_inpainting_network_counts_what_three_output_channels_count(image_size):
    cases = load_anchors("autosmim").cases
    (case,) = (c for c in cases if (c.image_size, c.n_seg) == (image_size, 2))
    with torch.device("meta"):
        network = autosmim.build_inpainting(image_size=image_size).eval()
    assert parameters(network) == case.parameters
    assert flops(network, image_size) == case.flops


def test_all_but_the_head_is_carried_over_and_fits(networks):
    segment, inpaint = networks
    carried, wanted = inpaint.carried_over(), segment.state_dict()
    head = {name for name in wanted if "segmentation_head" in name}
    assert set(carried) == set(wanted) - head
    assert {name: value.shape for name, value in carried.items()} == {
        name: value.shape for name, value in wanted.items() if name not in head
    }
    assert sum(wanted[name].numel() for name in head) == 16 * 2 + 2
    assert not set(inpaint.carried_over()) & head


def bound(values):
    return values.abs().max().item()


def test_the_decoder_is_kaiming_uniform_and_the_head_xavier_uniform(networks):
    decoder = [m for m in networks[0].network.decoder.modules() if isinstance(m, nn.Conv2d)]
    assert len(decoder) == 10
    for convolution in decoder:
        limit = math.sqrt(6 / (convolution.in_channels * 9))
        assert 0.98 * limit < bound(convolution.weight) <= limit
        assert convolution.bias is None
    for network, outputs in zip(networks, (2, 3), strict=True):
        head = network.network.segmentation_head[0]
        assert head.weight.shape == (outputs, 16, 1, 1)
        limit = math.sqrt(6 / (16 + outputs))
        assert 0.7 * limit < bound(head.weight) <= limit
        assert not head.bias.any()


def test_skips_and_widths_are_those_on_record(networks):
    network = networks[0].network
    assert network.encoder.out_channels == [3, 24, 48, 64, 160, 256]
    first = [block.conv1[0] for block in network.decoder.blocks]
    assert [c.in_channels for c in first] == [256 + 160, 256 + 64, 128 + 48, 64 + 24, 32]
    assert [c.out_channels for c in first] == [256, 128, 64, 32, 16]
    assert isinstance(network.decoder.center, nn.Identity)


@torch.no_grad()
def test_painting_and_encoding_have_their_shapes(networks):
    inpaint = networks[1].eval()
    assert inpaint(torch.rand(2, 3, 64, 96)).shape == (2, 3, 64, 96)
    assert inpaint.encode(torch.rand(2, 3, 64, 96)).shape == (2, 256, 2, 3)
    # A quarter of a 96-pixel image is no multiple of 32: the encoder takes it all the same.
    assert inpaint.encode(torch.rand(2, 3, 48, 48)).shape == (2, 256, 2, 2)


def test_wrong_sizes_are_refused_by_both():
    message = "autosmim: an image of {0}×{0} pixels does not work.*multiples of 32, at least 32"
    for build in (segmenter, autosmim.build_inpainting):
        for size in (16, 80):
            with pytest.raises(ValueError, match=message.format(size)):
                build(image_size=size)
    with pytest.raises(ValueError, match="48×64 pixels does not work"):
        autosmim.build_inpainting(image_size=64)(torch.rand(1, 3, 48, 64))
    with pytest.raises(ValueError, match="autosmim: n_seg is None; this method needs 1 or more"):
        segmenter(n_seg=None)
