"""Names beside points: placed where they cover neither a point nor another name."""

import math
from collections.abc import Sequence
from typing import NamedTuple

# Directions to try, in the order of preference, and distances in inches.
DIRECTIONS = [0, 180, 90, 270, 45, 315, 135, 225, 22, 338, 158, 202, 68, 292, 112, 248]
DISTANCES = (0.05, 0.12, 0.2, 0.3, 0.42, 0.56)


class LabelBox(NamedTuple):
    """A rectangle in inches."""

    left: float
    bottom: float
    right: float
    top: float

    def covers(self, other: "LabelBox") -> float:
        """The area that two have in common."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        tall = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(wide, 0) * max(tall, 0)


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    area: LabelBox,
    obstacles: Sequence[LabelBox] = (),
    radius: float = 0.035,
) -> list[LabelBox]:
    """Where labels go, one after the other from the left to the right.

    Args:
        points: what they belong to, inches.
        sizes: their widths and heights, inches.
        area: which they may not leave.
        obstacles: what else they should not cover.
        radius: the radius of a point's marker.

    Returns:
        A box for each label. If there is no free place, the one that covers least.
    """
    marks = [LabelBox(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    placed: dict[int, LabelBox] = {}
    for index in sorted(range(len(points)), key=lambda i: points[i]):
        taken = [*marks, *obstacles, *placed.values()]
        best, least = None, math.inf
        for box in _candidates(points[index], sizes[index], radius):
            outside = box.covers(box) - box.covers(area)
            covered = sum(box.covers(other) for other in taken) + 10 * outside
            if covered < least - 1e-9:
                best, least = box, covered
            if covered <= 0:
                break
        assert best is not None
        placed[index] = best
    return [placed[index] for index in range(len(points))]


def _candidates(
    point: tuple[float, float], size: tuple[float, float], radius: float
) -> Sequence[LabelBox]:
    """Boxes around a point, the nearest first; a box touches its distance with its near side."""
    wide, tall = size
    found = []
    for distance in DISTANCES:
        for angle in DIRECTIONS:
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            reach = radius + distance
            x = point[0] + dx * (reach + wide / 2)
            y = point[1] + dy * (reach + tall / 2)
            found.append(LabelBox(x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2))
    return found
