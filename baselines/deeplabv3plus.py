"""DeepLabV3+ (Chen et al., ECCV 2018; reference [29]), Tables VI and VII, segmentation.

segmentation_models_pytorch's network with that library's initialisation (encoder: torchvision's
rules; decoder: Kaiming-uniform; head: Xavier-uniform).

Decisions: ResNet-50 at output stride 16, the choice of the skin and OCT papers that compare with
it, with the original paper's rates (6, 12, 18) for that stride; the library's default, (12, 24,
36), belongs to stride 8, and on the 14×14 map of a 224-pixel image its two larger rates see
nothing but padding beside their centre. Weights are random like ResFormer's.

The image-pooling branch normalises a 1×1 map over the batch, so training needs batches of two or
more images.
"""

from typing import Literal, get_args

import segmentation_models_pytorch as smp
from torch import nn

from baselines.parts.single_task import Segmenter
from resformer.requirements import SizeRule, require_choice, require_outputs
from resformer.upsampling import BilinearUpsampling

SIZE_MULTIPLE = 16
MINIMUM_SIZE = 32

Encoder = Literal["resnet50", "resnet34", "resnet101", "tu-xception65"]
OutputStride = Literal[16, 8]


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    encoder: Encoder = "resnet50",
    output_stride: OutputStride = 16,
    atrous_rates: tuple[int, int, int] = (6, 12, 18),
) -> Segmenter:
    """Build DeepLabV3+ with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; other multiples of 16 may be given to `forward`.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.
        encoder: `resnet50`, `resnet34`, `resnet101` or `tu-xception65`.
        output_stride: Stride of the encoder's last map, 16 or 8.
        atrous_rates: Dilations of the three 3×3 branches of the pyramid pooling.

    Raises:
        ValueError: If the size does not work, `n_seg` is missing or an option is unknown.
    """
    sizes = SizeRule("deeplabv3plus", SIZE_MULTIPLE, MINIMUM_SIZE)
    sizes.check(image_size, image_size)
    require_choice("deeplabv3plus", "encoder", encoder, get_args(Encoder))
    require_choice("deeplabv3plus", "output_stride", output_stride, get_args(OutputStride))
    network = smp.DeepLabV3Plus(
        encoder,
        encoder_weights=None,
        encoder_output_stride=output_stride,
        decoder_atrous_rates=atrous_rates,
        classes=require_outputs("deeplabv3plus", "n_seg", n_seg) + 1,
    )
    _make_upsampling_deterministic(network)
    return Segmenter(network, sizes)


def _make_upsampling_deterministic(network: nn.Module) -> None:
    """Put upsampling whose gradient is cheap in strict runs where the library has torch's own."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Upsample):
                assert isinstance(child.scale_factor, float)  # one factor for both sides
                upsampling = BilinearUpsampling(
                    int(child.scale_factor), align_corners=bool(child.align_corners)
                )
                module.register_module(name, upsampling)
