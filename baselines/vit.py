"""ViT (Dosovitskiy et al., ICLR 2021; reference [21]), Table VII, classification.

timm's networks with that library's initialisation. Patches of 16 pixels, a class token, and a
learned position for each patch, which is why the network takes one image size only.

Decisions: ViT-Base, timm's dropout and stochastic depth (none). ViT-Small is the budget option.
Weights are random like ResFormer's.
"""

from typing import Literal, get_args

import timm

from baselines.parts.single_task import Classifier
from resformer.requirements import SizeRule, require_choice, require_outputs

SIZE_MULTIPLE = 16
MINIMUM_SIZE = 32

Variant = Literal["vit_base_patch16_224", "vit_small_patch16_224"]


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    variant: Variant = "vit_base_patch16_224",
) -> Classifier:
    """Build ViT with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; `forward` takes no other.
        n_seg: Ignored, the method does not segment.
        n_cls: Number of image labels.
        variant: `vit_base_patch16_224` or `vit_small_patch16_224`; the 224 of the name is the
            default of `image_size`, which is overridden.

    Raises:
        ValueError: If the size does not work, `n_cls` is missing or the variant is unknown.
    """
    SizeRule("vit", SIZE_MULTIPLE, MINIMUM_SIZE).check(image_size, image_size)
    require_choice("vit", "variant", variant, get_args(Variant))
    network = timm.create_model(
        variant,
        pretrained=False,
        num_classes=require_outputs("vit", "n_cls", n_cls),
        img_size=image_size,
    )
    return Classifier(network, SizeRule("vit", SIZE_MULTIPLE, MINIMUM_SIZE, exact=image_size))
