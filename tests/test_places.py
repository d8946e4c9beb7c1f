"""A change touches few files: each is made for real in a copy of the tree, and looked for there."""

import pytest

from benchmarks.changes import CHANGES
from benchmarks.places import touched

# Files that are written by hand, tests aside.
MOST = {
    "metric": 2,
    "metric with its own formula": 3,
    "optimiser": 2,
    "public data source": 2,
    "page of the report": 2,
    "table": 1,
    "method": 2,
}
# What the schema names, and so has to be made anew after, by its command.
IN_THE_SCHEMA = {"metric", "metric with its own formula", "optimiser", "public data source"}


def test_every_change_has_a_bound():
    assert set(CHANGES) == set(MOST)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_there_after_few_files(change, tmp_path):
    found = touched(change, tmp_path / "tree")
    assert len(found.by_hand) <= MOST[change]
    assert found.schema == (change in IN_THE_SCHEMA)
    assert found.output


@pytest.mark.parametrize("change", ["metric", "page of the report", "public data source"])
def test_a_change_that_is_half_made_is_found_missing(change, tmp_path, monkeypatch):
    whole = CHANGES[change]
    half = dict(list(whole.edits.items())[1:])
    monkeypatch.setitem(CHANGES, change, whole._replace(edits=half))
    with pytest.raises(RuntimeError, match="made, and not there"):
        touched(change, tmp_path / "tree")
