"""MsTGANet's two non-local steps and its gated skips against plain re-computations."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines import mstganet
from baselines.mstganet import MsGCS, MsTGANetDecoderLevel, MsTNL, NonLocalStep

GAMMA = 0.7


def make(image_size=64, n_seg=2, n_cls=None, **options):
    return mstganet.build(image_size=image_size, n_seg=n_seg, n_cls=n_cls, **options)


def opened(module):
    """The module in double precision and evaluation mode, its gates at GAMMA."""
    for name, parameter in module.named_parameters():
        if name.endswith("gamma"):
            nn.init.constant_(parameter, GAMMA)
    return module.double().eval()


def draw(*shape):
    return torch.randn(*shape, dtype=torch.double)


def plain_step(step, query_map, memory, x):
    """One step pair by pair: every key's logit, the softmax written out, the weighted values."""
    result = x.clone()
    side = x.shape[3]
    for item in range(len(x)):
        query, key, value = (
            conv(source[item : item + 1])[0]
            for conv, source in (
                (step.query, query_map),
                (step.key, memory),
                (step.value, memory),
            )
        )
        places = [(row, column) for row in range(side) for column in range(side)]
        for i, j in places:
            logits = []
            for row, column in places:
                position = step.rel_h[0, :, row, 0] + step.rel_w[0, :, 0, column]
                logits.append(query[:, i, j] @ key[:, row, column] + query[:, i, j] @ position)
            weights = torch.stack(logits).exp()
            weights = weights / weights.sum()
            found = sum(w * value[:, r, c] for w, (r, c) in zip(weights, places, strict=True))
            result[item, :, i, j] += step.gamma * found
    return result


