"""What a tree's modules are and import, read from small trees on disk."""

import ast

from tests.workflow.base.small_tree import tree
from workflow.base.source_tree import imported, room_of


def test_imports_in_functions_count_unless_they_are_not_asked_for():
    text = ast.parse("import torch\nfrom a import b, c\ndef f():\n    from d.e import g\n")
    assert imported(text, {"a.b"}) == {"torch", "a.b", "d.e"}
    assert imported(text, only_at_import=True) == {"torch", "a"}
    assert imported(ast.parse("from . import x")) == {"."}


def test_packages_and_the_modules_directly_in_them(tmp_path):
    files = {
        "workflow/__init__.py": '"""The top."""',
        "workflow/data/__init__.py": "",
        "workflow/data/split.py": "",
        "workflow/data/sources/__init__.py": "",
        "workflow/data/sources/folder.py": "",
        "elsewhere/other.py": "",
    }
    found = tree(tmp_path, files)
    assert found.packages == ["workflow", "workflow.data", "workflow.data.sources"]
    assert found.modules_in("workflow.data") == ["workflow.data.split"]
    assert found.docstring("workflow") == "The top."
    assert found.docstring("workflow.data") == ""
    assert "elsewhere.other" not in found.files


def test_own_imports_are_of_the_tree_and_of_others(tmp_path):
    found = tree(
        tmp_path,
        {
            "workflow/a.py": "import json\nfrom workflow import b\nfrom workflow.a import x\n",
            "workflow/b.py": "",
        },
    )
    assert found.own_imports("workflow.a") == {"workflow.b"}


def test_circles_are_found_through_functions_and_through_others(tmp_path):
    found = tree(
        tmp_path,
        {
            "workflow/a.py": "def f():\n    from workflow import b\n",
            "workflow/b.py": "import workflow.c",
            "workflow/c.py": "import workflow.a",
            "workflow/d.py": "import workflow.a\nimport workflow.e",
            "workflow/e.py": "import workflow.d",
            "workflow/f.py": "import workflow.e",
        },
    )
    assert found.circles() == [
        ["workflow.a", "workflow.b", "workflow.c"],
        ["workflow.d", "workflow.e"],
    ]


def test_a_room_is_the_first_folder():
    assert room_of("workflow.data.sources.folder") == "data"
    assert room_of("workflow.tables") == "tables"
    assert room_of("workflow") is None
    assert room_of("baselines.unetpp") is None
