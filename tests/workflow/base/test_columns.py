"""Cells stand below each other, whatever their lengths."""

from workflow.base.columns import aligned


def test_cells_stand_below_each_other():
    assert aligned([["name", "hours", "GB"], ["a", "1.5"], ["long name", "10.25", "3"]]) == [
        "name       hours  GB",
        "a            1.5",
        "long name  10.25   3",
    ]


def test_the_first_column_may_be_wider():
    assert aligned([["a", "1"], ["b"]], first=4) == ["a     1", "b"]
    assert aligned([]) == []