@torch.no_grad()
def test_a_step_equals_softmax_of_unscaled_logits_written_out():
    torch.manual_seed(0)
    step = opened(NonLocalStep(8, 3))
    query_map, memory, x = draw(2, 8, 3, 3), draw(2, 8, 3, 3), draw(2, 8, 3, 3)
    exact = plain_step(step, query_map, memory, x)
    torch.testing.assert_close(step(query_map, memory, x), exact, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_the_two_steps_ask_from_all_scales_and_then_look_at_the_first_answer():
    torch.manual_seed(1)
    module = opened(MsTNL((2, 3), 8, 2))
    skips, x = [draw(2, 2, 16, 16), draw(2, 3, 4, 4)], draw(2, 8, 2, 2)
    # Bilinear without corners aligned and by an even factor: the mean of a cell's four central
    # pixels, whatever else the cell holds.
    centres = [
        skip.unflatten(2, (2, f))
        .unflatten(4, (2, f))[..., f // 2 - 1 : f // 2 + 1, :, :][..., f // 2 - 1 : f // 2 + 1]
        .mean((3, 5))
        for skip, f in zip(skips, (8, 2), strict=True)
    ]
    query_map = sum(
        F.relu(embed[1](F.conv2d(centre, embed[0].weight, padding=1)))
        for embed, centre in zip(module.embeds, centres, strict=True)
    )
    y = plain_step(module.encoder_step, query_map, x, x)
    z = plain_step(module.decoder_step, x, y, x)
    torch.testing.assert_close(module(skips, x), z, rtol=1e-9, atol=1e-9)


def test_a_new_bottleneck_passes_its_input_and_only_the_last_gate_learns():
    torch.manual_seed(2)
    module = MsTNL((2, 3), 8, 2).train()
    skips, x = [torch.randn(2, 2, 8, 8), torch.randn(2, 3, 4, 4)], torch.randn(2, 8, 2, 2)
    z = module(skips, x)
    assert torch.equal(z, x)
    (z * torch.randn_like(z)).sum().backward()
    learning = {
        name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()
    }
    # y reaches the output through the second gate alone, so the first one waits a step for it.
    assert learning == {"decoder_step.gamma"}


@torch.no_grad()
def test_the_gate_of_a_skip_by_hand():
    module = MsGCS(4, 2).eval()
    final = module.mix[3]
    nn.init.zeros_(final.weight)
    nn.init.constant_(final.bias, 2.0)
    module.rel_h.copy_(torch.tensor([0.0, 1.0])[None, None, :, None])
    module.rel_w.copy_(torch.tensor([0.5, -0.5])[None, None, None, :])
    skip = torch.arange(1.0, 17.0).reshape(1, 4, 2, 2)
    # m is 2 everywhere: sigmoid of twice 0.5, -0.5, 1.5, 0.5, the same in all channels
    expected = torch.tensor([[0.731059, 0.268941], [0.952574, 0.731059]]) * skip
    torch.testing.assert_close(module(torch.randn_like(skip), skip), expected, rtol=1e-4, atol=0)
    nn.init.constant_(final.bias, -2.0)  # ReLU closes m: half of the skip is left
    torch.testing.assert_close(module(skip, skip), skip / 2)


@torch.no_grad()
def test_the_gate_of_a_skip_equals_its_formula():
    torch.manual_seed(3)
    module = MsGCS(6, 5).double().eval()
    for bn in (module.mix[1], module.mix[4], module.bn):
        bn.running_mean.normal_()
        bn.running_var.uniform_(0.5, 2)
    decoder, skip = draw(2, 6, 5, 5), draw(2, 6, 5, 5)
    hidden = torch.einsum(
        "oc,bchw->bohw", module.mix[0].weight[:, :, 0, 0], torch.cat([decoder, skip], 1)
    )
    hidden = F.relu(module.mix[1](hidden + module.mix[0].bias[:, None, None]))
    m = torch.einsum("oc,bchw->bohw", module.mix[3].weight[:, :, 0, 0], hidden)
    m = F.relu(module.mix[4](m + module.mix[3].bias[:, None, None]))
    gate = torch.sigmoid(module.bn((module.rel_h + module.rel_w) * m))
    torch.testing.assert_close(module(decoder, skip), gate * skip)
    assert gate.shape == (2, 1, 5, 5)


@torch.no_grad()
def test_a_decoder_level_repeats_pixels_and_puts_the_gated_skip_first():
    torch.manual_seed(4)
    level = MsTGANetDecoderLevel(3, 4).eval()
    level.block = nn.Identity()
    x, skip = torch.randn(1, 6, 2, 2), torch.randn(1, 3, 4, 4)
    d = level.up_conv(x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    expected = torch.cat([level.gate(d, skip), d], dim=1)
    torch.testing.assert_close(level(x, skip), expected)


@torch.no_grad()
def test_initial_positions_are_normal_and_gates_closed():
    torch.manual_seed(5)
    parameters = dict(make(128).named_parameters())
    gates = [p for name, p in parameters.items() if name.endswith("gamma")]
    for end in ("step.rel_h", "step.rel_w", "gate.rel_h", "gate.rel_w"):
        parts = [p.flatten() for name, p in parameters.items() if name.endswith(end)]
        positions = torch.cat(parts)
        # two steps of 64 channels on an 8×8 map; gates at 16, 32, 64 and 128 pixels
        assert len(positions) == (2 * 64 * 8 if end.startswith("step") else 240)
        assert positions.std() == pytest.approx(1, abs=0.15)
        assert positions.mean() == pytest.approx(0, abs=0.2)
    assert len(gates) == 2
    assert not any(gate.any() for gate in gates)


@pytest.mark.parametrize("size", [32, 96, 224, 512])
def test_positions_follow_the_image_size(size):
    with torch.device("meta"):
        network = make(size).network
    steps = (network.mstnl.encoder_step, network.mstnl.decoder_step)
    assert {step.rel_h.shape for step in steps} == {(1, 64, size // 16, 1)}
    assert {step.rel_w.shape for step in steps} == {(1, 64, 1, size // 16)}
    sides = [(level.gate.rel_h.shape[2], level.gate.rel_w.shape[3]) for level in network.decoder]
    assert sides == [(size // s, size // s) for s in (8, 4, 2, 1)]


def test_wrong_sizes_outputs_and_options_are_refused():
    with pytest.raises(ValueError, match=r"mstganet: .*72×72 .*multiples of 16, at least 32"):
        make(72)
    with pytest.raises(ValueError, match=r"mstganet: .*16×16 .*multiples of 16, at least 32"):
        make(16)
    with pytest.raises(ValueError, match=r"mstganet: n_seg is None; .* needs 1 or more"):
        make(n_seg=None)
    with pytest.raises(TypeError, match="feature_scale"):
        make(feature_scale=1)
    with torch.device("meta"):
        network = make(96)
        with pytest.raises(ValueError, match=r"224×224 .* built for 96×96"):
            network(torch.empty(1, 3, 224, 224))
