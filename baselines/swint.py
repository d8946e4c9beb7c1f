"""SwinT (Liu et al., ICCV 2021; reference [22]), Tables V and VII, classification.

timm's networks with that library's initialisation.

Decisions: the paper's "SwinT" names no size; Swin-Base is what the first author's earlier
repository mentions beside the other compared networks. Swin-Tiny is the budget option. The window
stays 7 at every image size, as the name says: timm pads the maps that are no multiple of it, and
uses the whole map where that is smaller. Stochastic depth 0.1 is timm's default. Weights are
random like ResFormer's.
"""

from typing import Literal, get_args

import timm

from baselines.parts.single_task import Classifier
from resformer.requirements import SizeRule, require_choice, require_outputs

SIZE_MULTIPLE = 32
MINIMUM_SIZE = 32

Variant = Literal[
    "swin_base_patch4_window7_224", "swin_small_patch4_window7_224", "swin_tiny_patch4_window7_224"
]


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    variant: Variant = "swin_base_patch4_window7_224",
    window_size: int = 7,
    drop_path_rate: float = 0.1,
) -> Classifier:
    """Build a Swin Transformer with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; `forward` takes no other.
        n_seg: Ignored, the method does not segment.
        n_cls: Number of image labels.
        variant: timm's name of the base, small or tiny network; the 224 of the name is the
            default of `image_size`, which is overridden.
        window_size: Side of an attention window in tokens.
        drop_path_rate: Stochastic depth of the last block; linear from 0.

    Raises:
        ValueError: If the size does not work, `n_cls` is missing or the variant is unknown.
    """
    SizeRule("swint", SIZE_MULTIPLE, MINIMUM_SIZE).check(image_size, image_size)
    require_choice("swint", "variant", variant, get_args(Variant))
    network = timm.create_model(
        variant,
        pretrained=False,
        num_classes=require_outputs("swint", "n_cls", n_cls),
        img_size=image_size,
        window_size=window_size,
        drop_path_rate=drop_path_rate,
    )
    return Classifier(network, SizeRule("swint", SIZE_MULTIPLE, MINIMUM_SIZE, exact=image_size))
