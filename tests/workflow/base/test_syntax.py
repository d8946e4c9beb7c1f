"""What is remembered of modules is what parsing them says, and is lost without harm."""

import json

import pytest

from workflow.base import syntax
from workflow.running import fingerprint

TEXT = '"""Doc."""\nimport a.b\nfrom c import d\nx = 1\n'


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own; returns the files in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return lambda: list((tmp_path / "resformer").glob("*"))


@pytest.fixture
def parsing(monkeypatch):
    """The texts that were parsed."""
    parsed, parse = [], syntax.parse

    def noted(text):
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(syntax, "parse", noted)
    return parsed


def remember(*texts):
    parsed = syntax.Parsed()
    codes = [parsed[text] for text in texts]
    parsed.keep()
    return codes


def test_imports_are_named_as_modules_and_as_parts_of_them():
    assert syntax.parse(TEXT).imports == ["a.b", "c", "c.d"]


def test_another_process_parses_nothing_again(cache, parsing):
    first = remember(TEXT, "y = 2")
    assert parsing == [TEXT, "y = 2"]
    assert remember(TEXT, "y = 2") == first
    assert len(parsing) == 2
    assert first[0] == syntax.parse(TEXT)
    assert len(cache()) == 1


def test_an_edited_text_is_parsed_and_the_others_are_kept(parsing):
    remember(TEXT)
    (edited,) = remember(TEXT + "z = 3\n")
    assert edited.tree != syntax.parse(TEXT).tree
    parsing.clear()
    remember(TEXT, TEXT + "z = 3\n")
    assert parsing == []


@pytest.mark.parametrize("kept", ["", "{", "[]", "null", '{"a": 1}', '{"a": ["b"]}', "\x00"])
def test_a_damaged_cache_is_written_anew(cache, parsing, kept):
    before = remember(TEXT)
    (file,) = cache()
    file.write_text(kept)
    assert remember(TEXT) == before
    assert parsing == [TEXT, TEXT]
    assert json.loads(file.read_text())


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, parsing):
    (tmp_path / "resformer").write_text("a file where the folder should be")
    assert remember(TEXT) == remember(TEXT) == [syntax.parse(TEXT)]


def test_a_cache_that_has_grown_large_starts_anew(cache, monkeypatch):
    monkeypatch.setattr(syntax, "MOST", 3)
    remember(*(f"x = {number}" for number in range(3)))
    remember(TEXT)
    (file,) = cache()
    assert len(json.loads(file.read_text())) == 1


def test_another_python_does_not_read_what_this_one_has_kept(cache, monkeypatch, parsing):
    remember(TEXT)
    monkeypatch.setattr(syntax.sys, "version", "3.99")
    remember(TEXT)
    assert parsing == [TEXT, TEXT]
    assert len(cache()) == 2


def test_fingerprints_are_the_same_with_and_without_it(monkeypatch):
    hashes = []
    for _ in range(2):
        monkeypatch.setattr(fingerprint, "_PARSED", syntax.Parsed())
        fingerprint.code_hash.cache_clear()
        fingerprint._read.cache_clear()
        hashes.append(fingerprint.code_hash("workflow.training.train"))
    assert hashes[0] == hashes[1]
