"""Files downloaded into a folder: their places, the space, progress, and processes that end."""

import errno
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.workflow.data.fetching.downloading import (
    HASTY,
    NAME,
    base_url,
    content_of,
    fetch,
    is_right,
    leave_part,
    md5,
    script,
    site,
    store,
    visible,
)
from tests.workflow.data.fetching.http_server import Answer
from workflow.base.errors import DataError
from workflow.base.wording import two_units
from workflow.data.fetching import download as module
from workflow.data.fetching import transfer
from workflow.data.fetching.download import download

__all__ = ["base_url", "fetch", "script", "site", "store"]  # fixtures


def test_files_are_fetched_and_kept(site, store, script, fetch):
    files = {name: content_of(name) for name in ("a.zip", "b c.zip", "d.csv", "empty.csv", "e.zip")}
    files["empty.csv"] = b""
    for name, data in files.items():
        (site / name).write_bytes(data)
    sums = {name: md5(data).upper() for name, data in files.items()}
    lines = fetch(sums, label="ISIC 2017")
    assert {path.name: path.read_bytes() for path in store.iterdir() if path.name in files} == files
    assert visible(store) == sorted(files)
    assert re.fullmatch(r"ISIC 2017: 5 of 5 files done, 1\.2 MB fetched in \d+ s, .*/s", lines[-1])
    assert len(script.requests) == 5
    assert fetch(sums)[-1].startswith("download: 5 of 5 files done, 0.0 kB fetched in ")
    assert len(script.requests) == 5


def test_a_wrong_file_of_the_users_is_moved_aside(store, fetch):
    store.mkdir()
    (store / NAME).write_bytes(b"mine")
    lines = fetch()
    assert visible(store) == [NAME, f"{NAME}.wrong"]
    assert (store / NAME).read_bytes() == content_of(NAME)
    assert (store / f"{NAME}.wrong").read_bytes() == b"mine"
    assert any(md5(b"mine") in line and "moved to" in line for line in lines)


@pytest.mark.parametrize("answer", [Answer(status=404), Answer(content=b"wrong")])
def test_a_wrong_file_of_the_users_stays_where_no_better_can_be_had(store, script, fetch, answer):
    store.mkdir()
    (store / NAME).write_bytes(b"mine")
    script.always[NAME] = answer
    with pytest.raises(DataError, match=f"the file in its place has MD5 {md5(b'mine')}"):
        fetch()
    assert (store / NAME).read_bytes() == b"mine"


def test_a_folder_in_the_place_of_a_file_stays(store, script, fetch):
    (store / NAME).mkdir(parents=True)
    with pytest.raises(DataError, match="not a file; move it away"):
        fetch()
    assert script.requests == []


def test_all_files_are_tried_and_all_failures_told(site, store, script, fetch, base_url):
    good = {f"good{k}.csv": content_of(f"good{k}.csv") for k in range(3)}
    for name, data in good.items():
        (site / name).write_bytes(data)
    script.always["busy.zip"] = Answer(status=503)
    sums = {
        "gone.zip": md5(b"1"),
        "busy.zip": md5(b"2"),
        **{name: md5(data) for name, data in good.items()},
    }
    with pytest.raises(DataError) as error:
        fetch(sums, workers=1, url=base_url.replace("//", "//user:secret@"))
    message = str(error.value)
    assert message.startswith(f"{store}: 2 of 5 files could not be fetched:\n")
    assert f"gone.zip from {base_url}gone.zip: HTTP 404 Not Found" in message
    assert f"busy.zip from {base_url}busy.zip: HTTP 503" in message
    assert "secret" not in message
    for words in ("HTTPS_PROXY", "data.isic2017_url", str(store.resolve())):
        assert words in message
    for name in ("gone.zip", "busy.zip"):
        assert f"{name}  (MD5 {sums[name]})" in message
    assert "good0.csv" not in message
    assert visible(store) == sorted(good)


def test_no_server_is_told_briefly(fetch):
    with pytest.raises(DataError) as error:
        fetch(url="http://127.0.0.1:1/")  # a port that nothing listens on
    assert "refused" in str(error.value)
    assert "Max retries" not in str(error.value)


@pytest.mark.parametrize("url", ["nonsense/", "ftp://127.0.0.1/", "http:///"])
def test_an_address_that_is_none_is_final(fetch, url):
    with pytest.raises(DataError, match=r"could not be fetched(.|\n)*[Ii]nvalid|No connection"):
        fetch(url=url, policy=replace(HASTY, tries=1_000_000))


