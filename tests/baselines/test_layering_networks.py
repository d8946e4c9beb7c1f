"""Networks know nothing of the workflow: what `resformer` and `baselines` may import, by source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = {"torch", "timm", "segmentation_models_pytorch"}
ALLOWED = {
    "resformer": {"torch", "safetensors", "resformer"},
    "baselines": LIBRARIES | {"resformer", "baselines"},
}
FILES = sorted(path for package in ALLOWED for path in (ROOT / package).rglob("*.py"))


def imported_packages(source):
    """Top-level names of everything that a module imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else node.module.split(".")[0])
    return names


def test_the_search_sees_every_kind_of_import():
    source = "import a.b, c as d\nfrom e.f import g\ndef h():\n    from . import i\n    import j\n"
    assert imported_packages(source) == {"a", "c", "e", ".", "j"}
    assert len(FILES) > 15


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_networks_import_torch_and_each_other_only(path):
    package = path.relative_to(ROOT).parts[0]
    outside = imported_packages(path.read_text("utf-8")) - ALLOWED[package]
    assert not {name for name in outside if name not in sys.stdlib_module_names}


def test_importing_the_packages_imports_no_library():
    program = (
        "import sys, baselines, baselines.parts, resformer\n"
        "heavy = {'torch', 'timm', 'segmentation_models_pytorch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
