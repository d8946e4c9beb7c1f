"""One file from a server that does everything that servers do wrong."""

import shutil
import threading
import time
from dataclasses import replace
from email.utils import formatdate

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
from workflow.data.fetching import transfer

__all__ = ["base_url", "fetch", "script", "site", "store"]  # fixtures


def test_what_is_asked_is_plain(script, fetch):
    fetch()
    headers = script.requests[0].headers
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"] == "dataset-download"
    assert "range" not in headers


def test_unfinished_bytes_are_resumed(store, script, fetch):
    leave_part(store, content_of(NAME)[:100_000])
    fetch()
    assert is_right(store)
    assert script.starts(NAME) == [100_000]


def test_a_whole_part_needs_no_request(store, script, fetch):
    leave_part(store, content_of(NAME))
    fetch()
    assert is_right(store)
    assert script.requests == []


@pytest.mark.parametrize(
    ("answer", "starts"),
    [
        (Answer(cut=90_000), [0, 90_000]),
        (Answer(cut=0), [0, 0]),
        (Answer(excess=1000), [0]),  # promises more than there is, and the MD5 is right
        (Answer(status=500), [0, 0]),
        (Answer(status=503, headers={"Retry-After": "0"}), [0, 0]),
        (Answer(status=408), [0, 0]),
        (Answer(status=429, headers={"Retry-After": "not a time"}), [0, 0]),
        (Answer(sized=False), [0]),
        (Answer(sized=False, cut=90_000), [0, 0]),  # nothing says that it is not whole but the MD5
        (Answer(content=b"x" * 500), [0, 0]),
        (Answer(status=302, headers={"Location": f"/moved/{NAME}"}), [0]),
    ],
)
def test_what_goes_wrong_once(site, store, script, fetch, answer, starts):
    (site / "moved").mkdir()
    shutil.copy(site / NAME, site / "moved" / NAME)
    script.plan(NAME, answer)
    fetch()
    assert is_right(store)
    assert script.starts(NAME) == starts


@pytest.mark.parametrize(
    ("part", "answer", "starts"),
    [
        # Ignores the range.
        (content_of(NAME)[:100_000], Answer(ranges=False), [100_000]),
        # Says that there is no such range: the part is too long, or as long but wrong.
        (content_of(NAME) + b"more", Answer(), [300_004, 0]),
        (b"x" * 300_000, Answer(), [300_000, 0]),
        (content_of(NAME)[:100_000], Answer(status=416), [100_000, 0]),
        # Sends another range.
        (content_of(NAME)[:100_000], Answer(shift=-1), [100_000, 0]),
        (content_of(NAME)[:100_000], Answer(shift=77), [100_000, 0]),
        (content_of(NAME)[:100_000], Answer(headers={"Content-Range": "lost"}), [100_000, 0]),
        # Breaks off while resuming.
        (content_of(NAME)[:100_000], Answer(cut=50_000), [100_000, 150_000]),
        # The part is of another version.
        (b"x" * 100_000, Answer(), [100_000, 0]),
    ],
)
def test_resuming_when_it_goes_wrong(store, script, fetch, part, answer, starts):
    leave_part(store, part)
    script.plan(NAME, answer)
    fetch()
    assert is_right(store)
    assert script.starts(NAME) == starts


def test_a_version_that_changes_between_requests_is_fetched_from_its_start(store, script, fetch):
    script.plan(NAME, Answer(content=b"old" * 100_000, cut=120_000))
    fetch()
    assert is_right(store)
    assert script.starts(NAME) == [0, 120_000, 0]


def test_a_stall_is_resumed(store, script, fetch):
    script.plan(NAME, Answer(stall=70_000))
    fetch(policy=replace(HASTY, tries=10, read_timeout=0.5))
    assert is_right(store)
    assert any(start > 0 for start in script.starts(NAME))


def test_progress_resets_the_count_of_tries(store, script, fetch):
    script.plan(NAME, *[Answer(cut=20_000)] * 9)
    fetch()
    assert is_right(store)
    assert script.starts(NAME) == [20_000 * k for k in range(10)]


