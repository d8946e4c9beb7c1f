"""Parameters and FLOPs of the six compared methods that come from libraries.

The numbers are those of the project's sheet on the baselines, measured there independently of
these modules; FLOPs are two per multiply-add. Everything runs on the meta device.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from baselines import deeplabv3plus, efficientnet, inceptionv3, swint, unetpp, vit

B3, B0, B4 = (f"tf_efficientnet_{size}" for size in ("b3", "b0", "b4"))
SWIN_BASE, SWIN_SMALL, SWIN_TINY = (
    f"swin_{size}_patch4_window7_224" for size in ("base", "small", "tiny")
)
VIT_SMALL = "vit_small_patch16_224"
TINY_8 = {"variant": SWIN_TINY, "window_size": 8}
OS8 = {"output_stride": 8}

SEGMENTATION = [
    # module, options, lesion types n (n + 1 channels), parameters, FLOPs at 224 and at 512
    (unetpp, {}, 3, 26_079_044, 28_193_292_288, 147_295_567_872),
    (unetpp, {}, 1, 26_078_754, 28_164_390_912, 147_144_572_928),
    (unetpp, {"encoder": "resnet50"}, 3, 48_986_180, 87_999_873_024, 459_754_438_656),
    (unetpp, {"encoder": "vgg16_bn"}, 3, 39_356_228, 142_888_402_944, 746_519_003_136),
    (deeplabv3plus, {}, 3, 26_678_356, 14_001_758_208, 73_147_613_184),
    (deeplabv3plus, {}, 1, 26_677_842, 13_998_546_944, 73_130_835_968),
    (deeplabv3plus, OS8, 3, 26_678_356, 42_739_660_800, 223_288_492_032),
    (deeplabv3plus, {"encoder": "resnet34"}, 3, 22_438_228, 12_077_223_936, 63_096_225_792),
    (deeplabv3plus, {"encoder": "resnet34"}, 1, 22_437_714, 12_074_012_672, None),
    (deeplabv3plus, {"encoder": "resnet101"}, 3, 45_670_484, 21_426_200_576, 111_936_536_576),
    (deeplabv3plus, {"encoder": "tu-xception65"}, 3, 41_037_636, 19_206_931_776, 100_341_989_376),
]

CLASSIFICATION = [
    # module, options, image size, parameters, FLOPs; three labels
    (inceptionv3, {}, 224, 21_791_715, 5_671_758_528),
    (inceptionv3, {}, 299, 21_791_715, 11_422_348_480),
    (inceptionv3, {}, 512, 21_791_715, 35_039_630_016),
    (efficientnet, {}, 224, 10_700_843, 1_922_353_696),
    (efficientnet, {}, 512, 10_700_843, 10_027_566_208),
    (efficientnet, {"variant": B0}, 224, 4_011_391, 769_077_184),
    (efficientnet, {"variant": B0}, 512, 4_011_391, 4_012_704_256),
    (efficientnet, {"variant": B4}, 224, 17_553_995, 3_003_847_616),
    (efficientnet, {"variant": B4}, 512, 17_553_995, 15_667_186_880),
    (vit, {}, 224, 85_800_963, 35_126_125_056),
    # 32² + 1 positions instead of 14² + 1, 768 each: 85,800,963 + 828 × 768.
    (vit, {}, 512, 85_800_963 + 828 * 768, 214_054_248_960),
    (vit, {"variant": VIT_SMALL}, 224, 21_666_819, 9_196_998_912),
    (vit, {"variant": VIT_SMALL}, 512, 21_666_819 + 828 * 384, 63_498_113_280),
    (swint, {}, 224, 86_746_299, 30_859_851_776),
    (swint, {}, 512, 86_746_299, 173_686_885_376),
    (swint, {"variant": SWIN_SMALL}, 224, 48_839_565, 17_480_219_136),
    (swint, {"variant": SWIN_SMALL}, 512, 48_839_565, 98_443_323_648),
    (swint, {"variant": SWIN_TINY}, 224, 27_521_661, 8_979_601_920),
    (swint, {"variant": SWIN_TINY}, 512, 27_521_661, 51_005_088_000),
    # Tables of (2 × 8 - 1)² = 225 instead of 169 rows: 56 × (2·3 + 2·6 + 6·12 + 2·24) = 7,728.
    (swint, TINY_8, 512, 27_521_661 + 7_728, 47_362_085_376),
]


def measure(module, size, n_seg, n_cls, options):
    """Return trainable parameters and forward FLOPs of one image."""
    with torch.device("meta"):
        network = module.build(image_size=size, n_seg=n_seg, n_cls=n_cls, **options).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.empty(1, 3, size, size))
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return parameters, counter.get_total_flops()


@pytest.mark.parametrize(
    ("module", "options", "n_seg", "parameters", "flops_224", "flops_512"), SEGMENTATION
)
def test_segmentation_anchors(module, options, n_seg, parameters, flops_224, flops_512):
    for size, flops in ((224, flops_224), (512, flops_512)):
        if flops is not None:
            assert measure(module, size, n_seg, 3, options) == (parameters, flops)


@pytest.mark.parametrize(("module", "options", "size", "parameters", "flops"), CLASSIFICATION)
def test_classification_anchors(module, options, size, parameters, flops):
    assert measure(module, size, 3, 3, options) == (parameters, flops)


@pytest.mark.parametrize(
    ("module", "per_channel"),
    # Head of UNet++: 3×3 convolution of 16 channels; of DeepLabV3+: 1×1 of 256; with bias.
    [(unetpp, 9 * 16 + 1), (deeplabv3plus, 256 + 1)],
)
def test_each_lesion_type_adds_one_channel_to_the_head(module, per_channel):
    counts = [measure(module, 32, n_seg, None, {})[0] for n_seg in (1, 2, 5)]
    assert [counts[1] - counts[0], counts[2] - counts[1]] == [per_channel, 3 * per_channel]


@pytest.mark.parametrize(
    ("module", "width"),
    [(inceptionv3, 2048), (efficientnet, 1536), (vit, 768), (swint, 1024)],
)
def test_each_label_adds_one_row_to_the_last_layer(module, width):
    counts = [measure(module, 96, None, n_cls, {})[0] for n_cls in (1, 2)]
    assert counts[1] - counts[0] == width + 1
