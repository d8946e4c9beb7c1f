"""Tables as LaTeX: all of them, in one document, go through pdflatex and fit on its pages."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from tests.workflow.report.reporting_tree import (
    paper_config,
    results_of_groups,
    small_config,
    small_raw,
    write_tree,
)
from workflow.config import paths
from workflow.config.cells import made_tables, runs
from workflow.config.metrics import METRIC_TASK
from workflow.tables.formats import to_latex
from workflow.tables.latex import PACKAGES, escape
from workflow.tables.make import load_table, make_table

EVIL = r'<b>x</b> & *b* _i_ |p| $m$ #1 50% {c} ~ ^ \input{/etc} [l](j) `c` "q" é β ≥ 網 – × ±'


def compiled(folder, texts):
    """The log of a document of some tables, in two columns as such papers are set."""
    if not shutil.which("pdflatex") and not os.environ.get("RESFORMER_TEST_EVERYTHING"):
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-recommended)")
    body = "\n\\clearpage\n".join(texts)
    (folder / "tables.tex").write_text(
        "\\documentclass[twocolumn]{article}\n"
        f"\\usepackage{{{','.join(PACKAGES)}}}\n"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / "tables.pdf").stat().st_size > 1000
    return done.stdout


def assert_clean(log):
    for trouble in ("Overfull", "Float too large", "Missing character", "Undefined", "LaTeX Error"):
        assert trouble not in log, log[log.index(trouble) - 300 :][:600]


def test_every_table_of_a_finished_run_compiles(tmp_path, monkeypatch):
    """With titles that are full of commands, and a seed missing."""
    monkeypatch.chdir(tmp_path)
    raw = small_raw()
    raw["tables"]["IV"]["caption"] = raw["tables"]["IV"]["columns"][0]["title"] = EVIL
    raw["tables"]["IV"]["rows"][0]["title"] = raw["methods"]["vit"]["title"] = EVIL
    raw["tables"]["VIII"]["rows"][0] |= {"group": EVIL, "title": EVIL}
    columns = [{"title": EVIL, "dataset": "isic2017", "metrics": ["auc"]}]
    raw["tables"]["labels"] = {
        "kind": "classes", "caption": EVIL, "methods_of": ["IV"], "columns": columns,
    }  # fmt: skip
    config = small_config(methods=raw["methods"], tables=raw["tables"], notice=EVIL)
    write_tree(config, missing={("isic2017", "vit", 1)})
    for key in made_tables(config):
        make_table(config, key)
    texts = [paths.table(config, key, "tex").read_text() for key in made_tables(config)]
    assert len(texts) == 4
    assert all(r"\input" not in text.replace(r"\textbackslash{}input", "") for text in texts)
    assert_clean(compiled(tmp_path, texts))


def test_every_table_of_the_paper_fits_its_page(tmp_path, monkeypatch):
    """Filled, with all tests below them; what is read from runs is missing, the widest word."""
    monkeypatch.chdir(tmp_path)
    config = paper_config()
    numbers = {
        (*run, metric): 70 + np.random.default_rng(i).normal(0, 5, (len(config.seeds), 4))
        for i, run in enumerate(runs(config))
        for metric, task in METRIC_TASK.items()
        if task in config.methods[run.method].tasks
    }
    results = results_of_groups(config, numbers)
    texts = [to_latex(load_table(config, key, results)) for key in made_tables(config)]
    assert_clean(compiled(tmp_path, texts))


def test_what_pdflatex_has_no_letter_for_is_written_as_its_number():
    assert escape("β網é") == "U+03B2U+7DB2é"
