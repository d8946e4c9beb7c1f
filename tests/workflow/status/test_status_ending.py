"""The summary when Snakemake ends: what it counts, and what it says of each failure."""

import pytest

from tests.workflow.status.status_tree import CRASH, NOW, OLD, PAIR, STOPPED, line, make_tree
from tests.workspace import copy_tree, snakemake
from workflow.base.files import write_text
from workflow.config import paths
from workflow.results.logs import TAIL_BYTES, Log
from workflow.status.ending import MOST_NAMED, Job, ending
from workflow.status.steps import made

BEGAN = NOW - 3600
METHODS = {"unetpp": ("train", "evaluate"), "control_oracle": ("control",)}
REASON = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
LOG = "results/paper/logs/train/isic2017/unetpp/seed0.log"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    return make_tree(tmp_path, monkeypatch)


def job(tree, step, wildcards=PAIR, state="open", seeds="0"):
    folder = tree.config.results / "logs" / step
    rule = f"{step}_seed{seeds}" if seeds else step
    log = folder.joinpath(*wildcards) / f"seed{seeds}" if seeds else folder.joinpath(*wildcards)
    return Job(rule, wildcards, log.with_name(f"{log.name}.log"), state)


def jobs(tree, **states):
    """The jobs of ten runs, which are done but for those of `unetpp_train_0=state`."""
    return [
        job(tree, step, ("isic2017", method), states.get(f"{method}_{step}_{s}", "done"), str(s))
        for method, steps in METHODS.items()
        for step in steps
        for s in range(5)
    ]


def end(tree, jobs):
    return ending(tree.config, jobs, BEGAN, NOW)


def test_success_is_one_line(tree):
    assert end(tree, jobs(tree)).text == "results/paper: 10 runs: 10 done"
    report = Job("report", (), None, "done")
    said = end(tree, [*jobs(tree), report])
    index = "results/paper/report/index.html"
    assert said.text == f"results/paper: 10 runs: 10 done; the report is {index}"
    assert not said.failures


def test_a_failed_job_is_named_with_its_job_reason_and_log(tree):
    tree.log("train", f"Slurm job 17 on n1\n{line(3)}{CRASH}")
    tree.state(seed=1)
    open_ = {"unetpp_train_1": "open", "unetpp_train_2": "open"}
    open_ |= {f"unetpp_evaluate_{seed}": "open" for seed in (0, 1, 2)}
    asked = [*jobs(tree, unetpp_train_0="failed", **open_), Job("report", (), None, "open")]
    assert end(tree, asked).text.splitlines() == [
        "results/paper: 10 runs: 7 done, 1 failed, 1 begun and not done, 1 not begun; "
        "no report, it needs all",
        f"  {REASON}",
        f"    isic2017 unetpp seed 0: train, Slurm job 17, {LOG}",
    ]
    assert end(tree, asked).title == (
        "results/paper: 10 runs: 7 done, 1 failed, 1 begun and not done, 1 not begun"
    )


def test_a_run_that_diverged_has_failed_though_all_jobs_went_well(tree):
    failure = {"kind": "diverged", "message": "diverged at epoch 3, step 25", "epoch": 3}
    tree.log("train", "Slurm job 18 on n1\n" + line(2))
    tree.done(failure=failure)
    tree.done(seed=1)
    tree.log("evaluate", "isic2017 unetpp seed 1: no results, failed: not finite\n", seeds="1")
    said = end(tree, jobs(tree))
    assert said.title == "results/paper: 10 runs: 8 done, 2 failed"
    assert [(one.reason, one.slurm_job) for one in said.failures] == [
        ("diverged at epoch 3, step 25", "18"),
        ("not finite", None),
    ]


def test_an_attempt_that_failed_is_not_the_end_of_a_run(tree):
    tree.log("train", CRASH)
    said = end(tree, jobs(tree, unetpp_train_0="open", unetpp_evaluate_0="open"))
    assert said.title == "results/paper: 10 runs: 9 done, 1 begun and not done"


