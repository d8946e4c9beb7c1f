"""Pigmented lesions: the outline and the colour of a nevus, a melanoma, a seborrhoeic keratosis.

Colour follows the law of Beer and Lambert: skin is what light is left after melanin and blood have
absorbed their part, so brown deepens to black and redness stays red whatever the skin tone. Each
kind draws its traits from its own ranges, which overlap with those of the others on purpose: some
nevi are irregular, some melanomas plain, some keratoses dark. What tells the kinds apart are the
criteria of dermoscopy (ABCD rule, milia-like cysts, sharp border), not one colour.

Coordinates are in units of the square root of the image area, so that a picture looks the same at
every size.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from workflow.data.phantom.fields import Field, ridges, smooth_field

Kind = Literal["nevus", "melanoma", "seborrheic_keratosis"]

# Absorption of red, green and blue light by one unit of pigment. Their ratios fit the medians of
# lesion against surrounding skin in 360 real ISIC 2017 training images.
MELANIN = np.array([0.25, 0.66, 1.0], dtype=np.float32)
BLOOD = np.array([0.10, 0.62, 0.52], dtype=np.float32)
_CHARCOAL = np.array([1.0, 1.1, 1.0], dtype=np.float32)
_BLUE_VEIL = np.array([0.40, 0.43, 0.51], dtype=np.float32)
_SCAR = np.array([0.80, 0.72, 0.70], dtype=np.float32)
_WAX = np.array([0.60, 0.50, 0.40], dtype=np.float32)
_KERATIN = np.array([0.97, 0.92, 0.78], dtype=np.float32)


@dataclass(frozen=True)
class Canvas:
    """Pixel grid of one image: x as [1, width], y as [height, 1], both centred."""

    height: int
    width: int

    @property
    def unit(self) -> float:
        """Pixels in one unit of length: the side of the square of the same area."""
        return float(np.sqrt(self.height * self.width))

    @property
    def x(self) -> Field:
        """Horizontal positions [1, width]."""
        x = (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) / self.unit
        return x[None, :].astype(np.float32)

    @property
    def y(self) -> Field:
        """Vertical positions [height, 1]."""
        y = (np.arange(self.height, dtype=np.float32) + 0.5 - self.height / 2) / self.unit
        return y[:, None].astype(np.float32)

    def field(self, rng: np.random.Generator, length: float | tuple[float, float]) -> Field:
        """Smooth random field [height, width], unit variance, smooth over `length`."""
        extent = (self.height / self.unit, self.width / self.unit)
        return smooth_field(rng, (self.height, self.width), extent, length)


@dataclass(frozen=True)
class Traits:
    """What one lesion is like.

    Attributes:
        area: part of the image it covers.
        aspect: short over long axis.
        lobes: how many discs its outline is merged from.
        spread: distance of the lobes from its centre, in radii.
        ragged: border irregularity, coarse and fine, in radii.
        edge: width over which it fades into the skin, in radii.
        melanin: pigment in its body.
        blood: redness in its body.
        patchy: how unevenly pigment is spread.
        network: strength of the pigment network.
        globules: strength of dark dots all over.
        blotches: strength of off-centre black patches.
        veil: strength of the blue-white veil.
        scar: strength of white regression.
        wax: strength of the dull yellow-grey surface of a keratosis.
        fissures: strength of its furrows.
        milia: number of white cysts.
        openings: number of dark plugs.
    """

    area: float
    aspect: float
    lobes: int
    spread: float
    ragged: tuple[float, float]
    edge: float
    melanin: float
    blood: float
    patchy: float
    network: float = 0.0
    globules: float = 0.0
    blotches: float = 0.0
    veil: float = 0.0
    scar: float = 0.0
    wax: float = 0.0
    fissures: float = 0.0
    milia: int = 0
    openings: int = 0


@dataclass(frozen=True)
class SkinLesion:
    """A drawn lesion: `depth` [height, width], 0 on its border, 1 at its core; its traits."""

    depth: Field
    traits: Traits

    @property
    def mask(self) -> NDArray[np.bool_]:
        """What an annotator would outline [height, width]: one piece without holes."""
        pieces = np.empty(self.depth.shape, dtype=np.int32)
        ndimage.label(self.depth > 0, output=pieces)
        sizes = np.bincount(pieces.ravel())[1:]
        largest = pieces == 1 + int(sizes.argmax())
        return np.asarray(ndimage.binary_fill_holes(largest), dtype=np.bool_)


def draw_traits(rng: np.random.Generator, kind: Kind) -> Traits:
    """Draw the traits of one lesion of a kind."""
    return {
        "nevus": _nevus,
        "melanoma": _melanoma,
        "seborrheic_keratosis": _keratosis,
    }[kind](rng)


def _nevus(rng: np.random.Generator) -> Traits:
    """Regular and homogeneous; one in six is atypical, with an uneven border and two tones."""
    atypical = rng.uniform() < 0.17
    pattern = rng.choice(3, p=[0.5, 0.2, 0.3])
    return Traits(
        area=_area(rng, 0.13),
        aspect=rng.uniform(0.68, 1.0),
        lobes=2 if atypical else 1,
        spread=0.35 if atypical else 0.0,
        ragged=(rng.uniform(0.08, 0.12), 0.05) if atypical else (rng.uniform(0.03, 0.07), 0.02),
        edge=rng.uniform(0.12, 0.4),
        melanin=float(np.clip(rng.lognormal(-0.25, 0.42), 0.3, 1.6)),
        blood=rng.uniform(0.0, 0.3),
        patchy=0.28 if atypical else rng.uniform(0.05, 0.16),
        network=rng.uniform(0.3, 0.7) if pattern == 0 else 0.05,
        globules=rng.uniform(0.3, 0.6) if pattern == 1 else 0.0,
        blotches=0.3 if atypical else 0.0,
    )


def _melanoma(rng: np.random.Generator) -> Traits:
    """Asymmetric, ragged, many-coloured; one in six is plain and passes for an atypical nevus."""
    plain = rng.uniform() < 0.17
    strength = 0.35 if plain else 1.0
    shows = rng.uniform(size=3) < (0.65, 0.5, 0.4)
    return Traits(
        area=_area(rng, 0.19),
        aspect=rng.uniform(0.6, 1.0),
        lobes=int(rng.integers(2, 5)),
        spread=rng.uniform(0.35, 0.65) * (0.7 if plain else 1.0),
        ragged=(rng.uniform(0.12, 0.22) * (0.7 if plain else 1.0), rng.uniform(0.05, 0.11)),
        edge=rng.uniform(0.06, 0.35),
        melanin=float(np.clip(rng.lognormal(-0.25, 0.42), 0.3, 1.6)),
        blood=rng.uniform(0.0, 0.4),
        patchy=rng.uniform(0.22, 0.48) * (0.7 if plain else 1.0),
        network=rng.uniform(0.1, 0.6),
        globules=rng.uniform(0.0, 0.4),
        blotches=rng.uniform(0.4, 1.3) * strength * shows[0],
        veil=rng.uniform(0.35, 0.75) * strength * shows[1],
        scar=rng.uniform(0.3, 0.65) * strength * shows[2],
    )


def _keratosis(rng: np.random.Generator) -> Traits:
    """Sharply bordered and waxy with cysts and plugs; one in five is dark and poor in them."""
    dark = rng.uniform() < 0.2
    return Traits(
        area=_area(rng, 0.13),
        aspect=rng.uniform(0.6, 1.0),
        lobes=int(rng.choice([1, 1, 2, 3])),
        spread=0.45,
        ragged=(rng.uniform(0.04, 0.1), rng.uniform(0.02, 0.06)),
        edge=rng.uniform(0.03, 0.08),
        melanin=float(np.clip(rng.lognormal(-0.1 if dark else -0.75, 0.35), 0.2, 1.4)),
        blood=rng.uniform(0.0, 0.25),
        patchy=rng.uniform(0.1, 0.3),
        wax=rng.uniform(0.2, 0.35) if dark else rng.uniform(0.35, 0.65),
        fissures=rng.uniform(0.1, 0.5),
        milia=int(rng.integers(0, 6) if dark else rng.integers(3, 16)),
        openings=int(rng.integers(0, 5) if dark else rng.integers(1, 13)),
    )


def _area(rng: np.random.Generator, median: float) -> float:
    """Part of the image a lesion covers: wide spread as in the real set, but never a speck."""
    return float(np.clip(rng.lognormal(np.log(median), 0.65), 0.03, 0.5))


def draw_outline(rng: np.random.Generator, canvas: Canvas, traits: Traits) -> SkinLesion:
    """Shape a lesion: merged discs, stretched and turned, with a border roughened by noise."""
    radius = np.sqrt(traits.area / np.pi)
    tilt = rng.uniform(0.0, np.pi)
    # Large lesions stay near the middle, small ones are seldom framed exactly.
    centre = rng.uniform(-1.0, 1.0, size=2) * max(0.02, 0.22 - 0.5 * radius)
    dx, dy = canvas.x - centre[0], canvas.y - centre[1]
    stretch = np.sqrt(traits.aspect)
    along = (np.cos(tilt) * dx + np.sin(tilt) * dy) * stretch / radius
    across = (np.cos(tilt) * dy - np.sin(tilt) * dx) / stretch / radius
    start = rng.uniform(0.0, 2 * np.pi)
    angles = (
        start
        + 2
        * np.pi
        * (np.arange(traits.lobes) + rng.uniform(-0.25, 0.25, traits.lobes))
        / traits.lobes
    )
    sizes = np.ones(1) if traits.lobes == 1 else rng.uniform(0.55, 0.9, size=traits.lobes)
    discs = [
        (size - np.hypot(along - traits.spread * np.cos(a), across - traits.spread * np.sin(a)))
        / size
        for a, size in zip(angles, sizes, strict=True)
    ]
    # A soft maximum rounds the notches between discs, as in grown tissue.
    sharpness = 6.0
    depth = np.log(np.sum([np.exp(sharpness * disc) for disc in discs], axis=0)) / sharpness
    coarse, fine = traits.ragged
    depth = (
        depth + coarse * canvas.field(rng, 0.55 * radius) + fine * canvas.field(rng, 0.13 * radius)
    )
    return SkinLesion(depth.astype(np.float32), traits)


def paint(rng: np.random.Generator, canvas: Canvas, skin: Field, lesion: SkinLesion) -> Field:
    """Paint a lesion onto skin.

    Args:
        rng: source of randomness.
        canvas: pixel grid.
        skin: linear RGB [height, width, 3] around 0 to 1.
        lesion: outline and traits.

    Returns:
        RGB [height, width, 3].
    """
    traits = lesion.traits
    cover = _cover(rng, canvas, lesion)
    size = np.sqrt(traits.area / np.pi)
    pigment = traits.melanin * np.exp(traits.patchy * canvas.field(rng, 0.5 * size))
    pigment = pigment * (0.8 + 0.35 * np.clip(lesion.depth, 0.0, 1.0))
    pigment = _structures(rng, canvas, lesion, pigment)
    redness = traits.blood * np.exp(0.4 * canvas.field(rng, 0.5 * size))
    # Dense melanin absorbs red as well: brown turns to black, not to orange.
    pigment, dense = pigment[..., None], 0.13 * pigment[..., None] ** 2
    absorbed = pigment * MELANIN + dense + redness[..., None] * BLOOD
    absorbed = absorbed + _blotches(rng, canvas, lesion)[..., None] * _CHARCOAL
    body = skin * np.exp(-absorbed)
    if traits.wax:
        body = body + traits.wax * (
            0.75 * body.mean(axis=2, keepdims=True) / 0.45 * _WAX - 0.75 * body
        )
    for strength, tone in ((traits.veil, _BLUE_VEIL), (traits.scar, _SCAR)):
        if strength:
            region = strength * _region(rng, canvas, lesion)[..., None]
            body = body * (1.0 - region) + region * tone * (
                0.9 + 0.1 * canvas.field(rng, 0.02)[..., None]
            )
    body = _keratin(rng, canvas, lesion, body)
    return skin + cover[..., None] * (body - skin)


def _cover(rng: np.random.Generator, canvas: Canvas, lesion: SkinLesion) -> Field:
    """How much of the lesion shows, 0 to 1 [height, width]; its edge is not everywhere as sharp."""
    width = np.minimum(lesion.traits.edge * np.exp(0.4 * canvas.field(rng, 0.3)), 0.5)
    # Half-way lies a little outside the outline: annotators include the fading rim.
    return (1.0 / (1.0 + np.exp(-np.clip(4.0 * lesion.depth / width + 1.0, -30.0, 30.0)))).astype(
        np.float32
    )


def _structures(
    rng: np.random.Generator, canvas: Canvas, lesion: SkinLesion, pigment: Field
) -> Field:
    """Lay pigment network, globules and furrows over the even `pigment` [height, width]."""
    traits = lesion.traits
    if traits.network:
        # Two nets of lines laid over each other close into the meshes of a honeycomb.
        meshes = [ridges(canvas.field(rng, 0.022), 0.32) for _ in range(2)]
        net = np.maximum(*meshes)
        # A network is clearest halfway out; the middle is often filled in.
        zone = np.exp(-(((lesion.depth - 0.3) / 0.35) ** 2))
        pigment = pigment * (1.0 + traits.network * (0.35 + 0.65 * zone) * (net - 0.45))
    if traits.globules:
        dots = np.clip(canvas.field(rng, 0.018) - 0.9, 0.0, 1.2)
        pigment = pigment * (1.0 + 1.3 * traits.globules * dots)
    if traits.fissures:
        furrows = ridges(canvas.field(rng, (0.045, 0.07)), 0.28)
        pigment = pigment * (1.0 + traits.fissures * (1.6 * furrows - 0.4))
    return np.asarray(pigment, dtype=np.float32)


def _blotches(rng: np.random.Generator, canvas: Canvas, lesion: SkinLesion) -> Field:
    """Absorption of structureless black patches [height, width], off the centre."""
    traits = lesion.traits
    if not traits.blotches:
        return np.zeros_like(lesion.depth)
    rough = 0.15 * canvas.field(rng, 0.03)
    return traits.blotches * _region(rng, canvas, lesion, rough)


def _region(
    rng: np.random.Generator, canvas: Canvas, lesion: SkinLesion, rough: Field | float = 0.0
) -> Field:
    """A soft patch inside the lesion, 0 to 1 [height, width], seated on a random inner point."""
    size = np.sqrt(lesion.traits.area / np.pi)
    inner = np.argwhere(lesion.depth > 0.15)
    seat = (
        inner[int(rng.uniform() * len(inner))]
        if len(inner)
        else (canvas.height // 2, canvas.width // 2)
    )
    far = np.hypot(canvas.y - canvas.y[seat[0], 0], canvas.x - canvas.x[0, seat[1]]) / size
    level = 0.65 - far + 0.22 * canvas.field(rng, 0.4 * size) + rough
    return (1.0 / (1.0 + np.exp(-9.0 * level))).astype(np.float32)


def _keratin(rng: np.random.Generator, canvas: Canvas, lesion: SkinLesion, body: Field) -> Field:
    """Add milia-like cysts (white) and comedo-like openings (dark brown) to a keratosis."""
    traits = lesion.traits
    inner = np.argwhere(lesion.depth > 0.12)
    if len(inner) == 0:
        return body
    for index in range(traits.milia + traits.openings):
        seat = inner[int(rng.uniform() * len(inner))]
        white = index < traits.milia
        radius = rng.uniform(0.006, 0.013) if white else rng.uniform(0.006, 0.017)
        strength = rng.uniform(0.3, 0.8) if white else -rng.uniform(0.25, 0.7)
        far = np.hypot(canvas.y - canvas.y[seat[0], 0], canvas.x - canvas.x[0, seat[1]]) / radius
        spot = np.exp(-(far**2) if white else -(far**4))[..., None]
        body = body + spot * strength * ((_KERATIN - body) if white else body)
    return body
