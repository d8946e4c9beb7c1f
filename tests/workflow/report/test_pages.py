"""The store of pages: what has not changed keeps its bytes and time, and nothing stale is kept."""

import json
import os
import shutil

import pytest

from tests.workflow.report.reporting_tree import small_config, small_raw, write_tree
from workflow.config import paths
from workflow.config.cells import runs
from workflow.config.model import Config
from workflow.report import pages as pages_module
from workflow.report.pages import Pages
from workflow.report.site import build_report
from workflow.results.read import read_results

LONG_AGO = 1_000_000_000


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_config()
    write_tree(config)
    build(config)
    return config


def build(config):
    build_report(config, read_results(config, runs(config)))


def age(config):
    """Set the time of every file of the last report, so that new ones are told from old ones."""
    for folder in (paths.report(config), paths.report_store(config)):
        for file in folder.rglob("*.*"):
            os.utime(file, (LONG_AGO, LONG_AGO))


def contents(config):
    folder = paths.report(config)
    files = (file for file in folder.rglob("*.*") if file.suffix in (".html", ".js", ".css"))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def new(config):
    folder = paths.report(config)
    return {name for name in contents(config) if (folder / name).stat().st_mtime > LONG_AGO}


def change(config, method, **facts):
    file = paths.run(config, "isic2017", method, 0) / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))


def test_nothing_changed_and_nothing_is_new(config):
    before = contents(config)
    age(config)
    shutil.rmtree(paths.report(config))  # as Snakemake does before it makes an output anew
    build(config)
    assert new(config) == set()
    assert contents(config) == before


def test_a_changed_run_makes_its_own_page_and_those_that_sum_it_up(config):
    age(config)
    change(config, "vit", peak_memory_bytes=2_000_000_000)
    build(config)
    assert new(config) == {"runs/isic2017--vit.html", "runs.html"}
    assert "2.0 GB" in (paths.report(config) / "runs" / "isic2017--vit.html").read_text()


@pytest.mark.parametrize(
    "changes",
    [
        {"notice": "Read this."},
        {"seeds": [0]},
        {"training": {"learning_rate": 0.5}},
        {"methods": {"vit": {"title": "Other"}}},
        {"datasets": {"isic2017": {"title": "Skin"}}},
        {"statistics": {"decimals": 2}},
    ],
)
def test_a_kept_page_is_the_page_that_would_be_made(config, changes):
    raw = small_raw()
    for key, value in changes.items():
        overlay(raw, key, value)
    other = Config.model_validate(raw)
    age(config)
    build(other)
    assert "runs/isic2017--vit.html" in new(other)
    kept = contents(other)
    shutil.rmtree(paths.report_store(other))
    build(other)
    assert contents(other) == kept


def overlay(raw, key, value):
    if isinstance(value, dict):
        for inner, one in value.items():
            overlay(raw[key], inner, one)
    else:
        raw[key] = value


def test_a_log_is_an_input(config):
    shutil.rmtree(paths.run(config, "isic2017", "vit", 1))
    build(config)
    logs = config.results / "logs" / "train" / "isic2017" / "vit"
    logs.mkdir(parents=True)
    (logs / "seed1.log").write_text("out of memory\n")
    (logs / "seed0.log").write_text("all is well\n")
    build(config)
    text = (paths.report(config) / "runs" / "isic2017--vit.html").read_text()
    assert "out of memory" in text
    assert "logs/train/isic2017/vit/seed1.log" in text
    assert "all is well" not in text, "seed 0 has its result"


def test_what_is_no_longer_made_goes(config):
    raw = small_raw()
    raw["tables"]["IV"]["rows"] = [r for r in raw["tables"]["IV"]["rows"] if r["method"] != "vit"]
    build(Config.model_validate(raw))
    assert not (paths.report(config) / "runs" / "isic2017--vit.html").exists()
    assert not (paths.report_store(config) / "runs" / "isic2017--vit.html").exists()


def test_other_code_makes_every_page_anew(tmp_path, monkeypatch):
    def report(name):
        (tmp_path / name).mkdir()
        pages = Pages(tmp_path / name, tmp_path / "store")
        pages.render("a.html", ("inputs", 1), lambda: name)
        pages.close()
        return (tmp_path / name / "a.html").read_text()

    assert [report("first"), report("second")] == ["first", "first"]
    monkeypatch.setattr(pages_module, "sources", lambda: "other code")
    assert report("third") == "third"