def test_of_seeds_in_one_job_those_have_failed_that_its_log_blames(tree):
    crash = "".join(f"seed 1: {text}\n" for text in CRASH.splitlines())
    tree.log("train", line(100) + crash + "seed 1: failed with exit code 1\n", seeds="0_1_2")
    tree.record(folder=paths.state(tree.config, *PAIR, 0) / "abc")
    asked = [
        job(tree, "train", state="failed", seeds="0_1_2"),
        job(tree, "evaluate", seeds="0_1_2"),
    ]
    said = end(tree, asked)
    assert [one.name for one in said.failures] == ["isic2017 unetpp seed 1"]
    assert (said.begun, said.waiting) == (1, 1)
    # Nobody is blamed: all that are not trained.
    tree.log("train", line(100), seeds="0_1_2")
    said = end(tree, asked)
    assert [one.name[-1] for one in said.failures] == ["1", "2"]
    assert {one.reason for one in said.failures} == {"its log does not say why"}


def test_a_run_that_ran_out_of_attempts_says_that_it_can_go_on(tree):
    tree.log("train", line(3) + STOPPED)
    tree.state()
    tree.slurm("train", STOPPED, 23)
    (failure,) = end(tree, [job(tree, "train", state="failed")]).failures
    assert failure.reason == "its last attempt was stopped before the end; its state is saved"
    assert failure.slurm_job == "23"


def test_a_data_step_is_named_with_what_slurm_says_of_its_job(tree):
    folder = tree.config.results.parents[1] / ".snakemake/slurm_logs/rule_prepare/isic2017"
    why = "JOB 31 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT"
    tree.file(folder / "30.log", "", NOW - 60)
    tree.file(folder / "31.log", f"slurmstepd: error: *** {why} ***\n", NOW)
    tree.file(tree.config.results / "logs/prepare/isic2017.log", "reading\n", NOW - 9)
    asked = [job(tree, "prepare", ("isic2017",), "failed", seeds="")]
    assert end(tree, asked).text.splitlines() == [
        "results/paper: 1 step failed",
        f"  {why}",
        "    isic2017: prepare, Slurm job 31, results/paper/logs/prepare/isic2017.log",
    ]
    said = end(tree, [*jobs(tree), *asked, Job("table_IV", (), None, "failed")])
    assert said.title == "results/paper: 10 runs: 10 done; 2 other steps failed"


def test_of_a_group_of_steps_the_one_that_wrote_last_has_failed(tree):
    kept = tree.config.results.parents[1] / ".snakemake/slurm_logs"
    data = "data_isic2017_gates_inventory_prepare_split"
    tree.file(kept / f"group_{data}/40.log", "", NOW)
    for step, at in (("gates", OLD), ("inventory", NOW - 9), ("split", NOW - 5)):
        text = "error: three groups only\n" if step == "split" else CRASH
        tree.file(tree.config.results / f"logs/{step}/isic2017.log", text, at)
    asked = [
        job(tree, step, ("isic2017",), "failed", seeds="")._replace(group=data)
        for step in ("inventory", "split", "prepare", "gates")
    ]
    (failure,) = end(tree, asked).failures
    assert (failure.step, failure.reason) == ("split", "three groups only")
    assert failure.slurm_job == "40"
    # One that was killed wrote nothing, and Snakemake made a log for it.
    tree.file(tree.config.results / "logs/prepare/isic2017.log", "", NOW)
    assert end(tree, asked).failures == (failure,)
    tree.file(kept / f"group_{data}/40.log", "Error in rule prepare:\n", NOW)
    (failure,) = end(tree, asked).failures
    assert (failure.step, failure.reason) == ("prepare", "its log does not say why")


