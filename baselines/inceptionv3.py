"""InceptionV3 (Szegedy et al., CVPR 2016; reference [17]), Tables V and VII, classification.

timm's ``inception_v3`` with that library's initialisation, truncated normal, but for the last
layer.

Decisions: no auxiliary head, because in training it needs images of 299 pixels or more and ISIC
images have 224; dropout 0.5 before the last layer, as in torchvision, where timm has none. Weights
are random like ResFormer's; the last layer has torch's default, since the library's start the
labels saturated.
"""

import timm

from baselines.parts.initialisation import reset_classifier
from baselines.parts.single_task import Classifier
from resformer.requirements import SizeRule, require_outputs

SIZE_MULTIPLE = 1
MINIMUM_SIZE = 75


def build(
    *, image_size: int, n_seg: int | None, n_cls: int | None, drop_rate: float = 0.5
) -> Classifier:
    """Build InceptionV3 with random weights from torch's default generator.

    Args:
        image_size: Height and width in pixels; others of 75 or more may be given to ``forward``.
        n_seg: Ignored, the method does not segment.
        n_cls: Number of image labels.
        drop_rate: Dropout before the last layer.

    Raises:
        ValueError: If the size does not work or ``n_cls`` is missing.
    """
    sizes = SizeRule("inceptionv3", SIZE_MULTIPLE, MINIMUM_SIZE)
    sizes.check(image_size, image_size)
    network = timm.create_model(
        "inception_v3",
        pretrained=False,
        num_classes=require_outputs("inceptionv3", "n_cls", n_cls),
        drop_rate=drop_rate,
        aux_logits=False,
    )
    reset_classifier(network, "fc")
    return Classifier(network, sizes)
