"""Jobs that would be waited for for ever: each is noticed, and none that is well is touched."""

import asyncio
import contextlib
import logging
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as plugin

from workflow.cluster import polling
from workflow.cluster.polling import MISSING_SECONDS, PREEMPTED_SECONDS, Patience, Query


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def patience() -> Patience:
    return Patience(Clock())


def after(patience: Patience, seconds: float, text: str) -> dict[str, str]:
    patience.clock.now += seconds  # pyright: ignore
    return patience.read(text)[0]


def test_sacct_says_who_cancelled(patience) -> None:
    assert after(patience, 0, "7|CANCELLED by 1000\n8|COMPLETED") == {
        "7": "CANCELLED",
        "8": "COMPLETED",
    }


def test_a_job_preempted_for_good_counts_as_cancelled(patience) -> None:
    assert after(patience, 0, "7|PREEMPTED|None") == {"7": "PREEMPTED"}
    assert after(patience, PREEMPTED_SECONDS - 1, "7|PREEMPTED|None") == {"7": "PREEMPTED"}
    assert after(patience, 1, "7|PREEMPTED|None") == {"7": "CANCELLED"}


def test_a_job_that_is_requeued_after_preemption_is_waited_for(patience) -> None:
    after(patience, 0, "7|PREEMPTED|None")
    after(patience, PREEMPTED_SECONDS, "7|PENDING|BeginTime")
    assert after(patience, 1, "7|PREEMPTED|None") == {"7": "PREEMPTED"}


def test_a_job_that_slurm_forgot_is_tried_again(patience) -> None:
    after(patience, 0, "7|RUNNING|None\n8|COMPLETED|None")
    assert after(patience, 1, "") == {}
    assert after(patience, MISSING_SECONDS, "") == {"7": "FAILED"}


def test_a_job_that_is_seen_again_was_not_forgotten(patience) -> None:
    after(patience, 0, "7|RUNNING|None")
    after(patience, 1, "")
    after(patience, 1, "7|RUNNING|None")
    after(patience, 1, "")
    assert after(patience, MISSING_SECONDS - 1, "") == {}


@pytest.mark.parametrize(
    "reason",
    ["launch failed requeued held", "JobHeldAdmin", "PartitionTimeLimit", "QOSMaxGRESPerJob"],
)
def test_a_job_that_waits_for_ever_is_named(patience, reason) -> None:
    assert patience.read(f"7|PENDING|{reason}")[1] == {"7": reason}


@pytest.mark.parametrize(
    "reason", ["Resources", "Priority", "BeginTime", "None", "QOSMaxGRESPerUser"]
)
def test_a_job_that_waits_its_turn_is_left_alone(patience, reason) -> None:
    assert patience.read(f"7|PENDING|{reason}")[1] == {}


def test_a_slurm_that_does_not_answer_is_waited_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(polling, "FAILED_QUERY_SECONDS", 0.01)
    squeue = tmp_path / "squeue"
    squeue.write_text(f"""#!/bin/sh
echo x >> {tmp_path}/asked
[ $(wc -l < {tmp_path}/asked) -gt 7 ] && echo "7|RUNNING|None" || exit 1
""")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    answer = Query()("squeue --format='%i|%T' --name x", logging.getLogger("test"))
    assert asyncio.run(answer)[0] == {"7": "RUNNING"}


