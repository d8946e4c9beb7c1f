"""The CSV of labels and groups that lies beside images of one's own."""

import csv
from pathlib import Path
from typing import Any

from workflow.base.errors import DataError
from workflow.data.reading import keys
from workflow.data.reading.columns import Table


def read_table(path: Path, columns: list[str], id_column: str) -> tuple[Table, list[str]]:
    """The CSV of labels, with at least some columns; and a line that names its blank rows.

    Args:
        path: the file.
        columns: those that must be there beside the ids.
        id_column: the column with the ids.

    Raises:
        DataError: it is no such table, or an id has no row of its own.
    """
    advice = "save it as a table with commas in UTF-8, with a row of column names first"
    table: Table = {}
    blank: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            names = reader.fieldnames or []
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise DataError(f"{path}: column {twice[0]!r} occurs twice; {advice}")
            missing = [column for column in (id_column, *columns) if column not in names]
            if missing:
                raise DataError(
                    f"{path}: column {missing[0]!r} is missing; found {', '.join(names) or 'none'}."
                    f" Add the column, or {advice}{keys.nearest(missing[0], names)}"
                )
            for row in reader:
                if _is_blank(row):
                    blank.append(f"{reader.line_num}")
                    continue
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}: line {reader.line_num} does not have {len(names)} values, as many"
                        f" as there are columns; {advice}"
                    )
                row[id_column] = keys.tidy(row[id_column])
                if not row[id_column]:
                    raise DataError(
                        f"{path}: line {reader.line_num} has no id; add the id of its image, or "
                        "delete the row"
                    )
                if row[id_column] in table:
                    raise DataError(
                        f"{path}: id {row[id_column]!r} occurs twice; an image has one row. Delete "
                        "the others"
                    )
                table[row[id_column]] = row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read (folder.labels): {error}; {advice}") from error
    return table, [f"{path}: ignored line {', '.join(blank)}: blank"] if blank else []


def _is_blank(row: dict[Any, Any]) -> bool:
    """Whether no cell of a row holds anything; spreadsheets end with such rows."""
    cells = [x for value in row.values() for x in (value if isinstance(value, list) else [value])]
    return not any(cell and cell.strip() for cell in cells)


def match_rows(path: Path, table: Table, images: dict[str, Path]) -> None:
    """See that each image has its row, and each row its image.

    Raises:
        DataError: naming the first that has none.
    """
    unlisted = [image for image in images if image not in table]
    if unlisted:
        raise DataError(
            f"{path}: no row for {images[unlisted[0]]} ({len(unlisted)} such images); add a row "
            f"with id {unlisted[0]!r} (the stem alone), or take the image out"
            f"{keys.nearest(unlisted[0], table)}"
        )
    absent = [image for image in table if image not in images]
    if absent:
        raise DataError(
            f"{path}: id {absent[0]!r} has no image in folder.images ({len(absent)} such rows); "
            f"add the image, or delete the row{keys.nearest(absent[0], images)}"
        )
