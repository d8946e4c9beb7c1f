"""What the columns of a table of labels say of each image."""

from pathlib import Path

from workflow.base.errors import DataError
from workflow.data.reading import keys

# Image id -> column -> text.
Table = dict[str, dict[str, str]]
# pandas writes integers as 1.0 where a column has gaps.
BINARY = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}


def labels_of(
    path: Path, table: Table, labels: list[str], column: str | None
) -> dict[str, dict[str, int]]:
    """id -> label -> 0 or 1, from a column for each label or from the one with its name."""
    if column is not None:
        for image, row in table.items():
            if row[column] not in labels:
                raise DataError(
                    f"{path}: {image}: found {row[column]!r} in column {column!r} "
                    f"(folder.label_column); allowed: {', '.join(labels)}"
                )
        return {
            image: {name: int(row[column] == name) for name in labels}
            for image, row in table.items()
        }
    for image, row in table.items():
        for label in labels:
            if row[label] not in BINARY:
                raise DataError(
                    f"{path}: {image}: found {row[label]!r} in column {label!r}; allowed: 0 and 1"
                )
    return {image: {name: BINARY[row[name]] for name in labels} for image, row in table.items()}


def groups_of(path: Path, table: Table, column: str) -> dict[str, str]:
    """id -> group."""
    for image, row in table.items():
        if not keys.is_printable(row[column]):
            raise DataError(
                f"{path}: {image}: found {row[column]!r} in column {column!r} (folder.group); "
                "expected a name in printable characters, no slashes, no space at either end"
            )
    groups = {image: keys.tidy(row[column]) for image, row in table.items()}
    twice = keys.spelled_twice(groups.values())
    if twice:
        firsts = [next(image for image in groups if groups[image] == name) for name in twice]
        raise DataError(
            f"{path}: found {keys.side_by_side(twice)} in column {column!r} (folder.group; such as "
            f"rows {' and '.join(firsts)}), which are spellings of one name, so that its images "
            "could lie on two sides of a split; use one spelling"
        )
    return groups
