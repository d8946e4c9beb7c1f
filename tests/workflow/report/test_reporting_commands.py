"""The command lines, as the rules start them."""

import json
import os
import subprocess
import sys

import pytest

from tests.workflow.report.reporting_tree import ROOT, small_config, small_raw, write_tree
from workflow.config import paths


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A result tree with its resolved configuration as the Snakefile writes it."""
    folder = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = small_config()
        write_tree(config)
        (folder / "config.json").write_text(json.dumps(small_raw()))
        yield config, folder


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_a_table_is_made_without_torch_and_matplotlib(tree):
    config, folder = tree
    script = (
        "import runpy, sys; sys.argv = ['make_table', 'config.json', 'IV'];"
        "runpy.run_module('workflow.tables.make', run_name='__main__');"
        "print(*sorted({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    done = run(folder, "-c", script)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    for suffix in ("csv", "md", "tex", "html"):
        assert "78.6" in (folder / paths.table(config, "IV", suffix)).read_text()


def test_figure_and_report(tree):
    config, folder = tree
    assert run(folder, "-m", "workflow.figures.make", "config.json", "5").returncode == 0
    assert (folder / paths.figure(config, "5", "pdf")).is_file()
    done = run(folder, "-m", "workflow.report.make", "config.json")
    assert (done.returncode, done.stderr) == (0, "")
    index = (folder / paths.report(config) / "index.html").read_text()
    assert "figures/figure_5_small.webp" in index
    table = (folder / paths.report(config) / "tables" / "I.html").read_text()
    assert "64×48" in table


def test_an_unknown_table_is_told_in_one_line(tree):
    _, folder = tree
    done = run(folder, "-m", "workflow.tables.make", "config.json", "IX")
    assert done.returncode == 1
    assert done.stderr == (
        "error: tables: unknown name 'IX'; did you mean 'I'? Allowed: I, IV, VIII\n"
    )
