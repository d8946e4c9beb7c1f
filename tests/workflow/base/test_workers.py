"""Work on several threads: order, errors, bounded look-ahead; and what progress says."""

import threading

import pytest

from workflow.base import workers
from workflow.base.workers import WorkProgress, each, usable_threads


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_come_in_the_order_of_the_items(threads):
    events = [threading.Event() for _ in range(20)]

    def work(k):
        if threads > 1 and k % 2 == 0:
            events[k + 1].wait(5)  # every even item ends after the odd one that follows it
        events[k].set()
        return k * k

    assert list(each(work, range(20), threads)) == [k * k for k in range(20)]


def test_the_first_error_ends_the_work():
    started = []

    def work(k):
        started.append(k)
        if k == 3:
            raise ValueError("item 3")
        return k

    with pytest.raises(ValueError, match="item 3"):
        list(each(work, range(1000), 2))
    assert len(started) < 20


def test_no_more_is_worked_on_than_memory_can_hold():
    started = []
    results = each(lambda k: started.append(k), range(100), 2)
    next(iter(results))
    assert len(started) <= 1 + 2 * 2


def test_threads_are_no_more_than_the_processors_at_hand(monkeypatch):
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert [usable_threads(wanted) for wanted in (1, 3, 8)] == [1, 3, 3]


def test_progress_is_said_every_few_seconds_with_rate_and_time_left(monkeypatch):
    clock = iter([0.0, 1.0, 6.0, 7.0, 12.0, 20.0])
    monkeypatch.setattr(workers.time, "monotonic", lambda: next(clock))
    lines = []
    progress = WorkProgress("prepare x", 60, "images", lines.append)
    for count in (2, 10, 6, 6):  # at 1, 6, 7 and 12 s
        progress.add(count)
    progress.end()
    assert lines == [
        "prepare x: 12 of 60 images, 2.0 images/s, 24 s left",
        "prepare x: 24 of 60 images, 2.0 images/s, 18 s left",
        "prepare x: 24 images in 20.0 s",
    ]
