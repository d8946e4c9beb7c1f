"""Intensities of volumes to 8-bit greys: which of them become 0 and 255."""

import numpy as np

from workflow.config.datasets import Intensity


def range_of(voxels: np.ndarray, rule: Intensity) -> tuple[float, float]:
    """The intensities of a volume that become 0 and 255.

    Args:
        voxels: the whole volume; of unsigned integers where the rule is `type`.
        rule: `type`, `volume` or a range; see `Intensity`.
    """
    if rule == "type":
        return 0, np.iinfo(voxels.dtype).max
    if rule == "volume":
        return voxels.min().item(), voxels.max().item()
    assert not isinstance(rule, str)  # the configuration allows no other of volumes
    return rule


def stretch(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Bring intensities from `low`..`high` to 0..255, clipped; where the two are equal, to 0.

    Args:
        pixels: numbers `[H, W]`, all finite.
        low, high: the bounds in the unit of `pixels`.

    Returns:
        float32 of the same shape.
    """
    if low == high:
        return np.zeros(pixels.shape, np.float32)
    # In float64, so that only the last step rounds, and `high` gives 255 and not a little more.
    share = (np.clip(pixels.astype(np.float64), low, high) - low) / (high - low)
    return (share * 255).astype(np.float32)
