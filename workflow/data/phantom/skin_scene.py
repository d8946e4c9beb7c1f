"""What surrounds a lesion in a dermoscopic picture: skin, hair, gel, rulers, patches, the tube.

How often each thing appears follows the artefact counts of ISIC 2017; none of them depends on the
diagnosis, so that none can stand in for it.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from workflow.data.phantom.fields import Field, ridges
from workflow.data.phantom.skin_lesion import BLOOD, MELANIN, Canvas

# Mean of the logarithm of skin colour (R, G, B) around 360 lesions of the real training set,
# moved slightly towards brighter pictures, and two directions of its spread.
_TONE = np.array([-0.27, -0.44, -0.51], dtype=np.float32)
_LIGHTER = np.array([0.19, 0.20, 0.20], dtype=np.float32)
_YELLOWER = np.array([0.02, -0.05, -0.11], dtype=np.float32)
_PINKER = np.array([0.02, -0.06, -0.01], dtype=np.float32)
_PATCH_COLOURS = ((40, 130, 225), (120, 205, 190), (240, 190, 70), (225, 225, 235), (210, 90, 80))
# Thin lines are drawn at this many times the size and reduced, which makes them smooth.
_OVERSAMPLING = 3


def draw_skin(rng: np.random.Generator, canvas: Canvas) -> Field:
    """Bare skin, RGB [height, width, 3] between 0 and 1: tone, mottling, furrows, freckles."""
    a, b, c = np.clip(rng.standard_normal(3), -1.8, 1.4).astype(np.float32)
    tone = np.exp(_TONE + a * _LIGHTER + b * _YELLOWER + c * _PINKER)
    redness = 0.035 * canvas.field(rng, 0.25) + rng.uniform(0.01, 0.04) * canvas.field(rng, 0.07)
    melanin = 0.035 * canvas.field(rng, 0.3) + 0.02 * canvas.field(rng, 0.012)
    furrows = ridges(canvas.field(rng, (0.03, 0.022)), 0.35)
    melanin = melanin + rng.uniform(0.0, 0.09) * furrows
    if rng.uniform() < 0.3:
        freckles = np.clip(canvas.field(rng, 0.035) - 1.7, 0.0, 1.0)
        melanin = melanin + rng.uniform(0.1, 0.4) * freckles
    if rng.uniform() < 0.12:
        vessels = ridges(canvas.field(rng, 0.12), 0.06)
        redness = redness + 0.15 * vessels
    absorbed = melanin[..., None] * MELANIN + redness[..., None] * BLOOD
    return (tone * np.exp(-absorbed)).astype(np.float32)


def add_gel(rng: np.random.Generator, canvas: Canvas, picture: Field) -> Field:
    """Air bubbles in the immersion gel: thin bright rims with a highlight, in half the pictures."""
    if rng.uniform() < 0.5:
        return picture
    for _ in range(int(rng.integers(1, 7))):
        x, y = rng.uniform(-0.6, 0.6), rng.uniform(-0.45, 0.45)
        radius = rng.uniform(0.008, 0.04)
        far = np.hypot(canvas.x - x, canvas.y - y)
        rim = np.exp(-(((far - radius) / 0.004) ** 2))
        glint = np.exp(
            -((np.hypot(canvas.x - x + radius / 2, canvas.y - y + radius / 2) / 0.006) ** 2)
        )
        light = (0.3 * rim + 0.8 * glint - 0.06 * (far < radius))[..., None]
        picture = picture + light * (1.0 - picture)
    return picture


def add_hair(rng: np.random.Generator, canvas: Canvas, picture: Field) -> Field:
    """Hair over the picture: none, a few long ones, many, or shaved stubble."""
    style = rng.choice(4, p=[0.42, 0.36, 0.14, 0.08])
    count = (0, int(rng.integers(2, 10)), int(rng.integers(14, 34)), int(rng.integers(25, 60)))[
        style
    ]
    if count == 0:
        return picture
    layer, pen = _sheet(canvas)
    main = rng.uniform(0.0, 2 * np.pi)
    for _ in range(count):
        length = rng.uniform(0.015, 0.035) if style == 3 else rng.uniform(0.3, 1.1)
        start = rng.uniform(-0.75, 0.75, size=2)
        heading = main + rng.normal(0.0, 0.5)
        bend = 0.0 if style == 3 else rng.normal(0.0, 0.7)
        t = np.linspace(0.0, 1.0, 14)
        turn = heading + bend * t
        points = (
            start[:, None] + np.cumsum(np.stack([np.cos(turn), np.sin(turn)]), axis=1) * length / 14
        )
        width = rng.uniform(0.003, 0.0075)
        pen.line(
            _to_sheet(canvas, points), fill=int(rng.uniform(150, 245)), width=_pen(canvas, width)
        )
    dark = np.exp(rng.uniform(-2.6, -1.0)) * np.array([1.0, 0.72, 0.55], dtype=np.float32)
    cover = _reduced(canvas, layer)[..., None]
    return picture + cover * (dark - picture)


def add_ruler(rng: np.random.Generator, canvas: Canvas, picture: Field) -> Field:
    """A scale of ticks, free in the picture or along its edge, in two fifths of the pictures."""
    if rng.uniform() < 0.6:
        return picture
    layer, pen = _sheet(canvas)
    half_x, half_y = canvas.width / canvas.unit / 2, canvas.height / canvas.unit / 2
    at_edge = rng.uniform() < 0.35
    angle = np.pi / 2 if at_edge else rng.choice([0.0, 0.0, 0.12, -0.7, 0.6])
    middle = (
        (half_x - 0.01, 0.0)
        if at_edge
        else (rng.uniform(-0.2, 0.2), half_y * rng.uniform(0.65, 0.85))
    )
    ahead, aside = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([np.sin(angle), -np.cos(angle)]),
    )
    reach, ticks = (half_y, 13) if at_edge else (rng.uniform(0.18, 0.26), 21)
    width = _pen(canvas, 0.004)
    if not at_edge:
        ends = np.stack([middle - reach * ahead, middle + reach * ahead], axis=1)
        pen.line(_to_sheet(canvas, ends), fill=220, width=width)
    for tick, offset in enumerate(np.linspace(-reach, reach, ticks)):
        long = 0.035 if tick % 5 == 0 else 0.02
        foot = middle + offset * ahead
        ends = np.stack([foot, foot + (1.3 if at_edge else 1.0) * long * aside], axis=1)
        pen.line(_to_sheet(canvas, ends), fill=220, width=width)
    cover = _reduced(canvas, layer)[..., None]
    return picture * (1.0 - 0.85 * cover)


def add_ink(rng: np.random.Generator, canvas: Canvas, picture: Field) -> Field:
    """A streak of the surgeon's violet marker, in one picture of eight."""
    if rng.uniform() < 0.875:
        return picture
    layer, pen = _sheet(canvas)
    turn = rng.uniform(0.0, 2 * np.pi) + np.linspace(0.0, rng.uniform(0.5, 1.6), 20)
    around = rng.uniform(0.36, 0.5) * np.stack([np.cos(turn), np.sin(turn)])
    pen.line(_to_sheet(canvas, around), fill=255, width=_pen(canvas, rng.uniform(0.02, 0.045)))
    worn = 1.0 / (1.0 + np.exp(-3.0 * (canvas.field(rng, 0.015) + 0.2)))
    cover = (rng.uniform(0.4, 0.8) * _reduced(canvas, layer) * worn)[..., None]
    return picture + cover * (picture * np.array([0.55, 0.35, 0.85], dtype=np.float32) - picture)