@pytest.mark.parametrize("name", ["../a.zip", "a/b.zip", ".hidden", "", "..", "a\nb", "/a.zip"])
def test_a_name_that_leads_elsewhere_is_refused(store, fetch, name):
    with pytest.raises(DataError, match="not a plain file name"):
        fetch({name: md5(b"")})
    assert not store.exists()


def test_an_md5_that_is_none_is_refused(fetch):
    with pytest.raises(DataError, match=r"a\.zip: found MD5 'abc', expected 32"):
        fetch({NAME: "abc"})


def test_a_proxy_of_the_environment_is_used(monkeypatch, store, script, fetch, base_url):
    monkeypatch.setenv("http_proxy", base_url)
    script.plan(f"2017/{NAME}", Answer(content=content_of(NAME)))
    fetch(url="http://files.invalid/2017/")
    assert is_right(store)
    assert script.requests[0].headers["host"] == "files.invalid"


def test_too_little_space_is_told_before_writing(monkeypatch, site, store, script, fetch):
    (site / "small.csv").write_bytes(b"small")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=250_000))
    sums = {NAME: md5(content_of(NAME)), "small.csv": md5(b"small")}
    with pytest.raises(DataError, match=r"300\.0 kB are missing.*has 250\.0 kB of free space"):
        fetch(sums, workers=1)
    assert script.starts(NAME) == [0]
    assert (store / f".{NAME}.part").stat().st_size == 0
    assert (store / "small.csv").read_bytes() == b"small"
    # What is there already needs no space.
    leave_part(store, content_of(NAME)[:100_000])
    fetch()
    assert (store / NAME).read_bytes() == content_of(NAME)


def test_files_fetched_at_the_same_time_share_the_space(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=400_000))
    first, second, done = (
        module._Wanted(name, "", "", tmp_path / name, total=300_000) for name in "abc"
    )
    first.have, done.outcome = 150_000, "fetched"
    pool = module._Pool([first, second, done], tmp_path, HASTY, SimpleNamespace())
    pool._need_space(first)
    with pytest.raises(transfer.GivenUp, match=r"300\.0 kB are missing, 450\.0 kB with the files"):
        pool._need_space(second)
    # Nothing is promised to the one that was refused.
    pool._need_space(first)
    first.have = 250_000
    pool._need_space(second)


@pytest.mark.parametrize("order", ["large first", "small first"])
def test_a_file_that_does_not_fit_keeps_no_other_from_being_fetched(monkeypatch, tmp_path, order):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    large = module._Wanted("large", "", "", tmp_path / "large", total=300_000)
    small = module._Wanted("small", "", "", tmp_path / "small", total=40)
    pool = module._Pool([large, small], tmp_path, HASTY, SimpleNamespace())
    if order == "small first":
        pool._need_space(small)
    with pytest.raises(transfer.GivenUp):
        pool._need_space(large)
    pool._need_space(small)


def test_a_disk_that_fills_up_is_told_and_the_bytes_kept(monkeypatch, store, script, fetch):
    write = transfer._write

    def full(stream, block):
        room = 100_000 - stream.tell()
        write(stream, block[:room])
        if len(block) > room:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "_write", full)
        with pytest.raises(DataError, match=r"no space is left in .*; free some"):
            fetch()
    assert (store / f".{NAME}.part").read_bytes() == content_of(NAME)[:100_000]
    fetch()
    assert is_right(store)
    assert script.starts(NAME) == [0, 100_000]


