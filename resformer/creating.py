"""A ResFormer by the names that somebody uses who has images and no configuration."""

from typing import Any

from resformer.encoder import Mode
from resformer.model import ResFormer, build


def create(
    mode: Mode = "sequential",
    *,
    image_size: int = 224,
    lesions: int | None = None,
    labels: int | None = None,
    **options: Any,
) -> ResFormer:
    """Make a ResFormer with random weights.

    Example: `resformer.create("parallel", image_size=224, lesions=1, labels=3)`.

    Args:
        mode: `sequential` or `parallel`.
        image_size: Height and width in pixels that it will mostly see; a multiple of 16.
        lesions: Number of lesion types; masks have one channel more. `None`: no segmentation.
        labels: Number of image labels. `None`: no classification.
        options: Further options of `resformer.model.build`.

    Raises:
        ValueError: If a size does not work, an option is unknown or no task is given.
    """
    try:
        return build(image_size=image_size, n_seg=lesions, n_cls=labels, mode=mode, **options)
    except TypeError as error:
        raise ValueError(f"resformer: {error}") from error
