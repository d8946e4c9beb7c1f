"""How an OCT scanner shows a macula: reflectivity of each layer, shadows, speckle, device look.

A B-scan is displayed on a logarithmic scale, on which speckle is close to additive noise that
grows with the signal. Reflectivities are display values between 0 and 1; they follow the usual
look of spectral-domain OCT, not a measurement.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from workflow.data.phantom.fields import Field
from workflow.data.phantom.retina_anatomy import SURFACES, Anatomy, Cysts

# Display value of what lies below each boundary.
_REFLECTIVITY = {
    "ilm": 0.74,
    "gcl_top": 0.50,
    "ipl_top": 0.57,
    "inl_top": 0.34,
    "opl_top": 0.50,
    "onl_top": 0.27,
    "elm_top": 0.46,
    "myoid_top": 0.36,
    "ez_top": 0.84,
    "os_top": 0.50,
    "tips": 0.06,
    "rpe_top": 0.95,
    "rpe_bottom": 0.36,
    "bruch_top": 0.62,
}
_CYST = 0.05
_CHOROID_UM = 420.0
# B-scans rendered at a time hold about this many voxels, so that the passes stay in the cache.
_BLOCK_VOXELS = 200_000


@dataclass(frozen=True)
class Optics:
    """The look of one device.

    Attributes:
        floor: display value of the vitreous.
        gain: display value of a reflectivity of 1, above the floor.
        gamma: exponent of the display curve; below 1 lifts the dark parts.
        floor_noise: standard deviation of the noise where there is no signal.
        speckle: what the noise gains per unit of signal.
        lateral: weight of the neighbouring A-scan in the noise, 0 (fine) to 1 (streaky).
        fade_um: depth over which the choroid fades by a factor e.
    """

    floor: float
    gain: float
    gamma: float
    floor_noise: float
    speckle: float
    lateral: float
    fade_um: float


def render(
    rng: np.random.Generator, anatomy: Anatomy, optics: Optics, dtype: type[np.uint8 | np.uint16]
) -> NDArray[np.uint8 | np.uint16]:
    """Scan an anatomy.

    Args:
        rng: source of speckle and texture.
        anatomy: surfaces and fluids.
        optics: the device.
        dtype: uint8 or uint16; the display range 0 to 1 fills it.

    Returns:
        [slices, rows, columns] of `dtype`.
    """
    grid = anatomy.grid
    steps = _layer_steps(rng, anatomy)
    choroid = _choroid(rng, anatomy, optics)
    volume = np.empty((grid.slices, grid.rows, grid.columns), dtype=dtype)
    block = max(1, _BLOCK_VOXELS // (grid.rows * grid.columns))
    for first in range(0, grid.slices, block):
        some = slice(first, min(first + block, grid.slices))
        signal = _tissue(anatomy, steps, choroid, some)
        volume[some] = _display(rng, signal, optics, dtype)
    return volume


def _layer_steps(rng: np.random.Generator, anatomy: Anatomy) -> dict[str, Field]:
    """Change of display value at each boundary, [slices, columns]; their sum ends at zero.

    Layers vary a little en face, and vessels shade all that lies below the nerve fibres.
    """
    grid = anatomy.grid
    light = 1.0 - 0.1 * np.abs(grid.plane[1]) / (grid.extent[1] / 2)
    shade = 1.0 - 0.55 * anatomy.vessels
    # What lifts the RPE ranges from clear serum to grey fibrovascular tissue.
    serous = rng.uniform(0.6, 1.25)
    below: Field = np.zeros((grid.slices, grid.columns), dtype=np.float32)
    steps = {}
    for name in SURFACES[:-1]:
        value = _REFLECTIVITY[name] * light * np.exp(0.06 * grid.field(rng, 0.35))
        if name == "rpe_bottom":
            value = value * serous * np.exp(0.10 * grid.field(rng, 0.5))
        value = value + 0.15 * anatomy.vessels if name == "ilm" else value * shade
        steps[name] = (value - below).astype(np.float32)
        below = value
    # The choroid has its own texture and is added apart.
    steps["choroid_top"] = -np.asarray(below, dtype=np.float32)
    return steps


def _choroid(rng: np.random.Generator, anatomy: Anatomy, optics: Optics) -> Field:
    """Choroid flattened on Bruch's membrane, [slices, depth in rows, columns].

    Dark vessel lumina in brighter stroma, fading with depth and shaded by what lies above.
    """
    grid = anatomy.grid
    depth = max(2, min(grid.rows, round(_CHOROID_UM / grid.row_um)))
    noise = rng.standard_normal((grid.slices, depth, grid.columns), dtype=np.float32)
    sigma = (0.06 / grid.slice_mm, 14.0 / grid.row_um, 0.06 / grid.column_mm)
    texture = gaussian_filter(noise, sigma, truncate=2.5)
    texture *= 1.0 / max(float(texture.std()), 1e-6)
    um = (np.arange(depth, dtype=np.float32) * grid.row_um)[:, None]
    fade = np.exp(-um / optics.fade_um) * (1.0 - um / _CHOROID_UM).clip(0.0)
    capillaries = np.exp(-um / 25.0)
    gap = anatomy.surfaces["bruch_top"] - anatomy.surfaces["rpe_bottom"]
    shade = (1.0 - 0.55 * anatomy.vessels) / (1.0 + 0.003 * grid.row_um * gap)
    value = (0.52 + 0.13 * texture) * fade + 0.16 * capillaries
    return (value * shade[:, None, :]).astype(np.float32)


def _tissue(anatomy: Anatomy, steps: dict[str, Field], choroid: Field, some: slice) -> Field:
    """Noise-free display values [block, rows, columns] above the vitreous, area-averaged by row."""
    row = np.arange(anatomy.grid.rows, dtype=np.float32)[:, None]
    shape = (len(choroid[some]), anatomy.grid.rows, anatomy.grid.columns)
    signal = np.zeros(shape, dtype=np.float32)
    cover = np.empty(shape, dtype=np.float32)
    for name, step in steps.items():
        _cover(anatomy.surfaces[name][some], row, cover)
        if name == "choroid_top":
            depth = (row - anatomy.surfaces[name][some][:, None, :]).astype(np.intp)
            np.clip(depth, 0, choroid.shape[1] - 1, out=depth)
            signal += cover * np.take_along_axis(choroid[some], depth, axis=1)
        cover *= step[some][:, None, :]
        signal += cover
    for cysts in anatomy.cysts:
        _hollow(signal, cysts, some)
    return signal


def _cover(top: Field, row: Field, out: Field) -> None:
    """Fill `out` with the part of each row, 0 to 1, that lies below the depth `top`."""
    np.subtract(row + 1.0, top[:, None, :], out=out)
    np.clip(out, 0.0, 1.0, out=out)


def _hollow(signal: Field, cysts: Cysts, some: slice) -> None:
    """Replace tissue by fluid where a cyst lies, in place; rows are shared by area."""
    centre, half = cysts.centre[some], cysts.half[some]
    if not half.any():
        return
    low = max(0, int((centre - half)[half > 0].min()))
    high = min(signal.shape[1], int((centre + half)[half > 0].max()) + 2)
    row = np.arange(low, high, dtype=np.float32)[:, None]
    band = signal[:, low:high]
    inside, beyond = np.empty_like(band), np.empty_like(band)
    _cover(centre - half, row, inside)
    _cover(centre + half, row, beyond)
    inside -= beyond
    band += inside * (_CYST - band)


def _display(
    rng: np.random.Generator, signal: Field, optics: Optics, dtype: type[np.uint8 | np.uint16]
) -> NDArray[np.uint8 | np.uint16]:
    """Add speckle, apply the display curve and store in `dtype`; `signal` is used up."""
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    noise[..., 1:] += optics.lateral * noise[..., :-1]
    noise *= 1.0 / np.sqrt(1.0 + optics.lateral**2)
    noise *= optics.floor_noise + optics.speckle * signal
    signal *= optics.gain
    signal += noise
    signal += optics.floor
    np.clip(signal, 0.0, 1.0, out=signal)
    if optics.gamma != 1.0:
        np.power(signal, np.float32(optics.gamma), out=signal)
    signal *= np.iinfo(dtype).max
    return signal.astype(dtype)
