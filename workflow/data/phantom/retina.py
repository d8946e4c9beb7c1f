"""Phantom RETOUCH volumes: which devices, how many scans, which fluids, and where the files go.

Geometry, element types, identifiers and prevalence follow the real volumes. How the eye is made is
in `retina_anatomy`, how a device shows it in `retina_optics`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workflow.data.phantom.metaimage import write_metaimage
from workflow.data.phantom.retina_anatomy import (
    IRF,
    PED,
    SRF,
    Anatomy,
    Grid,
    grow_anatomy,
    label_rows,
)
from workflow.data.phantom.retina_optics import Optics, render

# The numbers of two vendors are 24 apart, so more volumes would share identifiers.
MOST_VOLUMES = 24
# Below this a cyst is less than two rows tall and may slip between the voxel centres.
SMALLEST_SCALE = 0.1


@dataclass(frozen=True)
class Scan:
    """One acquisition protocol: counts, and millimetres per step (x and z as a range)."""

    columns: int
    rows: int
    slices: int
    x_mm: tuple[float, float]
    y_mm: float
    z_mm: tuple[float, float]


@dataclass(frozen=True)
class Vendor:
    """One device of the challenge.

    Attributes:
        number: distinguishes the random streams of the vendors.
        first_id: number of the first TRAINnnn.
        dtype: voxel type.
        scans: protocols, taken in turn by volume.
        shares: part of all B-scans that hold each fluid in the real set, by label.
        optics: the look.
    """

    number: int
    first_id: int
    dtype: type[np.uint8 | np.uint16]
    scans: tuple[Scan, ...]
    shares: dict[int, float]
    optics: Optics


_T1000 = Scan(512, 650, 128, (0.01172, 0.01172), 0.0035, (0.04688, 0.04688))
_T2000 = Scan(512, 885, 128, (0.01172, 0.01172), 0.0026, (0.04688, 0.04688))
_T2000_64 = Scan(512, 885, 64, (0.01172, 0.01172), 0.0026, (0.04688, 0.04688))

VENDORS = {
    "Cirrus": Vendor(
        number=0,
        first_id=1,
        dtype=np.uint8,
        scans=(Scan(512, 1024, 128, (0.011742, 0.011742), 0.001955, (0.0469, 0.0472)),),
        shares={IRF: 0.30, SRF: 0.23, PED: 0.20},
        optics=Optics(
            floor=0.20,
            gain=0.62,
            gamma=1.0,
            floor_noise=0.075,
            speckle=0.085,
            lateral=0.6,
            fade_um=170.0,
        ),
    ),
    "Spectralis": Vendor(
        number=1,
        first_id=25,
        dtype=np.uint16,
        scans=(Scan(512, 496, 49, (0.0109, 0.0120), 0.003872, (0.116, 0.129)),),
        shares={IRF: 0.43, SRF: 0.29, PED: 0.26},
        optics=Optics(
            floor=0.03,
            gain=0.90,
            gamma=1.15,
            floor_noise=0.022,
            speckle=0.075,
            lateral=0.2,
            fade_um=260.0,
        ),
    ),
    "Topcon": Vendor(
        number=2,
        first_id=49,
        dtype=np.uint8,
        # The real set has 12 volumes of 885 rows and 10 of 650; two of the former have 64 B-scans.
        scans=(_T1000, _T2000, _T1000, _T2000_64, _T2000, _T1000, _T2000, _T1000),
        shares={IRF: 0.26, SRF: 0.14, PED: 0.19},
        optics=Optics(
            floor=0.09,
            gain=0.72,
            gamma=0.8,
            floor_noise=0.045,
            speckle=0.10,
            lateral=0.9,
            fade_um=140.0,
        ),
    ),
}

# Of every four volumes one lacks each of SRF, PED and IRF in turn; a shift by one after each four
# keeps them from going together with a protocol. Any four in a row include one without SRF, and
# any first n >= 4 have every fluid in at least half.
_FLUIDS = ((IRF, SRF, PED), (IRF, PED), (IRF, SRF), (SRF, PED))
_VOLUMES_WITH = 3 / 4


@dataclass(frozen=True)
class Volume:
    """One phantom volume: scan and reference [slices, rows, columns], spacing (x, y, z) in mm."""

    oct: NDArray[np.uint8 | np.uint16]
    reference: NDArray[np.uint8]
    spacing: tuple[float, float, float]
    anatomy: Anatomy


def grow_volume(vendor: str, index: int, *, scale: float, seed: int) -> Volume:
    """Make volume number `index` (from 0) of a vendor, the same whatever else is made.

    Args:
        vendor: key of VENDORS.
        index: place in the vendor's set.
        scale: in-plane size over the real one.
        seed: of the whole data set.

    Returns:
        The volume, with the surfaces it was drawn from.
    """
    device = VENDORS[vendor]
    scan = device.scans[index % len(device.scans)]
    streams = np.random.SeedSequence([seed, device.number, index]).spawn(3)
    planner, grower, scanner = (np.random.default_rng(stream) for stream in streams)
    x_mm, z_mm = planner.uniform(*scan.x_mm), planner.uniform(*scan.z_mm)
    shares = _plan(planner, device, index)
    rows, columns = round(scan.rows * scale), round(scan.columns * scale)
    grid = Grid(
        slices=scan.slices,
        rows=rows,
        columns=columns,
        slice_mm=z_mm,
        row_um=1000.0 * scan.y_mm * scan.rows / rows,
        column_mm=x_mm * scan.columns / columns,
    )
    anatomy = grow_anatomy(grower, grid, shares)
    return Volume(
        oct=render(scanner, anatomy, device.optics, device.dtype),
        reference=label_rows(anatomy, 0, scan.slices),
        spacing=(x_mm / scale, scan.y_mm / scale, z_mm),
        anatomy=anatomy,
    )


def write_vendors(root: Path, *, volumes: int, scale: float, seed: int) -> None:
    """Write phantom volumes of every vendor; arguments as of `write_retouch`."""
    for vendor in VENDORS:
        write_retouch(root, vendor=vendor, volumes=volumes, scale=scale, seed=seed)


def write_retouch(root: Path, *, vendor: str, volumes: int, scale: float, seed: int) -> None:
    """Write the first `volumes` training volumes of one vendor as RETOUCH does.

    `root/RETOUCH-TrainingSet-{vendor}/TRAINnnn/{oct,reference}.{mhd,raw}`, each file whole or
    absent. Volume k depends on `vendor`, `scale`, `seed` and k alone.

    Args:
        root: folder for the data set; created.
        vendor: "Cirrus", "Spectralis" or "Topcon".
        volumes: how many, 1 to 24. From 4 on every fluid is in at least half of them, one has no
            SRF, and Topcon has both image heights and a volume of 64 B-scans.
        scale: in-plane size over the real one, 0.1 to 1; the number of B-scans is the real one.
        seed: not negative.

    Raises:
        ValueError: an argument outside these bounds.
    """
    if vendor not in VENDORS:
        raise ValueError(f"vendor: {vendor!r}; allowed are {', '.join(VENDORS)}")
    if not 1 <= volumes <= MOST_VOLUMES:
        raise ValueError(
            f"volumes: {volumes}; allowed are 1 to {MOST_VOLUMES}, beyond which the TRAINnnn "
            "numbers of two vendors would collide"
        )
    if not SMALLEST_SCALE <= scale <= 1:
        raise ValueError(f"scale: {scale}; allowed are {SMALLEST_SCALE} to 1")
    if seed < 0:
        raise ValueError(f"seed: {seed}; allowed are whole numbers from 0")
    folder = root / f"RETOUCH-TrainingSet-{vendor}"
    for index in range(volumes):
        volume = grow_volume(vendor, index, scale=scale, seed=seed)
        target = folder / f"TRAIN{VENDORS[vendor].first_id + index:03d}"
        write_metaimage(target / "oct.mhd", volume.oct, volume.spacing)
        write_metaimage(target / "reference.mhd", volume.reference, volume.spacing)


def _plan(rng: np.random.Generator, device: Vendor, index: int) -> dict[int, float]:
    """Part of this volume's B-scans that each fluid spans, so that the whole set nears the real."""
    present = _FLUIDS[(index + index // 4) % 4]
    spread = rng.uniform(0.7, 1.3, size=len(device.shares))
    return {
        label: share / _VOLUMES_WITH * factor if label in present else 0.0
        for (label, share), factor in zip(device.shares.items(), spread, strict=True)
    }
