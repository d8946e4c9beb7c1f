"""HiFormer's wiring, its fusion module in all three orders, its initial weights and options."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines import hiformer
from baselines.hiformer import VARIANTS, ClassTokenVisit, DoubleLevelFusion, HiFormerDecoder
from resformer.attention import WindowAttention
from resformer.blocks import StochasticDepth


def make(image_size=64, n_seg=3, variant="S", **options):
    return hiformer.build(
        image_size=image_size, n_seg=n_seg, n_cls=None, variant=variant, **options
    )


@pytest.fixture(scope="module")
def network():
    """One new network, for the tests that only read it."""
    torch.manual_seed(0)
    return make().network.eval()


@pytest.fixture
def image():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))


def redraw(part):
    """Put other weights into a module, in place."""
    for parameter in part.parameters():
        nn.init.normal_(parameter, std=0.1)


def test_initial_weights(network):
    for linear in (m for m in network.modules() if isinstance(m, nn.Linear)):
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert linear.bias is None or not linear.bias.any()
    for norm in (m for m in network.modules() if isinstance(m, nn.LayerNorm)):
        assert norm.eps == 1e-5
    for position in (network.small_position, network.large_position):
        assert position.std().item() == pytest.approx(0.02, rel=0.05)
    # The ResNet: normal, variance 2 / fan_out, every BN's scale one.
    conv = network.encoder.resnet["layer3"][1].conv1
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (256 * 9)), rel=0.03)
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        assert (norm.weight == 1).all()
    # The others keep torch's default: uniform, variance 1 / (3 fan_in).
    conv = network.encoder.levels[2].to_tokens
    assert conv.weight.std().item() == pytest.approx(math.sqrt(1 / (3 * 256)), rel=0.05)


def test_the_resnet_ends_at_its_third_stage(network, image):
    assert list(network.encoder.resnet) == [
        *("conv1", "bn1", "act1", "maxpool"),
        *("layer1", "layer2", "layer3"),
    ]
    shapes = [features.shape[1:] for features in network.encoder.resnet(image)]
    assert shapes == [(64, 16, 16), (128, 8, 8), (256, 4, 4)]


@torch.no_grad()
def test_encoder_adds_swin_to_the_tokens_of_the_resnet(network, image):
    encoder = network.encoder
    t1, t2, t3 = (
        level.to_tokens(features).permute(0, 2, 3, 1)
        for level, features in zip(encoder.levels, encoder.resnet(image), strict=True)
    )
    s1 = t1 + encoder.levels[0].swin(t1)
    s2 = t2 + encoder.levels[1].swin(encoder.merges[0](s1))
    s3 = t3 + encoder.levels[2].swin(encoder.merges[1](s2))
    small, large = encoder(image)
    for sequence, s, norm in ((small, s1, encoder.norm_small), (large, s3, encoder.norm_large)):
        grid, channels = s.shape[1], s.shape[3]
        assert sequence.shape == (2, 1 + grid**2, channels)
        torch.testing.assert_close(sequence[:, 1 + grid + 2], s[:, 1, 2])  # row 1, column 2
        torch.testing.assert_close(sequence[:, 0], norm(s).mean((1, 2)))


def test_stochastic_depth_and_windows():
    with torch.device("meta"):
        networks = [make(224).network, make(512).network, make(512, window_size=8).network]
    rates = [m.rate for m in networks[0].modules() if isinstance(m, StochasticDepth)]
    assert rates == pytest.approx([0.1 * block / 9 for block in range(10)])
    windows = [
        {m.window for m in network.modules() if isinstance(m, WindowAttention)}
        for network in networks
    ]
    assert windows == [{7}, {16}, {8}]


def visit_written_out(visit, home, host):
    """The renewed class token of one image: `home [1 + N, C]`, `host [1 + M, C_host]`."""
    attention = visit.attention
    visitor = F.linear(F.gelu(visit.there[0](home[0])), visit.there[2].weight, visit.there[2].bias)
    tokens = attention.norm(torch.stack([visitor, *host[1:]]))
    query = attention.query(tokens[0])
    key, value = attention.key_value(tokens).chunk(2, dim=-1)
    width = len(visitor) // attention.heads
    mixed = []
    for head in range(attention.heads):
        part = slice(head * width, (head + 1) * width)
        weights = torch.exp(key[:, part] @ query[part] / math.sqrt(width))
        mixed.append((weights[:, None] * value[:, part]).sum(0) / weights.sum())
    visitor = visitor + attention.projection(torch.cat(mixed))
    return visit.back[2](F.gelu(visit.back[0](visitor)))


@pytest.mark.parametrize(("channels", "host_channels", "heads"), [(6, 8, 4), (8, 6, 3)])
def test_visit_equals_attention_written_out(channels, host_channels, heads):
    torch.manual_seed(0)
    visit = ClassTokenVisit(channels, host_channels, heads).double()
    redraw(visit)
    home = torch.randn(2, 5, channels, dtype=torch.double)
    host = torch.randn(2, 17, host_channels, dtype=torch.double)
    renewed = visit(home, host)
    assert torch.equal(renewed[:, 1:], home[:, 1:])
    for item in range(2):
        expected = visit_written_out(visit, home[item], host[item])
        torch.testing.assert_close(renewed[item, 0], expected)
    # The host's own class token is not asked.
    host[:, 0] = 0
    assert torch.equal(visit(home, host), renewed)


@torch.no_grad()
def test_orders_of_the_fusion_module():
    torch.manual_seed(0)
    small, large = torch.randn(2, 17, 96), torch.randn(2, 5, 384)
    dlf = {order: DoubleLevelFusion(VARIANTS["S"], order) for order in ("paper", "head")}
    dlf["release2022"] = DoubleLevelFusion(VARIANTS["S"], "release2022")
    redraw(dlf["paper"])
    for other in ("head", "release2022"):
        dlf[other].load_state_dict(dlf["paper"].state_dict())

    def visited(small, large):
        parts = dlf["paper"]
        return parts.small_visit(small, large), parts.large_visit(large, small)

    def attended(small, large):
        parts = dlf["paper"]
        return parts.small_blocks(small), parts.large_blocks(large)

    expected = {
        "paper": attended(*visited(small, large)),
        "head": (small, large),
        "release2022": visited(*attended(small, large)),
    }
    for order, tensors in expected.items():
        for found, wanted in zip(dlf[order](small, large), tensors, strict=True):
            assert torch.equal(found, wanted), order
    # What the decoder sees of the first release is self-attention alone.
    assert torch.equal(expected["release2022"][0][:, 1:], attended(small, large)[0][:, 1:])
    assert not torch.allclose(expected["release2022"][0], expected["paper"][0])


@pytest.mark.parametrize(
    ("dlf", "blocks_matter", "visits_matter"),
    [("paper", True, True), ("head", False, False), ("release2022", True, False)],
)
@torch.no_grad()
def test_what_of_the_fusion_module_reaches_the_logits(dlf, blocks_matter, visits_matter, image):
    torch.manual_seed(0)
    network = make(dlf=dlf).eval()
    module = network.network.dlf
    before = network(image).segmentation
    for parts, matter in (
        ((module.small_visit, module.large_visit), visits_matter),
        ((module.small_blocks, module.large_blocks), blocks_matter),
    ):
        for part in parts:
            redraw(part)
            after = network(image).segmentation
            assert torch.equal(before, after) != matter
            before = after


@torch.no_grad()
def test_without_the_fusion_module_small_and_large_are_one_network(network, image):
    torch.manual_seed(1)
    large = make(variant="L", dlf="head").network.eval()
    small = make(variant="S", dlf="head").network.eval()
    shared = {k: v for k, v in small.state_dict().items() if not k.startswith("dlf.")}
    assert not torch.equal(large(image), small(image))
    missing, unexpected = large.load_state_dict(shared, strict=False)
    assert all(key.startswith("dlf.") for key in missing)
    assert not unexpected
    assert torch.equal(large(image), small(image))


@pytest.mark.parametrize(
    ("variant", "depths", "heads", "ratio"),
    [("B", (1, 2), (6, 12), 2), ("S", (1, 1), (3, 3), 1), ("L", (1, 4), (6, 6), 4)],
)
def test_variants_of_the_fusion_module(variant, depths, heads, ratio):
    with torch.device("meta"):
        dlf = make(variant=variant).network.dlf
    branches = (dlf.small_blocks, dlf.large_blocks)
    assert tuple(len(blocks) for blocks in branches) == depths
    assert tuple(blocks[0].attention.heads for blocks in branches) == heads
    for blocks, channels in zip(branches, (96, 384), strict=True):
        assert blocks[-1].mlp[0].out_features == ratio * channels
        assert blocks[-1].norm2.eps == 1e-5
    # A class token is attended to with the heads of the branch that it visits.
    assert (dlf.large_visit.attention.heads, dlf.small_visit.attention.heads) == heads


@torch.no_grad()
def test_decoder_written_out():
    torch.manual_seed(0)
    decoder = HiFormerDecoder(4)
    small, large = torch.randn(2, 96, 8, 8), torch.randn(2, 384, 2, 2)

    def refine(x, conv, norm):
        x = F.conv2d(x, conv.weight, padding=1)
        return F.relu(F.group_norm(x, 32, norm.weight, norm.bias))

    def finer(x, factor):
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    x = finer(refine(large, decoder.large[0], decoder.large[1]), 2)
    x = finer(refine(x, decoder.large[4], decoder.large[5]), 2)
    x = x + refine(small, decoder.small[0], decoder.small[1])
    x = finer(F.relu(decoder.reduce(x)), 4)
    expected = F.conv2d(x, decoder.head.weight, decoder.head.bias, padding=1)
    assert expected.shape == (2, 4, 32, 32)
    torch.testing.assert_close(decoder(small, large), expected)


@torch.no_grad()
def test_a_change_of_one_token_shows_where_it_lies(image):
    torch.manual_seed(0)
    network = make(dlf="head").network.eval()  # no attention to carry it elsewhere
    before = network(image)
    network.small_position[0, 1 + 16 * 3 + 12] += torch.linspace(-20, 20, 96)  # row 3, column 12
    change = (network(image) - before).abs().sum((0, 1))
    strongest = change.argmax().item()
    # Pixels of the token, or beside it where the kernels happen to weigh most.
    assert abs(strongest // 64 - (4 * 3 + 1.5)) < 8
    assert abs(strongest % 64 - (4 * 12 + 1.5)) < 8
    # GroupNorm alone tells the rest of the map.
    assert change[:, :32].max() < change.max() / 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "XL"}, "variant is 'XL'; choose one of B, S, L"),
        ({"dlf": "none"}, "dlf is 'none'; choose one of paper, head, release2022"),
        ({"window_size": 0}, "window_size is 0; it must be 1 or more"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^hiformer: {message}"):
        make(**options)
