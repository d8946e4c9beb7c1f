"""Masks painted over images in the colours of the paper's captions.

`classes`: red, green and blue for intra-retinal fluid, sub-retinal fluid and pigment epithelial
detachment (Figs. 5, 7). `errors`: yellow, red and green for true positive, false negative and
false positive (Figs. 6, 8).
"""

from collections.abc import Sequence

import numpy as np

Colour = tuple[int, int, int]

RED, GREEN, BLUE, YELLOW = (232, 28, 28), (24, 196, 62), (48, 96, 255), (255, 216, 0)
LESION_COLOURS: dict[str, Colour] = {"irf": RED, "srf": GREEN, "ped": BLUE}
# For lesions the paper does not have.
OTHER_COLOURS: tuple[Colour, ...] = (RED, GREEN, BLUE, YELLOW, (255, 64, 220), (0, 210, 220))
LESION_NAMES = {
    "irf": "intra-retinal fluid (IRF)",
    "srf": "sub-retinal fluid (SRF)",
    "ped": "pigment epithelial detachment (PED)",
}
ERROR_COLOURS: dict[str, Colour] = {
    "true positive": YELLOW,
    "false negative": RED,
    "false positive": GREEN,
}
# How much of the colour covers the image.
ALPHA = 0.55


def class_colours(lesions: Sequence[str]) -> list[Colour]:
    """The colour of each lesion, in the order of their mask values 1, 2, ..."""
    return [
        LESION_COLOURS.get(name, OTHER_COLOURS[i % len(OTHER_COLOURS)])
        for i, name in enumerate(lesions)
    ]


def as_rgb(image: np.ndarray) -> np.ndarray:
    """An image uint8 `[H, W]` or `[H, W, 3]` as `[H, W, 3]`."""
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def paint(image: np.ndarray, layers: Sequence[tuple[np.ndarray, Colour]]) -> np.ndarray:
    """The image with each layer's pixels tinted: `ALPHA` colour, the rest image.

    Args:
        image: uint8 `[H, W]` or `[H, W, 3]`.
        layers: pairs of bool `[H, W]` and a colour; later layers lie over earlier ones.

    Returns:
        uint8 `[H, W, 3]`.
    """
    base = as_rgb(image)
    painted = base.copy()
    for where, colour in layers:
        tinted = (1 - ALPHA) * base[where] + ALPHA * np.array(colour)
        painted[where] = np.rint(tinted).astype(np.uint8)
    return painted


def paint_classes(image: np.ndarray, mask: np.ndarray, lesions: Sequence[str]) -> np.ndarray:
    """The image with each lesion of a mask in its colour; 255 (no mask) stays unpainted."""
    colours = class_colours(lesions)
    return paint(image, [(mask == k, colour) for k, colour in enumerate(colours, start=1)])


def paint_errors(image: np.ndarray, reference: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The image with hits, misses and false alarms of a prediction in their colours.

    A lesion taken for another lesion is a miss: its pixels count as false negative.
    """
    lesion = (reference > 0) & (reference < 255)
    hit = lesion & (predicted == reference)
    layers = {
        "true positive": hit,
        "false negative": lesion & ~hit,
        "false positive": ~lesion & (predicted > 0),
    }
    return paint(image, [(layers[name], colour) for name, colour in ERROR_COLOURS.items()])
