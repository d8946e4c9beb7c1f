"""EfficientNet (Tan and Le, ICML 2019; reference [37]), Tables V and VII, classification.

timm's networks with TensorFlow's "same" padding and that library's initialisation, but for the
last layer.

Decisions: B3, which the first author's earlier repository compares with; dropout 0.3 and
stochastic depth 0.2, the original's settings for B3, where timm has neither by default. B0 is the
common low-budget reading. Weights are random like ResFormer's; the last layer has torch's default,
since the library's, made for a thousand classes, start a few labels saturated.
"""

from typing import Literal, get_args

import timm

from baselines.parts.initialisation import reset_classifier
from baselines.parts.single_task import Classifier
from resformer.requirements import SizeRule, require_choice, require_outputs

SIZE_MULTIPLE = 1
MINIMUM_SIZE = 32

Variant = Literal["tf_efficientnet_b3", "tf_efficientnet_b0", "tf_efficientnet_b4"]


def build(
    *,
    image_size: int,
    n_seg: int | None,
    n_cls: int | None,
    variant: Variant = "tf_efficientnet_b3",
    drop_rate: float = 0.3,
    drop_path_rate: float = 0.2,
) -> Classifier:
    """Build EfficientNet with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; others of 32 or more may be given to ``forward``.
        n_seg: Ignored, the method does not segment.
        n_cls: Number of image labels.
        variant: ``tf_efficientnet_b3``, ``tf_efficientnet_b0`` or ``tf_efficientnet_b4``.
        drop_rate: Dropout before the last layer.
        drop_path_rate: Stochastic depth of the last block; linear from 0.

    Raises:
        ValueError: If the size does not work, ``n_cls`` is missing or the variant is unknown.
    """
    sizes = SizeRule("efficientnet", SIZE_MULTIPLE, MINIMUM_SIZE)
    sizes.check(image_size, image_size)
    require_choice("efficientnet", "variant", variant, get_args(Variant))
    network = timm.create_model(
        variant,
        pretrained=False,
        num_classes=require_outputs("efficientnet", "n_cls", n_cls),
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )
    reset_classifier(network, "classifier")
    return Classifier(network, sizes)
