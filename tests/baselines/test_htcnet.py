"""HTC-Net's special blocks, worked by hand or re-computed, its parts' settings and its options."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines import htcnet
from baselines.htcnet import CNNDecoder, EfficientNetFront, TridentFusion, UnitedAttention
from resformer.attention import WindowAttention
from resformer.blocks import StochasticDepth


def make(image_size=64, n_seg=2, n_cls=None, **options):
    return htcnet.build(image_size=image_size, n_seg=n_seg, n_cls=n_cls, **options)


@pytest.fixture(scope="module")
def network():
    """One new network, for the tests that only read it."""
    torch.manual_seed(0)
    return make().eval()


@pytest.fixture
def skeleton():
    """The same without weights."""
    with torch.device("meta"):
        return make()


@pytest.fixture
def tmf():
    """A small TMF in double precision and evaluation mode."""
    torch.manual_seed(1)
    return TridentFusion(32).double().eval()


def test_a_new_tmf_passes_its_input_and_only_the_gate_learns(tmf):
    x = torch.randn(2, 32, 4, 4, dtype=torch.double)
    y = tmf(x)
    torch.testing.assert_close(y, tmf.out(F.relu(x)), rtol=0, atol=0)
    (y * torch.randn_like(y)).sum().backward()
    learning = {name for name, p in tmf.named_parameters() if p.grad is not None and p.grad.any()}
    assert learning == {"gate", "out.0.weight", "out.1.weight", "out.1.bias"}


@torch.no_grad()
def test_an_open_tmf_equals_its_formula(tmf):
    nn.init.constant_(tmf.gate, 0.3)
    x = torch.randn(2, 32, 8, 8, dtype=torch.double)
    branches = []
    for conv, dilation in zip(tmf.dilated, (1, 3, 5), strict=True):
        assert conv.weight.shape == (32, 32, 3, 3)
        b = torch.zeros_like(x) + conv.bias[:, None, None]
        padded = F.pad(x, (dilation,) * 4)
        for row in range(3):
            for column in range(3):
                shifted = padded[:, :, row * dilation :, column * dilation :][:, :, :8, :8]
                b += torch.einsum("oc,bchw->bohw", conv.weight[:, :, row, column], shifted)
        weight = F.relu(b.mean((2, 3)) @ tmf.squeeze_excite[0].weight.T)
        weight = 1 / (1 + torch.exp(-(weight @ tmf.squeeze_excite[2].weight.T)))
        branches.append(tmf.branch_conv(b * weight[:, :, None, None]))
    exponents = tmf.choice_conv(F.relu(tmf.sum_conv(sum(branches)))).exp()
    choice = exponents / exponents.sum(1, keepdim=True)
    fused = sum(choice[:, i : i + 1] * b for i, b in enumerate(branches))
    torch.testing.assert_close(tmf(x), tmf.out(F.relu(0.3 * fused + 0.7 * x)))


def set_centre(conv, rows):
    """Make a convolution look at its centre alone: `rows[o][i]` weighs input i in output o."""
    nn.init.zeros_(conv.weight)
    centre = conv.kernel_size[0] // 2
    conv.weight[:, :, centre, centre] = torch.tensor(rows)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


@pytest.fixture
@torch.no_grad()
def united():
    """UA(2 -> 2) with weights that can be followed on paper."""
    ua = UnitedAttention(2, 2).eval()
    identity = [[1.0, 0.0], [0.0, 1.0]]
    set_centre(ua.channel_convs[0], identity)
    set_centre(ua.channel_convs[3], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0]])
    set_centre(ua.channel_shortcut[0], [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    set_centre(ua.channel_out[0], [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    ua.channel_mlp[0].weight.copy_(torch.tensor([[1.0, 1.0, 0.0, 1.0]]))
    ua.channel_mlp[2].weight.copy_(torch.tensor([[0.0], [1.0], [-1.0], [0.0]]))
    nn.init.zeros_(ua.channel_mlp[0].bias)
    nn.init.zeros_(ua.channel_mlp[2].bias)
    set_centre(ua.spatial_conv, [[2.0, -1.0]])
    set_centre(ua.spatial_out[0], identity)
    return ua


@torch.no_grad()
def test_the_united_attention_by_hand(united):
    x = torch.tensor([[1.0, 3.0], [2.0, -1.0]])[None, :, None, :]
    # Channels: ReLU(x) = (1, 3), (2, 0) -> O = (1, 3), (2, 0), (3, 3), (-1, -3), whose means
    # 2, 1, 3, -2 give the hidden unit 1 and whose maxima 3, 2, 3, -1 give it 4. The weights add up
    # to 1, s(1) + s(4) = 1.713073, s(-1) + s(-4) = 0.286927 and 1; the shortcut adds (2, 6) to the
    # last: u = (1, 3), (3.426146, 0), (0.860781, 0.860781), (1, 3), added two by two.
    channel = torch.tensor([[4.426146, 3.0], [1.860781, 3.860781]])[None, :, None, :]
    torch.testing.assert_close(united.channel_path(x), channel, rtol=1e-4, atol=0)
    # Positions: 2 mean - max = 2 × 1.5 - 2 = 1 and 2 × 1 - 3 = -1, so weights s(1) and s(-1).
    spatial = torch.tensor([[0.731059, 3 * 0.268941], [2 * 0.731059, 0.0]])[None, :, None, :]
    torch.testing.assert_close(united.spatial_path(x), spatial, rtol=1e-4, atol=0)
    torch.testing.assert_close(united(x), channel + spatial, rtol=1e-4, atol=0)


@torch.no_grad()
def test_both_paths_look_at_neighbours(united):
    for conv in (united.channel_convs[0], united.spatial_conv, united.spatial_out[0]):
        nn.init.ones_(conv.weight)
    x = torch.zeros(1, 2, 16, 16)
    x[0, :, 8, 8] = 1
    assert set(rows_touched(united.channel_path(x))) == {7, 8, 9}
    # Elsewhere the input is zero, so only the convolution after the weights spreads it.
    assert set(rows_touched(united.spatial_path(x))) == {7, 8, 9}
    statistics = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
    assert set(rows_touched(united.spatial_conv(statistics))) == set(range(5, 12))


def rows_touched(x):
    return x.any(dim=(0, 1, 3)).nonzero().flatten().tolist()


@torch.no_grad()
def test_the_front_shows_the_stem_and_pads_like_tensorflow():
    torch.manual_seed(2)
    front = EfficientNetFront().eval()
    image = torch.randn(2, 3, 64, 96)
    half, quarter, eighth = front(image)
    assert (half.shape, quarter.shape, eighth.shape) == (
        (2, 40, 32, 48),
        (2, 32, 16, 24),
        (2, 48, 8, 12),
    )
    # Nothing before the first pixel and one zero after the last.
    conv = F.conv2d(F.pad(image, (0, 1, 0, 1)), front.stem[0].weight, stride=2)
    torch.testing.assert_close(half, F.silu(conv / math.sqrt(1 + 1e-3)))


def test_the_front_is_regularised_as_part_of_a_whole_b3(skeleton):
    front = skeleton.network.cnn_encoder
    rates = {
        name: module.drop_prob
        for name, module in front.named_modules()
        if type(module).__name__ == "DropPath"
    }
    # Blocks 0 to 7 of 26, in stages of 2, 3 and 3.
    expected = {"0.1": 1, "1.0": 2, "1.1": 3, "1.2": 4, "2.0": 5, "2.1": 6, "2.2": 7}
    assert rates == {
        f"stages.{place}.drop_path": pytest.approx(0.2 * block / 26)
        for place, block in expected.items()
    }
    norms = [module for module in front.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_stochastic_depth_grows_and_the_decoder_takes_its_encoder_stage_s(skeleton):
    def rates(stages):
        return [[m.rate for m in stage.modules() if is_depth(m)] for stage in stages]

    def is_depth(module):
        return isinstance(module, StochasticDepth)

    assert rates(skeleton.network.swin_encoder.stages) == [[0, 0.04], [0.08, 0.12], [0.16, 0.2]]
    assert rates(skeleton.network.swin_decoder.stages) == [[0.08, 0.12], [0, 0.04]]


@torch.no_grad()
def test_two_convolutions_of_the_decoder_run_twice():
    with torch.device("meta"):
        decoder = CNNDecoder(3)
        calls = []
        for name, module in decoder.named_children():
            module.register_forward_hook(lambda *_, name=name: calls.append(name))
        x, quarter, half = (torch.empty(2, c, s, s) for c, s in ((192, 8), (32, 16), (40, 32)))
        assert decoder(x, quarter, half).shape == (2, 3, 64, 64)
    assert calls == [
        "conv_more",
        "unite_quarter",
        *["conv_quarter"] * 2,
        "unite_half",
        *["conv_half"] * 2,
        "conv_full",
        "head",
    ]


@pytest.mark.parametrize(
    ("image_size", "options", "expected"),
    [
        (224, {}, [7, 7, 7]),
        (512, {}, [16, 16, 16]),
        (512, {"window_size": 8}, [8, 8, 8]),
        (64, {"window_size": 7}, [7, 4, 2]),  # maps of 8, 4 and 2
        (96, {"window_size": 5}, [5, 5, 3]),  # maps of 12, 6 and 3: the first two are padded
    ],
)
def test_windows_are_the_image_s_32nd_part_or_as_asked(image_size, options, expected):
    with torch.device("meta"):
        network = make(image_size, **options)
        shape = network(torch.empty(1, 3, image_size, image_size)).segmentation.shape
    windows = [
        {m.window for m in stage.modules() if isinstance(m, WindowAttention)}
        for stage in (*network.network.swin_encoder.stages, *network.network.swin_decoder.stages)
    ]
    fine, middle, coarse = ({window} for window in expected)
    assert windows == [fine, middle, coarse, middle, fine]
    assert shape == (1, 3, image_size, image_size)


@torch.no_grad()
def test_initial_weights(network):
    own = [module for name, module in network.named_modules() if "cnn_encoder" not in name]
    for module in own:
        if isinstance(module, nn.Linear) and module.weight.numel() > 1e4:
            assert module.weight.std() == pytest.approx(0.02, rel=0.05)
        if isinstance(module, nn.Linear) and module.bias is not None:
            assert not module.bias.any()
        if isinstance(module, nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            assert module.weight.abs().max() <= bound
            if module.weight.numel() > 1e4:
                assert module.weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    tables = [m.bias_table.flatten() for m in own if isinstance(m, WindowAttention)]
    assert len(tables) == 10
    assert torch.cat(tables).std() == pytest.approx(0.02, rel=0.1)
    assert network.network.tmf.gate == 0


def test_wrong_sizes_outputs_and_options_are_refused(skeleton):
    with pytest.raises(ValueError, match=r"htcnet: .*80×80 .*multiples of 32, at least 64"):
        make(80)
    with pytest.raises(ValueError, match=r"htcnet: .*32×32 .*multiples of 32, at least 64"):
        make(32)
    with pytest.raises(ValueError, match=r"htcnet: n_seg is None; .* needs 1 or more"):
        make(n_seg=None)
    with pytest.raises(ValueError, match="htcnet: window_size is 0; it must be at least 1"):
        make(window_size=0)
    with pytest.raises(ValueError, match=r"htcnet: .*96×96 .* built for 64×64"):
        skeleton(torch.empty(1, 3, 96, 96, device="meta"))
