"""UNet++ (Zhou et al., DLMIA 2018; reference [35]), Tables VI and VII, segmentation.

Two forms. `smp`, the default: the nested decoder of segmentation_models_pytorch on a ResNet-34
encoder, with that library's initialisation (encoder: torchvision's rules; decoder: Kaiming-uniform;
head: Xavier-uniform). `nested`: the network of the original paper, without a classification
network as encoder, and with its deep supervision if asked for; most medical papers report this one.

Decisions: the paper names neither form nor encoder. ResNet-34 is the library's default and the
network inside ResFormer; weights are random like ResFormer's. The encoder options are those others
report. In the nested form, convolutions with BatchNorm and bilinear upsampling (aligned corners) as
in the PyTorch version that the authors list, where their own Keras code has transposed convolutions
and dropout; weights are Kaiming-normal as in that code. Its prediction is that of the last head;
the other three only train.
"""

from typing import Literal, get_args

import segmentation_models_pytorch as smp

from baselines.parts.nested_unet import NestedUNet, initialise
from baselines.parts.single_task import Segmenter
from resformer.requirements import SizeRule, require_choice, require_outputs

SIZE_MULTIPLE = 32
MINIMUM_SIZE = 32

Form = Literal["smp", "nested"]
Encoder = Literal["resnet34", "resnet50", "vgg16_bn"]


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    form: Form = "smp",
    encoder: Encoder = "resnet34",
    deep_supervision: bool = False,
) -> Segmenter | NestedUNet:
    """Build UNet++ with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; other multiples of 32 may be given to `forward`.
        n_seg: Number of lesion types n; the network has n + 1 output channels.
        n_cls: Ignored, the method does not classify.
        form: `smp` or `nested`.
        encoder: `resnet34`, `resnet50` or `vgg16_bn`; the nested form ignores it.
        deep_supervision: Whether the nested form has, and in training returns, three more heads.

    Raises:
        ValueError: If the size does not work, `n_seg` is missing, form or encoder is unknown, or
            deep supervision is asked of the form that has none.
    """
    sizes = SizeRule("unetpp", SIZE_MULTIPLE, MINIMUM_SIZE)
    sizes.check(image_size, image_size)
    require_choice("unetpp", "form", form, get_args(Form))
    require_choice("unetpp", "encoder", encoder, get_args(Encoder))
    classes = require_outputs("unetpp", "n_seg", n_seg) + 1
    if form == "nested":
        network = NestedUNet(classes, deep_supervision=deep_supervision, sizes=sizes)
        initialise(network)
        return network
    if deep_supervision:
        raise ValueError("unetpp: deep_supervision works with form nested only; form is smp")
    return Segmenter(smp.UnetPlusPlus(encoder, encoder_weights=None, classes=classes), sizes)