@pytest.mark.parametrize("removed", [False, True])
def test_a_run_whose_evaluation_failed_in_a_group_is_named_once(tree, removed):
    group = "run_isic2017_unetpp_seed0_evaluate_seed0_train_seed0"
    folder = tree.config.results.parents[1] / f".snakemake/slurm_logs/group_{group}"
    at = BEGAN + 60  # so long ago that nothing counts as running
    tree.log("train", line(100), at=at)
    tree.state(epochs=99, at=at)
    if not removed:
        tree.record(at=at)
    tree.log("evaluate", CRASH, at=at + 1)
    tree.file(folder / "41.log", CRASH, at + 1)
    assert tree.standing().slurm_job == "41"
    asked = [
        job(tree, step, state="failed")._replace(group=group) for step in ("train", "evaluate")
    ]
    (failure,) = end(tree, asked).failures
    assert str(failure) == (
        "isic2017 unetpp seed 0: evaluate, Slurm job 41, "
        "results/paper/logs/evaluate/isic2017/unetpp/seed0.log"
    )
    assert failure.reason == REASON


def test_logs_of_an_earlier_run_say_nothing_of_a_job_that_did_not_start(tree):
    tree.log("train", "Slurm job 17 on n1\n" + CRASH, at=OLD)
    tree.slurm("train", "slurmstepd: error: *** JOB 17 ON n1 CANCELLED ***", 17, at=OLD)
    (failure,) = end(tree, [job(tree, "train", state="failed")]).failures
    assert failure.reason.startswith("it wrote nothing")
    assert str(failure) == "isic2017 unetpp seed 0: train"
    # Nor what they say of one seed of several, or of a later step of the same job.
    tree.log("train", "seed 1: failed with exit code 1\n", seeds="1_2", at=OLD)
    tree.log("evaluate", CRASH, seeds="1_2", at=OLD + 9)
    asked = [
        job(tree, step, state="failed", seeds="1_2")._replace(group="run")
        for step in ("train", "evaluate")
    ]
    assert [str(failure) for failure in end(tree, asked).failures] == [
        "isic2017 unetpp seed 1: train",
        "isic2017 unetpp seed 2: train",
    ]


def test_where_no_run_was_asked_for_there_is_nothing_to_say(tree):
    assert end(tree, [job(tree, "split", ("isic2017",), "done", seeds="")]) is None


def test_a_summary_of_very_many_failures_ends(tree):
    asked = [Job(f"table_{number}", (), None, "failed") for number in range(MOST_NAMED + 7)]
    rows = end(tree, asked).text.splitlines()
    assert rows[0] == f"results/paper: {MOST_NAMED + 7} steps failed"
    assert sum(row.startswith("    table_") for row in rows) == MOST_NAMED
    assert rows[-1].startswith("  and 7 more: ")


def test_a_long_log_tells_its_job_and_the_last_one_counts(tree):
    text = "conda\nSlurm job 17 on n1\n" + "a line\n" * TAIL_BYTES
    log = tree.log("train", text)
    assert Log.read(log).slurm_job == "17"
    assert tree.standing().slurm_job == "17"
    assert Log.read(tree.log("train", text + "Slurm job 18 on n2\n")).slurm_job == "18"
    assert Log.read(tree.log("train", "no Slurm job 18 on n2\n")).slurm_job is None


def test_the_larger_figures_are_counted_apart(tree):
    before = made(tree.config)
    assert before.of_plots > 1
    write_text(paths.plot(tree.config, "ranking", "png"), "")
    assert made(tree.config) == before._replace(plots=1)


def test_snakemake_prints_the_summary(tmp_path):
    copy_tree(tmp_path)
    (tmp_path / "raw").touch()
    file = "results/paper/data/retouch_files.json"
    done = snakemake(tmp_path, file, "--config", "preset=paper", RETOUCH_DIR=str(tmp_path / "raw"))
    assert done.returncode == 1
    assert "results/paper: 1 step failed\n" in done.stdout
    assert "    retouch: raw, results/paper/logs/raw/retouch.log\n" in done.stdout
