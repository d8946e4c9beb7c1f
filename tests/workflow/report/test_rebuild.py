"""One command that makes all that the single steps make, to the byte."""

import hashlib
import json
import os
import re
import subprocess
import sys

import pytest

from tests.workflow.report.reporting_tree import ROOT, small_config, small_raw, write_tree
from workflow.config import paths
from workflow.config.cells import made_figures, made_tables
from workflow.figures.make import make_figure
from workflow.figures.make_plot import make_plot
from workflow.figures.plots import made_plots
from workflow.report import rebuild as module
from workflow.report.make import make_report
from workflow.report.rebuild import PartTimes, TimeSpent, rebuild, summary
from workflow.tables.make import make_table
from workflow.verdicts.make import make_verdicts

MISSING = {("isic2017", "vit", 1)}
MADE = ("tables", "figures", "plots", "verdicts", "report")


def digests(config):
    """File -> SHA-256 of all that is made from a run."""
    return {
        file.relative_to(config.results).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for name in MADE
        for file in (config.results / name).rglob("*")
        if file.is_file()
    }


def command(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "workflow", "rebuild", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A finished run with one seed missing, and its configuration as the Snakefile writes it."""
    folder = tmp_path_factory.mktemp("rebuild")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = small_config()
        write_tree(config, missing=MISSING)
        (folder / "config.json").write_text(json.dumps(small_raw()))
        yield config, folder


def test_a_rebuild_writes_what_the_single_steps_write(tree):
    config, folder = tree
    for key in made_tables(config):
        make_table(config, key)
    for key in made_figures(config):
        make_figure(config, key)
    for key in made_plots(config):
        make_plot(config, key)
    make_verdicts(config)
    make_report(config)
    single = digests(config)
    assert {name.split("/")[0] for name in single} == set(MADE)
    names = (
        "tables/table_IV.csv",
        "figures/figure_8.pdf",
        "plots/curves.png",
        "verdicts/claims.md",
    )
    for name in names:
        (config.results / name).write_text("stale")
    done = command(folder, "config.json", "--report")
    assert (done.returncode, done.stderr) == (0, "")
    assert digests(config) == single
    parts = ("counts", "tables", "verdicts", "larger figures", "figure 5", "report", "all")
    for part in parts:
        assert re.search(rf"^{part} +\d+\.\d +\d+\.\d$", done.stdout, flags=re.MULTILINE), part
    assert re.search(r"^a figure +\d+$", done.stdout, flags=re.MULTILINE)


def test_without_being_asked_it_leaves_the_report(tree, monkeypatch):
    config, _ = tree
    monkeypatch.setattr(module, "build_report", lambda *_: 1 / 0)
    parts = rebuild(config)
    assert "report" not in parts
    assert parts["all"].clock >= parts["tables"].clock


def test_counts_that_cannot_be_used_are_told_in_one_line(tree):
    config, folder = tree
    file = paths.evaluation(config, "isic2017", "vit", 0) / "counts.parquet"
    before, made = file.read_bytes(), digests(config)
    try:
        file.write_bytes(before[:100])
        done = command(folder, "config.json")
    finally:
        file.write_bytes(before)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {file}")
    assert done.stderr.count("\n") == 1
    assert digests(config).keys() == made.keys()


def test_what_it_took_is_told_by_part():
    parts = PartTimes(tables=TimeSpent(2.0, 1.5), all=TimeSpent(61.25, 70.0))
    lines = summary(parts).splitlines()
    assert lines[1].split() == ["tables", "2.0", "1.5"]
    assert lines[2].split() == ["all", "61.2", "70.0"]
    assert len(lines) == 6
