"""A macula made of surfaces: retinal layers, and the three fluids of RETOUCH between them.

Everything is a height over the en-face plane: a boundary is a depth per (B-scan, A-scan), a fluid
the gap between two boundaries. Intensities and reference labels are both read off these same
surfaces, so they agree by construction:

- SRF (subretinal fluid) is the gap between the photoreceptor tips and the pigment epithelium (RPE);
- PED (pigment epithelial detachment) is the gap between the RPE and Bruch's membrane;
- IRF (intraretinal fluid) is two sheets of cysts, one in the inner nuclear layer (INL), one in the
  outer nuclear layer (ONL), each cyst a lens within its layer, which swells around it.

Lengths are millimetres en face and micrometres in depth. Decision: layers are drawn half as thick
again as in a healthy eye (an oedematous retina) so that they survive reduction to 96 x 96.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from workflow.data.phantom.fields import Field, smooth_field

BACKGROUND, IRF, SRF, PED = 0, 1, 2, 3

# Boundaries from the vitreous down, each the top of the layer named beside it.
SURFACES = (
    "ilm",  # nerve fibres (RNFL)
    "gcl_top",  # ganglion cells
    "ipl_top",  # inner plexiform layer
    "inl_top",  # inner nuclear layer
    "opl_top",  # outer plexiform layer
    "onl_top",  # outer nuclear layer
    "elm_top",  # external limiting membrane
    "myoid_top",  # inner segments
    "ez_top",  # ellipsoid zone, the bright IS/OS line
    "os_top",  # outer segments
    "tips",  # photoreceptor tips; below them SRF, if any
    "rpe_top",  # pigment epithelium
    "rpe_bottom",  # below it PED, if any
    "bruch_top",  # Bruch's membrane
    "choroid_top",  # choriocapillaris and choroid
)
_STRETCH = 1.5
_OUTER_RETINA_UM = {"myoid": 20.0, "ez": 15.0, "os": 20.0, "elm": 7.0}
_RPE_UM, _BRUCH_UM = 26.0, 7.0


@dataclass(frozen=True)
class Grid:
    """Sampling of a volume: counts, and the size of one step in each direction."""

    slices: int
    rows: int
    columns: int
    slice_mm: float
    row_um: float
    column_mm: float

    @property
    def extent(self) -> tuple[float, float]:
        """Millimetres covered across B-scans and along one."""
        return self.slices * self.slice_mm, self.columns * self.column_mm

    @property
    def plane(self) -> tuple[Field, Field]:
        """Millimetres from the middle: z as [slices, 1] and x as [1, columns]."""
        z = (np.arange(self.slices, dtype=np.float32) + 0.5) * self.slice_mm - self.extent[0] / 2
        x = (np.arange(self.columns, dtype=np.float32) + 0.5) * self.column_mm - self.extent[1] / 2
        return z[:, None].astype(np.float32), x[None, :].astype(np.float32)

    def field(self, rng: np.random.Generator, length: float | tuple[float, float]) -> Field:
        """Smooth random field [slices, columns] over `length` millimetres."""
        return smooth_field(rng, (self.slices, self.columns), self.extent, length)


@dataclass(frozen=True)
class Cysts:
    """One sheet of cysts: at each A-scan a span `centre - half` to `centre + half`, in rows."""

    centre: Field
    half: Field


@dataclass(frozen=True)
class Anatomy:
    """Depths in rows from the top of the B-scan, [slices, columns] each.

    `surfaces` is keyed by SURFACES, top to bottom and never crossing; `vessels` is how much of
    the light inner-retinal vessels take, 0 to 1; `grid` the sampling all of it was made for.
    """

    grid: Grid
    surfaces: Mapping[str, Field]
    cysts: tuple[Cysts, Cysts]
    vessels: Field


@dataclass(frozen=True)
class Form:
    """How a detachment bulges.

    Attributes:
        height_um: range of its height.
        roundness: exponent of the parabolic dome; 1 tapers like SRF, less is blunt like PED.
        wobble: irregularity of its outline, as a part of its radius.
    """

    height_um: tuple[float, float]
    roundness: float
    wobble: float


_SRF_FORM = Form(height_um=(190.0, 350.0), roundness=0.95, wobble=0.06)
_PED_FORM = Form(height_um=(160.0, 320.0), roundness=0.75, wobble=0.16)


@dataclass(frozen=True)
class RetinalFluid:
    """Where a fluid lies en face: centre and half-lengths in millimetres, across and along."""

    centre: tuple[float, float]
    radius: tuple[float, float]


def grow_anatomy(rng: np.random.Generator, grid: Grid, shares: Mapping[int, float]) -> Anatomy:
    """Grow one macula.

    Args:
        rng: source of randomness; the same state gives the same eye at every in-plane sampling.
        grid: sampling.
        shares: part of the B-scans that each fluid shall span, by label; 0 leaves it out.

    Returns:
        The anatomy.
    """
    z, x = grid.plane
    fovea = rng.uniform(-0.3, 0.3, size=2)
    nasal = float(rng.choice([-1.0, 1.0]))
    radius = np.hypot(z - fovea[0], x - fovea[1]).astype(np.float32)
    lesions = {label: _place(rng, grid, label, share) for label, share in shares.items()}
    srf = _detachment(rng, grid, lesions[SRF], shares[SRF], _SRF_FORM)
    ped = _detachment(rng, grid, lesions[PED], shares[PED], _PED_FORM)
    layers = _layer_thickness(rng, grid, radius, nasal * x)
    sheets = {
        "inl": _cyst_sheet(rng, grid, lesions[IRF], shares[IRF], step=0.42, height=(45.0, 85.0)),
        "onl": _cyst_sheet(rng, grid, lesions[IRF], shares[IRF], step=0.62, height=(80.0, 150.0)),
    }
    for name, (half, _) in sheets.items():
        layers[name] = layers[name] + 2.2 * gaussian_filter(half, _pixels(grid, 0.16))
    layers = _ease(grid, layers, srf + ped)
    surfaces = _stack(layers, _bruch(rng, grid, z, x), srf, ped)
    return Anatomy(
        grid=grid,
        surfaces={name: (surfaces[name] / grid.row_um).astype(np.float32) for name in SURFACES},
        cysts=(
            _fit(grid, sheets["inl"], surfaces["inl_top"], surfaces["opl_top"]),
            _fit(grid, sheets["onl"], surfaces["onl_top"], surfaces["elm_top"]),
        ),
        vessels=_vessels(rng, grid, z - fovea[0], x - fovea[1], nasal),
    )


def label_rows(anatomy: Anatomy, first: int, last: int) -> NDArray[np.uint8]:
    """Reference labels of the B-scans `first` to `last` (excluded).

    A voxel belongs to a fluid when its centre does.

    Returns:
        uint8 [last - first, rows, columns]: 0 background, 1 IRF, 2 SRF, 3 PED.
    """
    some = slice(first, last)
    grid = anatomy.grid
    labels = np.zeros((last - first, grid.rows, grid.columns), dtype=np.uint8)
    depth = anatomy.surfaces
    gaps: list[tuple[Field, Field, int]] = [
        *((cysts.centre - cysts.half, cysts.centre + cysts.half, IRF) for cysts in anatomy.cysts),
        (depth["tips"], depth["rpe_top"], SRF),
        (depth["rpe_bottom"], depth["bruch_top"], PED),
    ]
    for top, bottom, label in gaps:
        top, bottom = top[some], bottom[some]
        open_here = bottom > top
        if not open_here.any():
            continue
        # Only the band of rows that the gap crosses is looked at: most of a B-scan is not fluid.
        low = max(0, int(top[open_here].min()))
        high = min(grid.rows, int(bottom[open_here].max()) + 1)
        middle = np.arange(low, high, dtype=np.float32)[:, None] + 0.5
        inside = (middle >= top[:, None, :]) & (middle < bottom[:, None, :])
        labels[:, low:high][inside] = label
    return labels


def _pixels(grid: Grid, millimetres: float) -> tuple[float, float]:
    """A length en face as numbers of B-scans and of A-scans."""
    return millimetres / grid.slice_mm, millimetres / grid.column_mm


def _place(rng: np.random.Generator, grid: Grid, label: int, share: float) -> RetinalFluid:
    """Draw where a fluid lies; across B-scans it spans `share` of the volume."""
    depth, width = grid.extent
    half = share * depth / 2
    room = depth / 2 - half
    z = float(np.clip(rng.normal(0.0, 0.11 * depth), -room, room))
    x = float(rng.uniform(-0.9, 0.9))
    half_width = {IRF: (0.8, 1.5), SRF: (0.9, 1.5), PED: (0.7, 1.2)}[label]
    return RetinalFluid(centre=(z, x), radius=(half, rng.uniform(*half_width) * width / 6.0))


def _reach(grid: Grid, lesion: RetinalFluid) -> Field:
    """Distance from the centre of a lesion [slices, columns]; 1 on its outline."""
    z, x = grid.plane
    across = (z - lesion.centre[0]) / lesion.radius[0]
    return np.hypot(across, (x - lesion.centre[1]) / lesion.radius[1]).astype(np.float32)


def _dome(grid: Grid, lesion: RetinalFluid, form: Form, wobble: Field) -> Field:
    """Unit dome [slices, columns]: 1 on top, 0 outside."""
    reach = _reach(grid, lesion) * (1.0 + form.wobble * wobble)
    return np.maximum(0.0, 1.0 - reach**2).astype(np.float32) ** form.roundness


def _detachment(
    rng: np.random.Generator, grid: Grid, lesion: RetinalFluid, share: float, form: Form
) -> Field:
    """Height [slices, columns] in micrometres of SRF or PED: one dome and up to two smaller."""
    height = rng.uniform(*form.height_um)
    wobble = grid.field(rng, 0.7)
    bumps = rng.uniform(size=(2, 4))
    if share == 0:
        return np.zeros((grid.slices, grid.columns), dtype=np.float32)
    (z, x), (across, along) = lesion.centre, lesion.radius
    total = height * _dome(grid, lesion, form, wobble)
    for present, dz, dx, size in bumps:
        if present < 0.5:
            beside = x + np.sign(dx - 0.5) * (0.7 + 0.4 * size) * along
            small = RetinalFluid(
                centre=(z + (dz - 0.5) * across, beside),
                radius=(across * (0.3 + 0.2 * size), along * (0.35 + 0.3 * size)),
            )
            bump = height * (0.4 + 0.4 * size) * _dome(grid, small, form, wobble)
            total = np.maximum(total, bump)
    return total


def _ease(grid: Grid, layers: Mapping[str, Field], lifted: Field) -> dict[str, Field]:
    """Let the retina bridge the rim of a detachment and thin over its top.

    The inner surface follows a blurred copy of what lifts it, and the layers inside of the
    photoreceptors stretch or shrink together to make up the difference.
    """
    flexible = [name for name in layers if name not in _OUTER_RETINA_UM]
    thickness = np.sum([layers[name] for name in flexible], axis=0)
    wanted = gaussian_filter(lifted, _pixels(grid, 0.3)) - 1.1 * lifted
    factor = np.clip(1.0 + wanted / thickness, 0.5, 1.6)
    return {name: layer * (factor if name in flexible else 1.0) for name, layer in layers.items()}


def _layer_thickness(
    rng: np.random.Generator, grid: Grid, radius: Field, toward_disc: Field
) -> dict[str, Field]:
    """Thickness in micrometres of each layer, before any fluid.

    The inner layers vanish in the foveal pit and are thickest 1 mm from it; nerve fibres gather
    towards the optic disc; the outer nuclear layer is thickest under the pit.
    """
    outside_pit = 1.0 - np.exp(-((radius / 0.5) ** 2))
    around_pit = np.exp(-(((radius - 1.0) / 0.9) ** 2))
    healthy = {
        "rnfl": (5.0 + 38.0 / (1.0 + np.exp(-1.2 * toward_disc))) * (0.1 + 0.9 * outside_pit),
        "gcl": 48.0 * outside_pit * (0.45 + 0.55 * around_pit),
        "ipl": 42.0 * outside_pit * (0.6 + 0.4 * around_pit),
        "inl": 38.0 * (0.15 + 0.85 * outside_pit),
        "opl": 30.0 * (0.4 + 0.6 * outside_pit),
        "onl": 66.0 + 40.0 * np.exp(-((radius / 0.6) ** 2)),
    }
    layers = {
        name: (_STRETCH * value * np.exp(0.07 * grid.field(rng, 1.2))).astype(np.float32)
        for name, value in healthy.items()
    }
    flat = np.ones_like(radius)
    return layers | {name: _STRETCH * um * flat for name, um in _OUTER_RETINA_UM.items()}


def _bruch(rng: np.random.Generator, grid: Grid, z: Field, x: Field) -> Field:
    """Depth of Bruch's membrane in micrometres: a tilted bowl, with the eye's tremor."""
    depth, width = grid.extent
    tilt = rng.uniform(-90.0, 90.0, size=2)
    bowl = rng.uniform(20.0, 120.0)
    level = grid.rows * grid.row_um * rng.uniform(0.66, 0.72)
    u, v = x / (width / 2), z / (depth / 2)
    tremor = 3.0 * smooth_field(rng, (grid.slices, 1), (depth, 1.0), (2 * grid.slice_mm, 1.0))
    shape = tilt[0] * u + 0.5 * tilt[1] * v - bowl * (u**2 + 0.6 * v**2)
    return (level + shape + 8.0 * grid.field(rng, 1.5) + tremor).astype(np.float32)


def _cyst_sheet(
    rng: np.random.Generator,
    grid: Grid,
    cluster: RetinalFluid,
    share: float,
    step: float,
    height: tuple[float, float],
) -> tuple[Field, Field]:
    """Cysts on a jittered honeycomb inside `cluster`, so that thin walls stay between them.

    Returns:
        Half heights in micrometres and, for each cyst, where in its layer it floats (-1 to 1);
        both [slices, columns].
    """
    half = np.zeros((grid.slices, grid.columns), dtype=np.float32)
    float_at = np.zeros_like(half)
    if share == 0:
        return half, float_at
    reach_z, reach_x = cluster.radius
    for row in range(-int(reach_z / (0.87 * step)), int(reach_z / (0.87 * step)) + 1):
        for column in range(-int(reach_x / step) - 1, int(reach_x / step) + 1):
            dz, dx = 0.87 * step * row, step * (column + row % 2 / 2)
            shift_z, shift_x, size, at, kept = rng.uniform(size=5)
            edge = np.hypot(dz / reach_z, dx / reach_x)
            # Gaps make a cluster irregular, but it is never empty.
            if edge > 1.0 or (kept < 0.18 and edge > 0):
                continue
            centre = (
                cluster.centre[0] + dz + 0.3 * (shift_z - 0.5) * step,
                cluster.centre[1] + dx + 0.3 * (shift_x - 0.5) * step,
            )
            width = step * (0.36 + 0.2 * size)
            # A cyst thinner than the distance between B-scans would show in one of them only.
            cyst = RetinalFluid(centre, radius=(max(width, 1.3 * grid.slice_mm), width))
            tall = (height[0] + size * (height[1] - height[0])) * (1.0 - 0.35 * edge)
            lens = tall * np.sqrt(np.maximum(0.0, 1.0 - _reach(grid, cyst) ** 2))
            float_at[lens > half] = 2.0 * at - 1.0
            np.maximum(half, lens, out=half)
    return half, float_at


def _fit(grid: Grid, sheet: tuple[Field, Field], top: Field, bottom: Field) -> Cysts:
    """Place a sheet of cysts within its (already swollen) layer, in rows."""
    half, float_at = sheet
    room = (bottom - top) / 2
    half = np.minimum(half, 0.94 * room)
    centre = (top + bottom) / 2 + float_at * (room - half) * 0.8
    return Cysts((centre / grid.row_um).astype(np.float32), (half / grid.row_um).astype(np.float32))


def _stack(layers: Mapping[str, Field], bruch: Field, srf: Field, ped: Field) -> dict[str, Field]:
    """Pile the layers up from Bruch's membrane; every detachment lifts all that lies above it."""
    surfaces = {"choroid_top": bruch + _STRETCH * _BRUCH_UM, "bruch_top": bruch}
    surfaces["rpe_bottom"] = bruch - ped
    surfaces["rpe_top"] = surfaces["rpe_bottom"] - _STRETCH * _RPE_UM
    surfaces["tips"] = above = surfaces["rpe_top"] - srf
    for name in ("os", "ez", "myoid", "elm", "onl", "opl", "inl", "ipl", "gcl", "rnfl"):
        above = above - layers[name]
        surfaces["ilm" if name == "rnfl" else f"{name}_top"] = above
    return surfaces


def _vessels(rng: np.random.Generator, grid: Grid, z: Field, x: Field, nasal: float) -> Field:
    """Light taken by vessels [slices, columns]: two arcades around the fovea and small branches."""
    wander = 0.12 * grid.field(rng, 1.0)
    taken = np.zeros((grid.slices, grid.columns), dtype=np.float32)
    toward_disc = nasal * x
    for side in (-1.0, 1.0):
        reach, thick = rng.uniform(1.5, 2.2), rng.uniform(0.05, 0.09)
        arcade = side * z - reach + 0.09 * (toward_disc + 0.5) ** 2 + wander
        taken = np.maximum(taken, np.exp(-((arcade / thick) ** 2)))
        for _ in range(4):
            start, slope, thin = (
                rng.uniform(-2.5, 2.5),
                rng.normal(0.0, 0.35),
                rng.uniform(0.03, 0.06),
            )
            branch = x - start - slope * (side * z - reach) + 2.0 * wander
            # Branches run from the arcade outwards and stop short of the avascular fovea.
            along = 1.0 / (1.0 + np.exp(-8.0 * (side * z - 0.9)))
            taken = np.maximum(taken, 0.8 * along * np.exp(-((branch / thin) ** 2)))
    return taken.astype(np.float32)
