"""What a public source says of itself: read without importing it, and the same as it has itself."""

import importlib
import pickle
import subprocess
import sys

import pytest

from tests.workflow.config.config_changes import changed
from workflow.base.errors import ConfigError
from workflow.config.datasets import Data, Phantom
from workflow.config.sources import SOURCES, read_about
from workflow.running import raw_files


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch, repo):
    monkeypatch.chdir(repo)


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_read_is_what_the_module_has(name):
    module = importlib.import_module(f"workflow.data.sources.{name}")
    assert SOURCES[name] == module.ABOUT
    writer, _, function = SOURCES[name].phantoms.partition(":")
    assert callable(getattr(importlib.import_module(writer), function))
    assert callable(module.open_source)


def test_the_public_sources_are_these_and_a_folder_is_none():
    assert set(SOURCES) == {"retouch", "isic2017"}


def test_reading_imports_neither_the_sources_nor_anything_heavy():
    code = "import sys, workflow.config.load; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "workflow.config.sources" in loaded
    assert not {"numpy", "pandas", "SimpleITK", "workflow.data.sources.retouch"} & loaded


def test_every_source_has_its_keys():
    keys = {"retouch_dir", "retouch_record", "isic2017_dir", "isic2017_record", "isic2017_url"}
    assert {key for key in Data.model_fields if key.startswith(tuple(SOURCES))} == keys
    assert set(Phantom.model_fields) == {"seed", *SOURCES}


def test_a_configuration_can_be_handed_to_another_process():
    config = changed({})
    assert pickle.loads(pickle.dumps(config)) == config


def test_traits_reach_the_data_sets(monkeypatch):
    config = changed({})
    cirrus, isic = config.datasets["retouch_cirrus"], config.datasets["isic2017"]
    assert (cirrus.color, cirrus.volumes, cirrus.by_volume) == (False, True, True)
    assert (isic.color, isic.volumes, isic.by_volume) == (True, False, False)
    assert config.phantom_sizes("retouch") == {"volumes": 6, "scale": 0.25}
    assert config.archives_record("retouch") is config.archives_record("mine") is None
    assert config.archives_record("isic2017") == config.record("isic2017")
    paper = changed({"preset": "paper"})
    assert [name for name in SOURCES if paper.fetches(name)] == ["isic2017"]
    assert not config.fetches("isic2017")
    monkeypatch.setenv("ISIC2017_DIR", "somewhere")
    assert not paper.fetches("isic2017")


def test_what_to_do_is_said_of_sources_that_nothing_fetches(monkeypatch, tmp_path):
    monkeypatch.delenv("RETOUCH_DIR", raising=False)
    store = str(tmp_path)
    paper = changed({"preset": "paper", "data": {"store": store}})
    said = raw_files.missing(paper, ["isic2017", "retouch"])
    assert said == (
        f"{store}/retouch/original: not there, and RETOUCH is needed.\n"
        f"{SOURCES['retouch'].how_to_get}"
    )
    (tmp_path / "retouch" / "original").mkdir(parents=True)
    assert raw_files.missing(paper, ["isic2017", "retouch"]) == ""
    assert raw_files.missing(changed({}), ["retouch"]) == ""


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("ABOUT = PublicSource(\n    title=name(),\n)\n", ValueError),
        ('ABOUT = PublicSource(\n    title="Moles",\n)\n', TypeError),
        ('ABOUT = PublicSource(\n    colour="red",\n)\n', TypeError),
    ],
)
def test_what_cannot_be_read_is_an_error(tmp_path, text, error):
    file = tmp_path / "moles.py"
    file.write_text(f'"""Moles."""\n\n{text}')
    with pytest.raises(error):
        read_about(file)


def test_a_file_that_says_nothing_is_no_public_source(tmp_path):
    file = tmp_path / "moles.py"
    file.write_text('"""Moles, whose `ABOUT = PublicSource(...)` is elsewhere."""\n')
    assert read_about(file) is None


def test_a_source_without_phantoms_is_refused_where_phantoms_are_asked_for(monkeypatch):
    monkeypatch.setitem(SOURCES, "retouch", SOURCES["retouch"]._replace(phantoms=""))
    with pytest.raises(ConfigError, match=r"data.origin: found phantom, .* of RETOUCH, which ret"):
        changed({})
    assert changed({"select": {"datasets": ["isic2017"]}}).demo
    assert not changed({"data": {"origin": "local"}}).demo
