"""Only the lock of a run that died on this very host is removed."""

import json
import os
import socket
import subprocess
import sys

import psutil
import pytest

from workflow.running import locks


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def lock(owner=None):
    locks.LOCKS.mkdir(parents=True)
    (locks.LOCKS / "0.input.lock").write_text("a file\n")
    if owner is not None:
        locks.OWNER.write_text(json.dumps(owner))


def owner_of(process, **changes):
    started = psutil.Process(process).create_time()
    return {"host": socket.gethostname(), "pid": process, "started": started, **changes}


@pytest.fixture
def other():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_without_a_lock_there_is_nothing_to_do():
    assert not locks.release_stale_lock()
    locks.record_owner()
    assert not locks.release_stale_lock()
    locks.LOCKS.mkdir()
    assert not locks.release_stale_lock()
    assert locks.LOCKS.is_dir()


def test_a_lock_whose_owner_is_unknown_stays():
    lock()
    assert not locks.release_stale_lock()
    assert locks.LOCKS.is_dir()


def test_what_is_recorded_is_this_process():
    locks.record_owner()
    assert json.loads(locks.OWNER.read_text()) == owner_of(os.getpid())


def test_ones_own_lock_stays():
    lock()
    locks.record_owner()
    assert not locks.release_stale_lock()
    assert locks.LOCKS.is_dir()


def test_the_lock_of_a_running_process_stays(other):
    lock(owner_of(other.pid))
    assert not locks.release_stale_lock()
    assert locks.LOCKS.is_dir()


def test_the_lock_of_a_process_that_was_killed_is_removed(other):
    owner = owner_of(other.pid)
    lock(owner)
    other.kill()
    other.wait()
    assert locks.release_stale_lock()
    assert not locks.LOCKS.exists()
    assert not locks.release_stale_lock()


def test_another_process_of_the_same_number_does_not_keep_the_lock(other):
    lock(owner_of(other.pid, started=psutil.Process(other.pid).create_time() - 60))
    assert locks.release_stale_lock()


def test_not_even_this_process_as_in_a_container_that_starts_again():
    lock(owner_of(os.getpid(), started=psutil.Process().create_time() - 60))
    assert locks.release_stale_lock()


def test_the_lock_of_another_host_stays(other):
    owner = owner_of(other.pid, host="elsewhere")
    other.kill()
    other.wait()
    lock(owner)
    assert not locks.release_stale_lock()
    assert locks.LOCKS.is_dir()
