"""Locks say whose they are: a run removes its own, and those of runs that were killed here."""

import json
import os
import threading
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
from snakemake.exceptions import LockException
from snakemake.persistence.file import FilePersistence

from tests.workflow.running.test_owners import owner_of
from workflow.running import locks
from workflow.running.locks import LOCKS, OWNED


class Files(FilePersistence):
    """Snakemake's own, of a run that makes and reads some files."""

    def __init__(self, made, read=()) -> None:
        self.made, self.read = made, read
        self._lockdir, self._lockfile = str(LOCKS), {}
        LOCKS.mkdir(parents=True, exist_ok=True)

    def all_outputfiles(self):
        return self.made

    def all_inputfiles(self):
        return self.read


locks.install(Files)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def locked_by(owner, *files) -> None:
    LOCKS.mkdir(parents=True, exist_ok=True)
    said = [OWNED + json.dumps(asdict(owner))] if owner else []
    number = len(list(LOCKS.iterdir()))
    (LOCKS / f"{number}.output.lock").write_text("\n".join([*said, *files, ""]))


def names() -> list[str]:
    return sorted(file.name for file in LOCKS.glob("*.lock"))


def test_the_snakemake_in_use_is_locked_in_this_way():
    class Same(FilePersistence):
        pass

    assert locks.install(Same)
    assert not locks.install(SimpleNamespace(lock=lambda self: None))


def test_a_lock_is_taken_and_given_back():
    with Files(["made"], ["read"]).lock():
        assert names() == ["0.input.lock", "0.output.lock"]
    assert names() == []


def test_files_of_another_run_are_refused_and_others_are_not(other, caplog):
    locked_by(owner_of(other.pid), "results/paper/a")
    with pytest.raises(LockException), Files(["results/paper/a"]).lock():
        pass
    with pytest.raises(LockException), Files(["b"], ["results/paper/a"]).lock():
        pass
    with Files(["results/smoke/a"]).lock():
        assert names() == ["0.output.lock", "1.output.lock"]
    assert names() == ["0.output.lock"]  # its own alone is gone


def test_the_locks_of_a_killed_run_are_removed_and_no_others(other):
    killed = owner_of(other.pid, started=1.0)
    locked_by(killed, "a")
    locked_by(owner_of(other.pid), "b")
    locked_by(owner_of(other.pid, host="elsewhere"), "c")
    locked_by(None, "d")
    assert locks.release_stale_locks() == [killed]
    assert names() == ["1.output.lock", "2.output.lock", "3.output.lock"]
    assert locks.release_stale_locks() == []


def test_a_killed_run_is_no_obstacle_also_without_being_looked_for(other):
    locked_by(owner_of(other.pid, started=1.0), "a")
    with Files(["a"]).lock():
        assert names() == ["0.output.lock"]


def test_what_a_person_unlocks_are_all_but_those_that_go_on(other):
    locked_by(owner_of(other.pid), "a")
    locked_by(owner_of(other.pid, host="elsewhere"), "b")
    locked_by(None, "c")
    Files([]).cleanup_locks()
    assert names() == ["0.output.lock"]


@pytest.mark.parametrize("text", ["", OWNED, f"{OWNED}null", f"{OWNED}{{}}", f"{OWNED}[1", "\0"])
def test_a_damaged_lock_says_nothing(text):
    LOCKS.mkdir(parents=True)
    (LOCKS / "0.output.lock").write_text(text)
    assert locks.release_stale_locks() == []
    with Files(["a"]).lock():
        assert len(names()) == 2


def test_of_many_that_start_at_once_one_has_the_files():
    """Snakemake alone lets several of them through: it looks first, and writes then."""
    begun, over, won = threading.Barrier(8), threading.Barrier(8), []

    def run() -> None:
        begun.wait()
        try:
            with Files(["same"]).lock():
                won.append(os.getpid())
                over.wait()
        except LockException:
            over.wait()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert names() == []


def test_ones_own_lock_stays():
    locked_by(locks.this_owner(), "a")
    assert locks.release_stale_locks() == []
    assert names() == ["0.output.lock"]
    assert replace(locks.this_owner(), started=1.0).standing() == "dead"
