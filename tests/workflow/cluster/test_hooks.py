"""What is asked ahead of a run's first job, and said at its end."""

import os
from types import SimpleNamespace

import pytest
from snakemake.exceptions import WorkflowError

from tests.workflow.config.config_changes import changed
from tests.workflow.running.test_owners import owner_of
from workflow.base.errors import ConfigError
from workflow.cluster import hooks, leftovers, notify, preflight
from workflow.cluster.findings import PreflightFinding
from workflow.cluster.site import Site
from workflow.status import ending, jobs

SITE = Site()


def snakemake(*rules, main=True, touch=False, lock=True):
    asked = [SimpleNamespace(rule=SimpleNamespace(name=rule)) for rule in rules]
    return SimpleNamespace(
        dag=SimpleNamespace(jobs=asked, needrun_jobs=lambda: asked),
        scheduler=SimpleNamespace(failed=[], _executor=SimpleNamespace(run_uuid="resformer_1")),
        execution_settings=SimpleNamespace(lock=lock),
        is_main_process=main,
        touch=touch,
    )


@pytest.fixture
def said(monkeypatch):
    """What is logged, as (level, text)."""
    lines = []
    for level in ("info", "warning"):
        monkeypatch.setattr(hooks.logger, level, lambda text, at=level: lines.append((at, text)))
    return lines


@pytest.fixture
def cluster(monkeypatch):
    """What the preflight finds and which jobs were left over; both may be changed."""
    state = SimpleNamespace(findings=[], ended=[], unknown=[], asked=0)

    def look(config, site):
        state.asked += 1
        return state.findings

    monkeypatch.setattr(preflight, "preflight", look)
    left = lambda folder, results: leftovers.Leftovers(state.ended, state.unknown)  # noqa: E731
    monkeypatch.setattr(leftovers, "end_leftovers", left)
    return state


def test_a_ready_cluster_says_nothing(cluster, said):
    hooks.check_cluster(changed({}), snakemake("train_seed0"), SITE)
    assert (cluster.asked, said) == (1, [])


@pytest.mark.parametrize("target", ["preflight", "plan"])
def test_what_is_about_runs_asks_nothing(cluster, target):
    hooks.check_cluster(changed({}), snakemake(target), SITE)
    assert cluster.asked == 0


def test_a_finding_that_stops_ends_the_run_with_what_to_do(cluster, said):
    cluster.findings = [finding(stops=False)]
    hooks.check_cluster(changed({}), snakemake("train_seed0"), SITE)
    cluster.findings = [finding(stops=True)]
    with pytest.raises(WorkflowError, match=r"add its name to `ignore` in slurm/site\.yaml"):
        hooks.check_cluster(changed({}), snakemake("train_seed0"), SITE)
    assert [level for level, _ in said] == ["warning", "warning"]
    assert all(text.startswith("preflight: ") for _, text in said)


def test_jobs_of_a_killed_run_are_named_unless_another_snakemake_may_own_them(cluster, said):
    cluster.ended = ["7", "8"]
    hooks.check_cluster(changed({}), snakemake("train_seed0", lock=False), SITE)
    assert said == []
    hooks.check_cluster(changed({}), snakemake("train_seed0"), SITE)
    ((_, text),) = said
    assert text.startswith("Slurm jobs 7, 8 of a run that was killed were still in the queue")


def test_jobs_of_an_unknown_run_are_named_and_left_alone(cluster, said):
    cluster.unknown = ["9"]
    hooks.check_cluster(changed({}), snakemake("train_seed0"), SITE)
    ((level, text),) = said
    assert level == "warning"
    assert text.startswith("Slurm jobs 9 were submitted from this folder by a run of which nothing")


@pytest.mark.parametrize("rules", [("plan",), ("preflight",), ("plan", "preflight")])
def test_what_is_about_runs_is_none(rules, tmp_path, monkeypatch):
    config = changed({})
    monkeypatch.chdir(tmp_path)
    assert not hooks.begin_run(config, snakemake(*rules), {})
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_written_down_with_the_name_of_its_jobs(tmp_path, monkeypatch):
    config = changed({})
    monkeypatch.chdir(tmp_path)
    assert hooks.begin_run(config, snakemake("train_seed0"), {"seeds": [0]})
    (record,) = hooks.owners.records()
    assert (record.jobs, record.results) == ("resformer_1", str(config.results))
    monkeypatch.setattr(hooks.owners, "this_owner", lambda: owner_of(os.getppid()))
    with pytest.raises(WorkflowError, match=r"Two runs would be mixed\.\nresults/everything: "):
        hooks.begin_run(config, snakemake("train_seed0"), {"seeds": [1]})


def test_jobs_that_do_not_end_end_the_run(cluster, monkeypatch):
    def refuse(folder, results):
        raise ConfigError("Slurm jobs 7: still there")

    monkeypatch.setattr(leftovers, "end_leftovers", refuse)
    with pytest.raises(WorkflowError, match=r"may still have jobs\.\nSlurm jobs 7: still there\."):
        hooks.check_cluster(changed({}), snakemake("train_seed0"), SITE)


@pytest.fixture
def end(monkeypatch, tmp_path):
    """How runs end, and what is sent of it."""
    state = SimpleNamespace(
        end=SimpleNamespace(failures=(), headlines=(), title="t", text="2 done"), sent=[]
    )
    monkeypatch.setattr(hooks.owners, "end", lambda: None)
    monkeypatch.setattr(jobs, "jobs_of", lambda dag, failed: [])
    monkeypatch.setattr(ending, "ending", lambda config, jobs, began, now: state.end)

    def send(site, title, text):
        state.sent.append((title, text))
        return ["the webhook did not answer"]

    monkeypatch.setattr(notify, "notify", send)
    return state


def test_the_end_is_said_and_sent_to_whom_a_site_names(end, said):
    hooks.tell_end(changed({}), snakemake("report"), None)
    assert (said, end.sent) == ([("info", "2 done")], [])
    hooks.tell_end(changed({}), snakemake("report"), SITE)
    assert end.sent == [("t", "2 done")]
    assert said[1:] == [("info", "2 done"), ("warning", "the webhook did not answer")]


def test_failures_are_a_warning(end, said):
    end.end.failures = ("one",)
    hooks.tell_end(changed({}), snakemake("report"), None)
    assert said == [("warning", "2 done")]


@pytest.mark.parametrize(
    "workflow",
    [snakemake("plan"), snakemake("report", main=False), snakemake("report", touch=True)],
    ids=["plan", "a job", "touch"],
)
def test_what_has_run_nothing_says_nothing(end, said, workflow):
    hooks.tell_end(changed({}), workflow, SITE)
    assert (said, end.sent) == ([], [])


def test_no_runs_asked_for_is_no_end(end, said):
    end.end = None
    hooks.tell_end(changed({}), snakemake("split"), SITE)
    assert (said, end.sent) == ([], [])


def test_an_end_that_cannot_be_told_fails_nothing(end, said, monkeypatch):
    def broken(config, jobs, began, now):
        raise KeyError("epoch")

    monkeypatch.setattr(ending, "ending", broken)
    hooks.tell_end(changed({}), snakemake("report"), SITE)
    assert said == [("warning", "How the runs ended cannot be told: KeyError('epoch')")]


def finding(stops):
    return PreflightFinding("nodes", stops, "no node is up", "jobs would wait", "Ask for one")
