"""When the last job ends if jobs are given to the device that is free first."""

import heapq
from collections.abc import Iterable


def wall_seconds(jobs: Iterable[float], devices: int) -> float:
    """Seconds until all jobs are done, the longest begun first.

    Args:
        jobs: their seconds.
        devices: how many run at the same time, one job each.

    Raises:
        ValueError: there is no device.
    """
    if devices < 1:
        raise ValueError(f"found {devices} devices; at least one is needed")
    free = [0.0] * devices
    for seconds in sorted(jobs, reverse=True):
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