def add_patch(
    rng: np.random.Generator, canvas: Canvas, picture: Field, mask: NDArray[np.bool_]
) -> Field:
    """A coloured sticker reaching in from one side, as in the children's pictures of the set.

    It is left out where it would hide more than a fiftieth of the lesion.
    """
    side, radius = rng.choice([-1.0, 1.0]), rng.uniform(0.18, 0.32)
    x = side * (canvas.width / canvas.unit / 2 - rng.uniform(-0.05, 0.3) * radius)
    y = rng.uniform(-0.35, 0.35)
    colour = (
        np.array(_PATCH_COLOURS[int(rng.integers(len(_PATCH_COLOURS)))], dtype=np.float32) / 255
    )
    far = (radius - np.hypot((canvas.x - x) * 1.15, canvas.y - y)) * canvas.unit
    cover = np.clip(far + 0.5, 0.0, 1.0)[..., None].astype(np.float32)
    if (cover[..., 0] * mask).sum() > 0.02 * mask.sum():
        return picture
    paper = colour * (1.0 + 0.03 * canvas.field(rng, 0.012)[..., None])
    return picture + cover * (paper - picture)


def light_through_tube(rng: np.random.Generator, canvas: Canvas, picture: Field) -> Field:
    """Uneven light, a dermatoscope's round dark rim in two fifths of the pictures, and grain."""
    tilt = rng.normal(0.0, 0.06, size=2)
    light = 1.0 + tilt[0] * canvas.x + tilt[1] * canvas.y
    far = np.hypot(canvas.x, canvas.y)
    light = light * (1.0 - rng.uniform(0.0, 0.35) * far**2)
    if rng.uniform() < 0.38:
        edge = rng.uniform(0.56, 0.72)
        sharp = rng.uniform(0.004, 0.03)
        light = light / (1.0 + np.exp(np.clip((far - edge) / sharp, -30.0, 30.0)))
    shape = (canvas.height, canvas.width, 1)
    grain = 0.012 * rng.standard_normal(shape, dtype=np.float32)
    return (picture * light[..., None] + grain).astype(np.float32)


def _sheet(canvas: Canvas) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty oversampled greyscale layer and its pen."""
    layer = Image.new("L", (canvas.width * _OVERSAMPLING, canvas.height * _OVERSAMPLING))
    return layer, ImageDraw.Draw(layer)


def _to_sheet(canvas: Canvas, points: NDArray[np.floating]) -> list[tuple[float, float]]:
    """Points [2, n] in units of length to pixels of the oversampled layer."""
    middle = np.array([[canvas.width / 2], [canvas.height / 2]])
    pixels = (points * canvas.unit + middle) * _OVERSAMPLING
    return [(float(x), float(y)) for x, y in pixels.T]


def _pen(canvas: Canvas, width: float) -> int:
    """A line width in units of length as whole pixels of the oversampled layer."""
    return max(1, round(width * canvas.unit * _OVERSAMPLING))


def _reduced(canvas: Canvas, layer: Image.Image) -> Field:
    """The layer at image size, 0 to 1 [height, width]."""
    return np.asarray(layer.reduce(_OVERSAMPLING), dtype=np.float32) / 255.0
