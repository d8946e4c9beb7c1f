"""Swin-Unet's wiring, initial weights, stochastic depth and options."""

import pytest
import torch
from torch import nn

from baselines import swinunet
from resformer.attention import WindowAttention
from resformer.blocks import StochasticDepth


def make(image_size=64, n_seg=3, **options):
    return swinunet.build(image_size=image_size, n_seg=n_seg, n_cls=None, **options)


def skeleton(image_size=64, **options):
    """The network without weights."""
    with torch.device("meta"):
        return make(image_size, **options).network


@pytest.fixture(scope="module")
def network():
    """One new network, for the tests that only read it."""
    torch.manual_seed(0)
    return make().network.eval()


def windows(part):
    return [m.window for m in part.modules() if isinstance(m, WindowAttention)]


def rates(part):
    return [m.rate for m in part.modules() if isinstance(m, StochasticDepth)]


def test_initial_weights(network):
    linears = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert len(linears) == 4 * 14 + 3 + 3 + 3 + 1  # blocks, merging, expanding, fusing, last
    for linear in linears:
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert linear.bias is None or not linear.bias.any()
    for norm in (m for m in network.modules() if isinstance(m, nn.LayerNorm)):
        assert norm.eps == 1e-5
        assert (norm.weight == 1).all()
        assert not norm.bias.any()
    tables = torch.cat(
        [m.bias_table.flatten() for m in network.modules() if isinstance(m, WindowAttention)]
    )
    assert tables.std().item() == pytest.approx(0.02, rel=0.1)
    # torch's default for a convolution: uniform, standard deviation sqrt(1 / (3 fan_in)).
    assert network.patch_embed.conv.weight.std().item() == pytest.approx(0.083, rel=0.03)
    assert network.head.weight.std().item() == pytest.approx(0.059, rel=0.1)
    assert network.head.bias is None


def test_stochastic_depth_of_the_decoder_is_that_of_the_encoder(network):
    found = [rates(stage)[i] for stage in (*network.encoder, network.bottleneck) for i in (0, 1)]
    expected = [0, 0.0286, 0.0571, 0.0857, 0.1143, 0.1429, 0.1714, 0.2]
    assert found == pytest.approx(expected, abs=5e-5)
    for decoder, encoder in zip(network.decoder, reversed(network.encoder), strict=True):
        assert rates(decoder) == rates(encoder)


@torch.no_grad()
def test_skips_are_the_inputs_of_the_encoder_stages(network):
    parts = {
        f"{name}{index}": part
        for name in ("encoder", "merges", "expands", "fuses", "decoder")
        for index, part in enumerate(getattr(network, name))
    }
    parts["embed"] = network.patch_embed
    seen, hooks = {}, []
    for name, part in parts.items():

        def keep(_, inputs, result, name=name):
            seen[name] = (inputs[0], result)

        hooks.append(part.register_forward_hook(keep))
    network(torch.rand(2, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    assert torch.equal(seen["encoder0"][0], seen["embed"][1])
    assert torch.equal(seen["encoder1"][0], seen["merges0"][1])
    shapes = [(4, 384), (8, 192), (16, 96)]
    for up, (grid, channels) in enumerate(shapes):
        fused = seen[f"fuses{up}"][0]
        assert fused.shape == (2, grid, grid, 2 * channels)
        assert torch.equal(fused[..., :channels], seen[f"expands{up}"][1])
        assert torch.equal(fused[..., channels:], seen[f"encoder{2 - up}"][0])
        assert torch.equal(seen[f"decoder{up}"][0], seen[f"fuses{up}"][1])
        assert not torch.equal(fused[..., channels:], seen[f"encoder{2 - up}"][1])


@torch.no_grad()
def test_each_token_becomes_four_by_four_pixels(network):
    tokens = torch.randn(1, 16, 16, 96)
    changed = tokens.clone()
    changed[0, 5, 9] = torch.randn(96)
    differs = (network.final_expand(tokens) != network.final_expand(changed)).any(-1)[0]
    assert differs[20:24, 36:40].all()
    assert differs.sum() == 16


@pytest.mark.parametrize(("size", "window"), [(64, 2), (224, 7), (512, 16)])
def test_windows_are_a_thirty_second_of_the_image_and_the_last_map_is_one(size, window):
    network = skeleton(size)
    assert windows(network) == [window] * 14
    assert size // 32 == window  # tokens of the bottleneck's map: no shift there


def test_window_size_is_an_option_and_cut_to_the_map():
    assert windows(skeleton(512, window_size=8)) == [8] * 14
    small = skeleton(64, window_size=7)
    assert [windows(stage)[0] for stage in small.encoder] == [7, 7, 4]
    assert windows(small.bottleneck) == [2, 2]
    assert [windows(stage)[0] for stage in small.decoder] == [4, 7, 7]


def test_a_fixed_window_gives_the_same_parameters_at_every_large_size():
    def shapes(size):
        return {name: p.shape for name, p in skeleton(size, window_size=7).named_parameters()}

    assert shapes(224) == shapes(512)


def test_depths_are_those_asked_for_in_encoder_and_decoder():
    network = skeleton(64, depths=[1, 2, 6, 3])
    assert [len(stage) for stage in network.encoder] == [1, 2, 6]
    assert len(network.bottleneck) == 3
    assert [len(stage) for stage in network.decoder] == [6, 2, 1]
    assert rates(network.bottleneck)[-1] == pytest.approx(0.2)


@pytest.mark.parametrize("depths", [(2, 2, 2), (2, 2, 0, 2), ()])
def test_wrong_depths_are_refused(depths):
    with pytest.raises(
        ValueError, match=r"swinunet: depths is \(.*must be 4 numbers of at least 1"
    ):
        make(depths=depths)


def test_an_empty_window_is_refused():
    with pytest.raises(ValueError, match="swinunet: window_size is 0; it must be 1 or more"):
        make(window_size=0)