def test_a_held_job_is_cancelled_once_and_the_user_is_told(tmp_path, monkeypatch, caplog) -> None:
    (tmp_path / "squeue").write_text(
        '#!/bin/sh\n[ "$1" = "--format=%i|%T|%r" ] && echo "7|PENDING|JobHeldAdmin"\n'
    )
    (tmp_path / "scancel").write_text(f"#!/bin/sh\necho $1 >> {tmp_path}/cancelled\n")
    for name in ("squeue", "scancel"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    query = Query()
    for _ in range(2):
        asyncio.run(query("squeue --format='%i|%T' --name x", logging.getLogger("test")))
    assert (tmp_path / "cancelled").read_text() == "7\n"
    assert "Slurm job 7 would wait for ever (JobHeldAdmin)" in caplog.text


def test_how_a_job_failed_is_told_once(tmp_path, monkeypatch, caplog) -> None:
    """Of a group of steps the plugin does not say it."""
    (tmp_path / "squeue").write_text('#!/bin/sh\necho "7|TIMEOUT|None\n8|COMPLETED|None"\n')
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    query = Query()
    for _ in range(2):
        asyncio.run(query("squeue --format='%i|%T' --name x", logging.getLogger("test")))
    assert caplog.messages == ["Slurm job 7 ended as TIMEOUT."]


def test_the_plugin_in_use_takes_the_question(monkeypatch) -> None:
    for name in ("query_job_status", "get_min_job_age"):
        monkeypatch.setattr(plugin, name, getattr(plugin, name))
    assert polling.install(plugin)
    assert isinstance(plugin.query_job_status, Query)
    assert isinstance(plugin.get_min_job_age, polling.JobAge)


def test_another_plugin_is_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(plugin, "query_job_status", lambda other: None)
    assert not polling.install(plugin)


def test_a_controller_that_is_slow_is_no_reason_to_ask_sacct() -> None:
    """The plugin asks for MinJobAge for ten seconds before each query, and takes silence for 0."""
    said = iter([None, 600, None, 30])
    age = polling.JobAge(lambda: next(said))
    assert [age() for _ in range(4)] == [polling.DEFAULT_JOB_AGE, 600, 600, 30]


def test_the_plugin_stays_with_squeue_where_the_controller_is_slow(tmp_path, monkeypatch) -> None:
    """Its own code decides by what stands in `get_min_job_age`'s place, with sacct installed."""
    for name in ("query_job_status", "get_min_job_age"):
        monkeypatch.setattr(plugin, name, getattr(plugin, name))
    monkeypatch.setattr(plugin, "get_min_job_age", lambda: None)
    monkeypatch.setattr(plugin, "is_query_tool_available", lambda tool: True)
    polling.install(plugin)
    asked = []

    async def ask(command, logger):
        asked.append(command)
        return {}, 0.0

    monkeypatch.setattr(plugin, "query_job_status", ask)
    executor = plugin.Executor.__new__(plugin.Executor)
    settings = SimpleNamespace(
        status_command="squeue", status_attempts=1, init_seconds_before_status_checks=20
    )
    executor.workflow = SimpleNamespace(executor_settings=settings)
    executor.logger, executor.run_uuid = logging.getLogger("test"), "resformer_1"
    executor.status_rate_limiter = contextlib.nullcontext()  # pyright: ignore
    executor._status_query_calls = executor._status_query_failures = 0
    executor._status_query_total_seconds = executor._status_query_max_seconds = 0.0
    executor._next_seconds_between_status_checks = 20
    executor._status_query_min_seconds, executor._status_query_cycle_rows = None, []

    async def check() -> None:
        job = SimpleNamespace(external_jobid="7", aux={})
        async for _ in executor.check_active_jobs([job]):  # pyright: ignore
            pass

    asyncio.run(check())
    (command,) = asked
    assert command.startswith("squeue ")


def test_sacct_without_accounts_is_asked_once(tmp_path, monkeypatch, caplog) -> None:
    (tmp_path / "sacct").write_text(
        f"#!/bin/sh\necho x >> {tmp_path}/asked\n"
        "echo 'Slurm accounting storage is disabled' >&2\nexit 1\n"
    )
    (tmp_path / "squeue").write_text('#!/bin/sh\n[ "$5" = run ] && echo "7|RUNNING|None"\n')
    for name in ("sacct", "squeue"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    answer = Query()("sacct -X --parsable2 --name run", logging.getLogger("test"))
    assert asyncio.run(answer)[0] == {"7": "RUNNING"}
    assert (tmp_path / "asked").read_text() == "x\n"
    assert caplog.messages == ["sacct keeps no accounts here; squeue is asked from now on."]
