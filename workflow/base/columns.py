"""Lines of text for a terminal whose cells stand below each other."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest


def aligned(rows: Iterable[Sequence[str]], first: int = 0) -> list[str]:
    """Lines of cells, the first column set to the left and the others to the right.

    Args:
        rows: of cells; the last ones may be missing.
        first: the least width of the first column.
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(max(width, first))
            for place, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    ]