def test_a_server_that_never_gets_further_is_given_up(store, script, fetch):
    script.always[NAME] = Answer(ranges=False, cut=150_000)
    with pytest.raises(DataError, match="3 tries in a row brought nothing new"):
        fetch()
    assert script.starts(NAME) == [0, 150_000, 150_000, 150_000]
    assert (store / f".{NAME}.part").read_bytes() == content_of(NAME)[:150_000]


def test_requests_are_bounded_however_much_they_bring(script, fetch):
    script.always[NAME] = Answer(cut=10)
    with pytest.raises(DataError, match="not whole after 7 requests"):
        fetch(policy=replace(HASTY, most_requests=7))
    assert len(script.requests) == 7


def test_time_is_bounded_too(script, fetch):
    script.always[NAME] = Answer(cut=10)
    with pytest.raises(DataError, match="not whole after 1 requests"):
        fetch(policy=replace(HASTY, most_seconds=0))


@pytest.mark.parametrize("status", [401, 403, 404, 410, 400, 304, 204])
def test_a_refusal_is_final(script, fetch, status):
    script.always[NAME] = Answer(status=status)
    with pytest.raises(DataError, match=f"HTTP {status}"):
        fetch()
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Content-Type": "text/html; charset=utf-8"}, "a web page in its place"),
        ({"Content-Encoding": "gzip"}, "compresses it"),
    ],
)
def test_an_answer_that_is_not_the_file_leaves_the_part(store, script, fetch, headers, message):
    leave_part(store, content_of(NAME)[:100_000])
    script.always[NAME] = Answer(ranges=False, headers=headers)
    with pytest.raises(DataError, match=message):
        fetch()
    assert (store / f".{NAME}.part").read_bytes() == content_of(NAME)[:100_000]
    assert len(script.requests) == 1


def test_redirects_are_bounded(script, fetch):
    script.always[NAME] = Answer(status=302, headers={"Location": f"/{NAME}"})
    with pytest.raises(DataError, match="redirects"):
        fetch()
    assert len(script.requests) == 11


def test_retry_after_is_heard_and_bounded(script, fetch, store):
    script.plan(NAME, Answer(status=429, headers={"Retry-After": "3600"}))
    started = time.monotonic()
    fetch(policy=replace(HASTY, longest_retry_after=0.3))
    assert is_right(store)
    assert 0.3 <= time.monotonic() - started < 60


def test_retry_after_may_be_a_date():
    assert transfer._retry_after("7") == 7
    assert 3590 < transfer._retry_after(formatdate(time.time() + 3600, usegmt=True)) <= 3600
    assert transfer._retry_after(formatdate(time.time() - 3600, usegmt=True)) == 0
    assert [transfer._retry_after(value) for value in ("", "soon", "-5")] == [0, 0, 0]


def test_delays_double_up_to_the_longest(monkeypatch, script, fetch):
    waits = []
    monkeypatch.setattr(transfer.random, "uniform", lambda low, high: high)
    wait = threading.Event.wait

    def recorded(self, timeout=None):
        waits.append(timeout)
        return wait(self, 0 if timeout and timeout > 50 else timeout)

    monkeypatch.setattr(threading.Event, "wait", recorded)
    script.always[NAME] = Answer(status=502)
    with pytest.raises(DataError, match="HTTP 502"):
        fetch(policy=replace(HASTY, tries=6, first_delay=100, longest_delay=500))
    assert [w for w in waits if w and w > 50] == [100, 200, 400, 500, 500]


def test_a_wrong_file_is_fetched_once_more_and_then_kept_aside(store, script, fetch):
    script.always[NAME] = Answer(content=b"wrong")
    store.mkdir()
    (store / f"{NAME}.wrong").write_bytes(b"older")
    with pytest.raises(DataError) as error:
        fetch()
    for words in (md5(b"wrong"), md5(content_of(NAME)), str(store / f"{NAME}.wrong")):
        assert words in str(error.value)
    assert visible(store) == [f"{NAME}.wrong"]
    assert (store / f"{NAME}.wrong").read_bytes() == b"wrong"
    assert script.starts(NAME) == [0, 0]
