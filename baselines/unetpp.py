"""UNet++ (Zhou et al., DLMIA 2018; reference [35]), Tables VI and VII, segmentation.

The nested decoder of segmentation_models_pytorch on a ResNet-34 encoder, with that library's
initialisation (encoder: torchvision's rules; decoder: Kaiming-uniform; head: Xavier-uniform).

Decisions: the paper names no encoder. ResNet-34 is the library's default and the network inside
ResFormer; weights are random like ResFormer's. The options are the encoders others report.
"""

from typing import Literal, get_args

import segmentation_models_pytorch as smp

from baselines.parts.single_task import Segmenter
from resformer.requirements import SizeRule, require_choice, require_outputs

SIZE_MULTIPLE = 32
MINIMUM_SIZE = 32

Encoder = Literal["resnet34", "resnet50", "vgg16_bn"]


def build(
    *, image_size: int, n_seg: int | None, n_cls: int | None, encoder: Encoder = "resnet34"
) -> Segmenter:
    """Build UNet++ with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; other multiples of 32 may be given to ``forward``.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.
        encoder: ``resnet34``, ``resnet50`` or ``vgg16_bn``.

    Raises:
        ValueError: If the size does not work, ``n_seg`` is missing or the encoder is unknown.
    """
    sizes = SizeRule("unetpp", SIZE_MULTIPLE, MINIMUM_SIZE)
    sizes.check(image_size, image_size)
    require_choice("unetpp", "encoder", encoder, get_args(Encoder))
    classes = require_outputs("unetpp", "n_seg", n_seg) + 1
    return Segmenter(smp.UnetPlusPlus(encoder, encoder_weights=None, classes=classes), sizes)
