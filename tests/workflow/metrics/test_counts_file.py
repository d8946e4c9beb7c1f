"""The file of counts: its columns, its version, and that it appears whole."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow.metrics import counts_file
from workflow.metrics.counts_file import (
    SCHEMA,
    classification_rows,
    segmentation_rows,
    write_counts_file,
)

COUNTS = np.arange(16).reshape(2, 2, 4)


def test_the_columns_and_the_version():
    types = {field.name: str(field.type) for field in SCHEMA}
    assert types == {
        **dict.fromkeys(("id", "group", "task", "name"), "string"),
        **dict.fromkeys(("tp", "fp", "fn", "tn"), "int64"),
        **dict.fromkeys(("hd95", "asd"), "float"),
        "target": "int8",
        "logit": "float",
    }
    assert SCHEMA.metadata == {b"counts_version": b"2"}


def test_a_row_per_image_and_lesion():
    table = segmentation_rows(["i", "j"], ["a", "b"], ["irf", "srf"], COUNTS)
    assert table.schema.equals(SCHEMA, check_metadata=True)
    assert table.to_pydict() == {
        "id": ["i", "i", "j", "j"],
        "group": ["a", "a", "b", "b"],
        "task": ["segmentation"] * 4,
        "name": ["irf", "srf", "irf", "srf"],
        "tp": [0, 4, 8, 12],
        "fp": [1, 5, 9, 13],
        "fn": [2, 6, 10, 14],
        "tn": [3, 7, 11, 15],
        **dict.fromkeys(("hd95", "asd", "target", "logit"), [None] * 4),
    }


def test_distances_that_are_undefined_are_null():
    distances = np.array([[[1.5, 0.5], [np.nan, np.nan]], [[0, 0], [3, 2]]], np.float32)
    table = segmentation_rows(["i", "j"], ["a", "b"], ["irf", "srf"], COUNTS, distances)
    assert table["hd95"].to_pylist() == [1.5, None, 0, 3]
    assert table["asd"].to_pylist() == [0.5, None, 0, 2]


def test_a_row_per_image_and_label():
    targets = np.array([[1, 0], [0, 0]], np.uint8)
    logits = np.array([[0.5, -2], [1e-8, 3e8]], np.float32)
    table = classification_rows(["i", "j"], ["a", "a"], ["x", "y"], targets, logits)
    assert table.schema.equals(SCHEMA, check_metadata=True)
    found = table.to_pydict()
    assert found["id"] == ["i", "i", "j", "j"]
    assert found["group"] == ["a"] * 4
    assert found["task"] == ["classification"] * 4
    assert found["name"] == ["x", "y"] * 2
    assert found["target"] == [1, 0, 0, 0]
    assert found["logit"] == logits.ravel().tolist()
    for name in ("tp", "fp", "fn", "tn", "hd95", "asd"):
        assert found[name] == [None] * 4


def test_a_file_has_the_version_and_all_rows(tmp_path):
    first = segmentation_rows(["i", "j"], ["a", "b"], ["irf", "srf"], COUNTS)
    second = classification_rows(
        ["i"], ["a"], ["x"], np.ones((1, 1), np.uint8), np.ones((1, 1), np.float32)
    )
    path = tmp_path / "folder" / "counts.parquet"
    write_counts_file(path, [first, second])
    read = pq.read_table(path)
    assert read.schema.metadata[b"counts_version"] == b"2"
    assert read.equals(pa.concat_tables([first, second]))


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "counts.parquet"
    table = segmentation_rows(["i", "j"], ["a", "b"], ["irf", "srf"], COUNTS)
    write_counts_file(path, [table])
    before = path.read_bytes()

    def half(table, where):
        where.write_bytes(b"PAR1")
        raise OSError("disk full")

    monkeypatch.setattr(counts_file.pq, "write_table", half)
    with pytest.raises(OSError, match="disk full"):
        write_counts_file(path, [table])
    assert path.read_bytes() == before
    found = {file.name for file in tmp_path.iterdir()}
    assert found == {"counts.parquet", ".counts.parquet.sha256"}