def test_another_error_of_the_disk_is_told(monkeypatch, store, fetch):
    def broken(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(DataError, match=r"\.a\.zip\.part: Input/output error"):
        fetch()
    assert visible(store) == [f".{NAME}.part"]


def test_a_store_that_cannot_be_made_is_told(tmp_path, fetch, store):
    store.write_text("a file")
    with pytest.raises(DataError, match=r"store: .*expected a folder that can be written to"):
        fetch()


def test_progress_says_what_is_known(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    files = [
        module._Wanted(name, "", "", Path(name)) for name in ("a.zip", "b.zip", "c.zip", "d.csv")
    ]
    a, b, c, d = files
    lines = []
    progress = module._Progress("ISIC 2017", files, lines.append)
    progress.report()
    a.have, a.fetched, a.total = 1_000_000_000, 600_000_000, 5_000_000_000
    b.trouble = "HTTP 503"
    now[0] += 20
    progress.report()
    b.have, b.total, b.outcome, b.trouble = 2_400_000_000, 2_400_000_000, "kept", ""
    c.outcome, c.have, c.total = "failed", 5, 10**12
    d.have, d.fetched, d.total, d.outcome = 70_000, 70_000, 70_000, "fetched"
    now[0] += 10
    progress.report()
    now[0] += 60
    for _ in range(7):  # as many lines as the speed is averaged over
        progress.report()
    progress.end()
    assert lines[:3] == [
        "ISIC 2017: 0.0 of at least 0.0 kB, 0.0 kB/s, 0 of 4 files done",
        "ISIC 2017: 1.0 of at least 5.0 GB, 30.0 MB/s, at least 2 min 13 s left, 0 of 4 files "
        "done; b.zip (HTTP 503)",
        "ISIC 2017: 3.4 of 7.4 GB, 20.0 MB/s, 3 min 20 s left, 2 of 4 files done, 1 failed",
    ]
    assert lines[-2] == "ISIC 2017: 3.4 of 7.4 GB, 0.0 kB/s, 2 of 4 files done, 1 failed"
    assert lines[-1] == (
        "ISIC 2017: 2 of 4 files done, 1 failed, 600.1 MB fetched in 1 min 30 s, 6.7 MB/s"
    )
    assert two_units(3900) == "1 h 5 min"


def test_progress_is_told_while_a_server_stalls(script, fetch, site, base_url, store):
    script.plan(NAME, Answer(stall=90_000))
    lines = []

    def say(line):
        assert threading.current_thread() is threading.main_thread()
        lines.append(line)

    patient = replace(HASTY, read_timeout=1, tries=10)
    download(
        {NAME: md5(content_of(NAME))}, base_url, store, source="isic2017", say=say, policy=patient
    )
    assert any("90.0 of 300.0 kB" in line for line in lines)
    assert lines[-1].startswith("download: 1 of 1 files done, 300.0 kB fetched in ")


def start(base_url, store, root):
    """Another process that downloads the file."""
    program = (
        "import signal, sys\nfrom pathlib import Path\n"
        "from workflow.data.fetching.download import download\n"
        # A shell lets what it starts in the background ignore Ctrl-C, and so do its children.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "download({sys.argv[1]: sys.argv[2]}, sys.argv[3], Path(sys.argv[4]), source='isic2017')\n"
    )
    arguments = [NAME, md5(content_of(NAME)), base_url, str(store)]
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_ended_leaves_bytes_to_go_on_from(
    store, script, fetch, base_url, repo, number
):
    script.plan(NAME, Answer(stall=123_456))
    part = store / f".{NAME}.part"
    with start(base_url, store, repo) as process:
        wait_for(lambda: part.exists() and part.stat().st_size == 123_456)
        process.send_signal(number)
        # Promptly: not after the 60 s that it would wait for bytes.
        assert process.wait(timeout=30) in (-number, 128 + number)
    assert part.read_bytes() == content_of(NAME)[:123_456]
    assert not (store / NAME).exists()
    fetch()
    assert is_right(store)
    assert script.starts(NAME) == [0, 123_456]


def test_two_processes_do_not_write_the_same_part(store, script, fetch, base_url, repo):
    """The second waits for the first, and then finds the file there."""
    store.mkdir()
    with (store / ".lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with start(base_url, store, repo) as process:
            assert process.stdout is not None
            assert "another process writes here" in process.stdout.readline()
            assert script.requests == []
            (store / NAME).write_bytes(content_of(NAME))
            fcntl.flock(held, fcntl.LOCK_UN)
            assert process.wait(timeout=60) == 0
    assert script.requests == []


def test_file_systems_without_locks_do(monkeypatch, store, fetch):
    def missing(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", missing)
    fetch()
    assert is_right(store)


def test_a_mistake_in_a_thread_is_not_taken_for_success(monkeypatch, fetch):
    def broken(*_):
        raise AttributeError("a mistake")

    monkeypatch.setattr(transfer.Transfer, "_request", broken)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with pytest.raises(RuntimeError, match=r"a\.zip: its thread ended"):
        fetch()
