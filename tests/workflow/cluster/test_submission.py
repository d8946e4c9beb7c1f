"""What a dry run says of the jobs that Slurm would be given."""

import types

from workflow.cluster.submission import Step, steps_of, submission, tell_submission


def step(rule: str, group: str | None = None, **changes) -> Step:
    known = Step(rule, group, local=False, gpus=0, cpus=1, memory=2000, minutes=10)
    return known._replace(**changes)


def rows(steps: list[Step]) -> tuple[str, list[list[str]]]:
    first, *table = submission(steps, 100).splitlines()
    return first, [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in table]


def test_steps_of_a_group_are_one_job_with_the_most_that_one_asks_for_and_all_of_the_time():
    first, table = rows(
        [
            step("train_seed0", "run_a_seed0", gpus=1, cpus=4, memory=16000, minutes=90),
            step("evaluate_seed0", "run_a_seed0", gpus=1, cpus=2, memory=8000, minutes=30),
        ]
    )
    assert first == "1 job for Slurm, 100 at most in its queue at a time"
    assert table == [
        ["jobs", "steps", "GPUs", "CPUs", "memory", "time limit"],
        ["1", "train, evaluate", "1", "4", "16 GB", "2:00 h"],
    ]


def test_jobs_of_all_seeds_are_one_row_with_the_range_of_what_they_ask_for():
    chains = [
        [
            step(f"train_seed{seed}", f"run_a_seed{seed}", minutes=minutes),
            step(f"evaluate_seed{seed}", f"run_a_seed{seed}"),
        ]
        for seed, minutes in ((0, 290), (1, 110), (2, 590))
    ]
    _, table = rows([one for chain in chains for one in chain])
    assert table[1:] == [["3", "train, evaluate", "0", "1", "2 GB", "2:00 h to 10:00 h"]]


def test_ranges_are_of_numbers_and_not_of_words():
    _, table = rows([step("table_I", cpus=8, minutes=60), step("table_II", cpus=16, minutes=200)])
    assert table[1:] == [["2", "table", "0", "8 to 16", "2 GB", "1:00 h to 3:20 h"]]


def test_what_is_done_on_this_host_is_named_and_not_counted():
    first, table = rows([step("download", local=True), step("table_I"), step("all", local=True)])
    assert first.startswith("1 job for Slurm, ")
    assert first.endswith("; done on this host: download, all")
    assert len(table) == 2
    assert rows([step("all", local=True)])[1] == []


def fake(dryrun=True):
    """Snakemake's workflow with a chain of two steps, a step of its own, and one on this host."""

    def job(name, group=None, norun=False, **resources):
        known = {"mem_mb": 2000, "runtime": 10, **resources}
        return SimpleNamespace(
            rule=SimpleNamespace(name=name, norun=norun),
            group=group,
            threads=3,
            resources=Resources(known),
        )

    jobs = [
        job("train_seed0", "run_a_seed0", gpu=1, cpus_per_task=4, runtime=90),
        job("evaluate_seed0", "run_a_seed0", runtime=30),
        job("download"),
        job("all", norun=True),
    ]
    return SimpleNamespace(
        dryrun=dryrun,
        _localrules={"download"},
        resource_settings=SimpleNamespace(nodes=7),
        dag=SimpleNamespace(
            needrun_jobs=lambda exclude_finished: jobs, toposorted=lambda needed: [jobs]
        ),
    )


class Resources(dict):
    """With attributes, as Snakemake's."""

    __getattr__ = dict.__getitem__


class SimpleNamespace(types.SimpleNamespace):
    """That can be in a set."""

    __hash__ = object.__hash__


def test_steps_are_snakemakes_with_what_they_ask_for():
    train, evaluate, download, every = steps_of(fake())
    assert train == Step("train_seed0", "run_a_seed0", False, 1, 4, 2000, 90)
    assert evaluate == Step("evaluate_seed0", "run_a_seed0", False, 0, 3, 2000, 30)
    assert download.local
    assert every.local


def test_only_a_dry_run_says_what_slurm_would_be_given(capsys):
    tell_submission(fake(dryrun=False))
    assert capsys.readouterr().out == ""
    tell_submission(fake())
    first = capsys.readouterr().out.splitlines()[0]
    assert first == (
        "1 job for Slurm, 7 at most in its queue at a time; done on this host: download, all"
    )
