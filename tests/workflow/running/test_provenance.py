"""The commit that is recorded is of this code, and of nothing around it."""

import subprocess

import pytest

from workflow.running import provenance


def git(folder, *arguments):
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "a").write_text("a")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_the_commit_of_a_clone_is_its_own(repository, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", repository)
    assert len(provenance.commit()) == 40
    (repository / "a").write_text("b")
    assert provenance.commit().endswith("+changes")


def test_a_tarball_in_another_repository_has_none(repository, monkeypatch):
    unpacked = repository / "resformer"
    unpacked.mkdir()
    monkeypatch.setattr(provenance, "ROOT", unpacked)
    assert provenance.commit() == "unknown"


def test_the_environment_names_no_other_repository(repository, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr(provenance, "ROOT", elsewhere)
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(elsewhere))
    assert provenance.commit() == "unknown"


def test_without_git_there_is_none(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() == "unknown"
