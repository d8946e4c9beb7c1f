"""Parameters and multiply-adds of ResFormer, each against arithmetic done here on paper's terms.

Everything runs on the meta device, so nothing is allocated or computed.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from resformer import model, released

C = (64, 128, 256, 512)
HEADS = (2, 4, 8, 16)
DEPTHS = (3, 4, 6, 3)
MODES = ("sequential", "parallel")


def on_meta(build, **options):
    with torch.device("meta"):
        return build(**options).eval()


def count(module):
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def macs(network, size):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, size, size, device="meta"))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


# --- what the parts of the printed network must count -------------------------------------------
STEM = 7 * 7 * 3 * 64 + 2 * 64  # 9,536: convolution without bias, BN


def resnet(c):
    return 2 * 9 * c * c + 2 * 2 * c  # two 3×3 convolutions without bias, two BN


def swin(c, heads, window):
    attention = 3 * c * c + 3 * c + c * c + c + (2 * window - 1) ** 2 * heads
    ffn = c * 4 * c + 4 * c + 4 * c * c + c
    return 2 * (attention + ffn + 2 * 2 * c)  # W-MSA and SW-MSA halves, two LN each


def merge(c):
    return 9 * c * 2 * c + 2 * c


def dfe(c):
    return 3 * (9 * c * c + c * c + 2 * 2 * c) + 7 * 7 * 2  # three branches, SA


def decoder_level(c):
    return 9 * 3 * c * c + 2 * c


def classification(n_cls, *, hidden=32, norm=True):
    return 768 * hidden + hidden + hidden * n_cls + n_cls + (2 * (256 + 512) if norm else 0)


def printed(window, *, n_seg, n_cls, hidden=32, depths=DEPTHS, with_dfe=True, norm=True):
    total = STEM + sum(depth * resnet(c) for depth, c in zip(depths, C, strict=True))
    total += sum(swin(c, heads, window) for c, heads in zip(C, HEADS, strict=True))
    total += sum(merge(c) for c in C[:3])
    if n_seg is not None:
        total += sum(map(decoder_level, C[:3])) + 64 * (n_seg + 1) + (n_seg + 1)
        total += sum(map(dfe, C)) if with_dfe else 0
    if n_cls is not None:
        total += classification(n_cls, hidden=hidden, norm=norm)
    return total


@pytest.mark.parametrize(
    ("depths", "parameters", "gmacs"),
    [((3, 4, 6, 3), 45_580_555, 165.2), ((1, 1, 1, 1), 29_201_675, 107.2)],
)
def test_the_sheet_s_reference_network_is_met_exactly(depths, parameters, gmacs):
    options = {"n_seg": 3, "n_cls": 3, "window_size": 8, "cls_hidden": 256, "cls_norm": "none"}
    network = on_meta(model.build, image_size=512, conv_depths=depths, **options)
    assert count(network) == parameters
    assert printed(8, n_seg=3, n_cls=3, hidden=256, depths=depths, norm=False) == parameters
    assert macs(network, 512) / 1e9 == pytest.approx(gmacs, abs=0.05)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("size", "n_seg", "n_cls", "with_dfe", "parameters"),
    [
        # Reference 45,580,555. Head 768→32→3 instead of 768→256→3: 24,707 - 197,635 = -172,928.
        # Bias tables of window 32 instead of 8: 2 × (63² - 15²) × (2 + 4 + 8 + 16) = +224,640.
        # BN before the head's pooling, scale and shift of 256 and 512 channels: +1,536.
        (512, 3, 3, True, 45_633_803),
        # Window 14: 2 × (27² - 15²) × 30 = +30,240 instead; two output channels fewer: -2 × 65.
        (224, 1, 3, True, 45_439_273),
        # "Cls. only": no DFE 10,456,712, decoder 2,323,328, head 260.
        (512, None, 3, True, 45_633_803 - 10_456_712 - 2_323_328 - 260),
        (224, None, 3, True, 45_439_273 - 10_456_712 - 2_323_328 - 130),
        # "Seg. only": no classification head, 768 × 32 + 32 + 32 × 3 + 3 + 1,536 = 26,243.
        (512, 3, None, True, 45_633_803 - 26_243),
        (224, 1, None, True, 45_439_273 - 26_243),
        # Without DFE: 30 × (64² + 128² + 256² + 512²) + 12 × 960 + 4 × 98 = 10,456,712.
        (512, 3, 3, False, 45_633_803 - 10_456_712),
        (224, 1, 3, False, 45_439_273 - 10_456_712),
    ],
)
def test_default_counts(mode, size, n_seg, n_cls, with_dfe, parameters):
    options = {"n_seg": n_seg, "n_cls": n_cls, "mode": mode, "dfe": with_dfe}
    network = on_meta(model.build, image_size=size, **options)
    assert count(network) == parameters
    assert printed(size // 16, n_seg=n_seg, n_cls=n_cls, with_dfe=with_dfe) == parameters


def test_each_part_counts_what_its_equation_says():
    network = on_meta(model.build, image_size=512, n_seg=3, n_cls=3)
    encoder, segmentation = network.encoder, network.segmentation
    assert count(encoder.stem) == STEM == 9_536
    for level, (c, heads, depth) in enumerate(zip(C, HEADS, DEPTHS, strict=True)):
        assert [count(block) for block in encoder.levels[level].resnet] == [resnet(c)] * depth
        assert count(encoder.levels[level].swin) == swin(c, heads, 32)
        assert count(segmentation.dfe[level]) == dfe(c)
    assert [count(merging) for merging in encoder.merges] == [merge(c) for c in C[:3]]
    decoder = segmentation.decoder
    levels = (decoder.level1, decoder.level2, decoder.level3)
    assert [count(level) for level in levels] == [decoder_level(c) for c in C[:3]]
    assert count(segmentation.head) == 4 * 64 + 4
    assert count(network.classification) == classification(3) == 26_243


def test_options_change_the_count_by_what_they_add():
    size = {"image_size": 64, "n_seg": 1, "n_cls": 2}
    default = count(on_meta(model.build, **size))
    transposed = count(on_meta(model.build, **size, upsample="transposed"))
    assert transposed - default == sum(4 * c * c + c for c in (512, 256, 128, 64))
    narrow = count(on_meta(model.build, **size, cls_hidden=8))
    assert default - narrow == 24 * (768 + 1 + 2)
    relu = count(on_meta(model.build, **size, cls_activation="relu"))
    assert relu == default
    as_printed = count(on_meta(model.build, **size, cls_norm="none"))
    assert default - as_printed == 2 * 256 + 2 * 512 == 1_536


@pytest.mark.parametrize("mode", MODES)
def test_normalising_before_pooling_adds_no_multiply_adds(mode):
    # A BN in evaluation is a scale and a shift, which no count of convolutions and matrix products
    # has, as those of all other BNs.
    options = {"image_size": 96, "n_seg": 1, "n_cls": 3, "mode": mode}
    networks = [on_meta(model.build, **options, cls_norm=norm) for norm in model.CLS_NORMS]
    assert len({macs(network, 96) for network in networks}) == 1


def printed_macs(size, window, *, n_seg=3, n_cls=3):
    """Multiply-adds of the printed network, maps of every level being multiples of the window."""
    at = [(size >> level) ** 2 for level in (1, 2, 3, 4)]
    total = size * size * 7 * 7 * 3 * 64
    for n, c, depth in zip(at, C, DEPTHS, strict=True):
        total += depth * n * 18 * c * c
        total += 2 * n * (12 * c * c + 2 * window * window * c)  # linear layers; QKᵀ and weighting
        total += n * 30 * c * c + n * 98  # DFE, SA
    total += sum(n * 18 * c * c for n, c in zip(at[1:], C[:3], strict=True))
    total += sum(n * 27 * c * c for n, c in zip(at[:3], C[:3], strict=True))
    return total + size * size * 64 * (n_seg + 1) + 768 * 32 + 32 * n_cls


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("size", "n_seg"), [(512, 3), (224, 1)])
def test_default_multiply_adds(mode, size, n_seg):
    network = on_meta(model.build, image_size=size, n_seg=n_seg, n_cls=3, mode=mode)
    assert macs(network, size) == printed_macs(size, size // 16, n_seg=n_seg)


# --- the released network -----------------------------------------------------------------------
RESNET34 = 21_797_672 - (512 * 1000 + 1000)  # torchvision's count without its last layer
EMBEDDING = 3 * (32 * 4 + 16 * 16 + 8 * 64 + 8 * 256) + 64 + 3 + 2 * 64  # convs, ECA, LN
RELEASED_MERGES = [4 * c * c + 16 * c * c + 2 * c + 3 + 2 * c for c in C[:3]]  # convs, ECA, LN
RELEASED_DFE = [c * c + 3 * 9 * c * c + 36 * c * c + c * c + 6 * 2 * c + 98 for c in C]
# transposed convolution 2C→C, 3×3 convolution 2C→C, both with bias, and BN
RELEASED_DECODER = [(8 * c * c + c) + (18 * c * c + c) + 2 * c for c in C[:3]]
RELEASED_CLASSIFICATION = classification(3)  # the printed network's


def released_count(window, channels):
    transformer = sum(swin(c, heads, window) + 2 * 3 for c, heads in zip(C, HEADS, strict=True))
    parts = RESNET34 + EMBEDDING + sum(RELEASED_MERGES) + transformer
    return parts + sum(RELEASED_DECODER) + 64 * channels + RELEASED_CLASSIFICATION


@pytest.mark.parametrize(
    ("mode", "size", "channels", "parameters"),
    [
        ("sequential", 512, 4, 56_541_803),
        ("sequential", 224, 1, 56_347_211),
        ("parallel", 512, 4, 33_899_491),
        ("parallel", 224, 1, 33_704_899),
    ],
)
def test_released_counts(mode, size, channels, parameters):
    with_dfe = sum(RELEASED_DFE) if mode == "sequential" else 0
    assert released_count(size // 16, channels) + with_dfe == parameters
    # The authors' ISIC network has one output channel; ours always has the background as well,
    # and each channel of the head, which has no bias, has 64 weights.
    n_seg = max(channels - 1, 1)
    network = on_meta(released.build, image_size=size, n_seg=n_seg, n_cls=3, mode=mode)
    assert count(network) == parameters + 64 * (n_seg + 1 - channels)


def test_each_released_part_counts_what_its_description_says():
    network = on_meta(released.build, image_size=512, n_seg=3, n_cls=3)
    encoder, segmentation = network.encoder, network.segmentation
    assert count(encoder.stem) + count(encoder.stages) == RESNET34 == 21_284_672
    assert count(encoder.embedding) == EMBEDDING == 9_027
    assert [count(merging) for merging in encoder.merges] == RELEASED_MERGES
    assert [count(module) for module in segmentation.dfe] == RELEASED_DFE
    assert [count(level) for level in reversed(segmentation.levels)] == RELEASED_DECODER
    assert count(network.classification) == RELEASED_CLASSIFICATION
    assert count(network.segmentation.head) == 256
