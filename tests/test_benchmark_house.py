"""How a tree is laid out: what `benchmarks.house` counts, on small trees and on this one."""

import subprocess
import sys

import pytest

from benchmarks import house
from tests.workflow.base.small_tree import tree
from tests.workspace import ROOT, environment

ORDERED = {
    "workflow/base/__init__.py": "",
    "workflow/base/architecture.py": 'ORDER = (("base",), ("config", "data"))\n',
    "workflow/base/late.py": "def f():\n    import workflow.config.load\n",
    "workflow/config/load.py": "from workflow.base import late\n",
    "workflow/data/make.py": "from workflow.config import load\n",
}
LISTED = {
    "workflow/paths.py": "",
    "workflow/data/split.py": "import workflow.paths\nimport workflow.data.read\n",
    "workflow/data/read.py": "def f():\n    import workflow.reporting.table\n",
    "workflow/reporting/table.py": "from workflow.data import read\n",
    "tests/workflow/test_layering.py": (
        'ROOMS = {"workflow": set(), "workflow.data": {"workflow"},'
        ' "workflow.reporting": {"workflow", "workflow.data"}}\n'
    ),
}


def test_imports_that_break_a_tree_s_own_order_are_named(tmp_path):
    assert house.exceptions(tree(tmp_path, ORDERED)) == [
        ("workflow.base.late", "workflow.config.load"),
        ("workflow.data.make", "workflow.config.load"),  # one floor: neither is before the other
    ]


def test_of_an_older_tree_its_lists_of_rooms_count(tmp_path):
    assert house.exceptions(tree(tmp_path, LISTED)) == [
        ("workflow.data.read", "workflow.reporting.table")
    ]


def test_a_tree_without_an_order_has_no_exceptions_to_count(tmp_path):
    found = tree(tmp_path, {"workflow/a.py": "x = 1\n"})
    assert house.exceptions(found) is None
    assert "exceptions    no order is stated" in list(house.describe(found))


def test_modules_are_in_the_room_of_their_second_folder(tmp_path):
    found = tree(
        tmp_path,
        {
            "workflow/__init__.py": "",
            "workflow/top.py": "",
            "workflow/data/__init__.py": "",
            "workflow/data/sources/__init__.py": "",
            "workflow/data/sources/folder.py": "",
            "baselines/unetpp.py": "",
        },
    )
    assert house.rooms_of(found) == {
        "workflow": ["workflow", "workflow.top"],
        "workflow.data": [
            "workflow.data",
            "workflow.data.sources",
            "workflow.data.sources.folder",
        ],
        "baselines": ["baselines.unetpp"],
    }
    assert house.room("workflow.paths") == "workflow"
    assert house.room("workflow.data.sources.folder") == "workflow.data"


def test_programs_and_the_modules_behind_one_door_are_counted(tmp_path):
    found = tree(
        tmp_path,
        {
            "workflow/a.py": 'import argparse\nif __name__ == "__main__":\n    print()\n',
            "workflow/b.py": 'if __name__ == "__main__":\n    print()\n',
            "workflow/c.py": "def add_arguments(parser): ...\ndef run(options): ...\n",
            "workflow/d.py": "def run(options): ...\n",
        },
    )
    assert house.programs(found) == (["workflow.a", "workflow.b"], ["workflow.a"])
    assert house.behind_one_door(found) == ["workflow.c"]


def test_lines_and_functions_of_rules_are_said(tmp_path):
    found = tree(
        tmp_path,
        {
            "workflow/data/a.py": "x = 1\ny = 2\n",
            "workflow/rules/a.smk": "def f():\n    return 1\n\nrule x:\n    log: 1\n",
            "tests/test_a.py": "x = 1\n",
        },
    )
    said = list(house.describe(found))
    assert "lines         2 of Python in workflow, resformer, baselines" in said
    assert "              rules: 5 lines, 1 functions in them" in said
    assert "              tests: 1" in said


MAKER = """\
from pathlib import Path
from workflow.metrics.saved import read
from workflow.tables.formats import save
from workflow.tables.unused import nothing

def make_table(config, key):
    nothing()
    Path("results/small/tables").mkdir()
    save(read(Path("results/small/counts.parquet")), f"results/small/tables/{key}.txt")
"""
SMALL = {
    **{f"workflow/{room}__init__.py": "" for room in ("", "tables/", "metrics/", "running/")},
    "workflow/tables/make.py": MAKER,
    "workflow/tables/formats.py": "def save(n, file):\n    open(file, 'w').write(str(n))\n",
    "workflow/tables/unused.py": "def nothing():\n    return 0\n",
    "workflow/metrics/saved.py": "def read(file):\n    return int(file.read_text())\n",
    "workflow/running/step.py": "def read_config(file):\n    return file.read_text()\n",
    "results/small/config.json": "{}",
    "results/small/counts.parquet": "3",
}


def test_a_number_crosses_what_runs_from_its_counts_to_its_table(tmp_path):
    tree(tmp_path, SMALL)
    crossed = house.number_path(tmp_path, "small", "VI")
    assert crossed == ["workflow.tables.make", "workflow.metrics.saved", "workflow.tables.formats"]
    assert not (tmp_path / "results" / "small" / "tables").exists()  # made elsewhere
    assert list(house.described_path(crossed, "VI")) == [
        "a number      of table VI crosses 3 modules in 2 rooms from counts to page",
        "              workflow.tables 2: make, formats",
        "              workflow.metrics 1: saved",
    ]


def test_why_a_number_was_not_followed_is_said(tmp_path):
    tree(tmp_path, SMALL)
    missing = house.number_path(tmp_path, "large", "VI")
    assert missing == f"no results of preset large below {tmp_path.name}"
    assert list(house.described_path(missing, "VI")) == [f"a number      not measured: {missing}"]
    (tmp_path / "results" / "small" / "counts.parquet").write_text("three")
    assert "ValueError" in str(house.number_path(tmp_path, "small", "VI"))


@pytest.mark.parametrize("other", [".", "nowhere"])
def test_the_command_measures_this_tree_and_refuses_what_is_none(other):
    command = [sys.executable, "-m", "benchmarks.house", other, "--preset", "none"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    if other == "nowhere":
        assert done.returncode == 2
        assert "no checkout of this project" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert "\nexceptions    0\ncircles       0\n" in done.stdout
        assert "no results of preset none" in done.stdout
