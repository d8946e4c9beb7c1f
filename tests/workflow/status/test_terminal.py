"""What a run prints: lines of finished runs, errors in full, and nothing of other jobs."""

import io
import logging
from types import SimpleNamespace

import pytest
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

from workflow.config.cells import Run
from workflow.config.load import load_config
from workflow.status.progress import Task
from workflow.status.terminal import name_of, take_over

TASKS = {
    0: Task("train_seed0_1", ("retouch_spectralis", "resformer_par"), 60.0, learns=True),
    1: Task("evaluate_seed0_1", ("retouch_spectralis", "resformer_par")),
    2: Task("table_II", ()),
}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def screen(monkeypatch):
    """Snakemake's logger as it sets it up, with a display in its place that tells of runs."""
    stream, clock = io.StringIO(), Clock()
    handler = ColorizingTextHandler(nocolor=True, stream=stream)
    handler.addFilter(DefaultFilter(None, False, False, False, False))
    handler.setFormatter(DefaultFormatter())
    handler.name = "DefaultStreamHandler"
    logger = logging.Logger("snakemake of a test", logging.INFO)
    logger.addHandler(handler)
    display = take_over(logger, settings(), load_config(overrides={"preset": "smoke"}))
    display._clock = clock
    display._describe = lambda run, seed: f"{' '.join(run)} {seed}: DSC 61.2"
    return SimpleNamespace(logger=logger, stream=stream, clock=clock, display=display)


def settings(**changed):
    own = dict.fromkeys(("dryrun", "verbose", "printshellcmds", "debug_dag"), False)
    return SimpleNamespace(**{**own, "quiet": None, **changed})


def say(screen, event, message="", **facts):
    screen.logger.info(message, extra={"event": event, **facts})


def test_a_line_for_each_run_that_ends_and_nothing_of_other_jobs(screen):
    say(screen, LogEvent.RUN_INFO, "Job stats: ...")
    screen.display.begin(TASKS)
    say(screen, LogEvent.JOB_STARTED, "Execute 1 jobs...", jobs=[0])
    screen.clock.now = 120.0
    say(screen, LogEvent.JOB_FINISHED, "Finished jobid: 0", job_id=0)
    say(screen, LogEvent.PROGRESS, None, done=1, total=3)
    say(screen, LogEvent.JOB_STARTED, "Execute 1 jobs...", jobs=[1])
    screen.clock.now = 124.0
    say(screen, LogEvent.JOB_FINISHED, "Finished jobid: 1", job_id=1)
    screen.logger.info("Select jobs to execute...")
    assert screen.stream.getvalue().splitlines() == [
        "[ 1/2, 96 %, 4 s left] retouch_spectralis resformer_par 0: DSC 61.2",
        "[ 2/2, 96 %, 4 s left] retouch_spectralis resformer_par 1: DSC 61.2",
    ]


def test_what_is_no_job_is_said(screen):
    screen.logger.info("Nothing to be done (all requested files are present and up to date).")
    screen.logger.warning("a warning")
    assert "Nothing to be done" in screen.stream.getvalue()
    assert "a warning" in screen.stream.getvalue()


def test_an_error_is_told_in_full_with_the_end_of_its_log(screen, tmp_path):
    log = tmp_path / "seed0.log"
    log.write_text("".join(f"line {n}\n" for n in range(100)) + "error: the disk is full\n")
    facts = {
        "rule_name": "train_seed0", "rule_msg": None, "jobid": 7, "input": ["in.npy"],
        "output": ["out"], "log": [str(log)], "conda_env": None, "container_img": None,
        "aux": {}, "indent": False, "shellcmd": "python -m something",
    }  # fmt: skip
    screen.logger.error("Error in rule", extra={"event": LogEvent.JOB_ERROR, **facts})
    said = screen.stream.getvalue()
    for part in ("Error in rule train_seed0", "in.npy", "python -m something", "line 90"):
        assert part in said
    assert "        error: the disk is full" in said.splitlines()
    assert "line 10\n" not in said


@pytest.mark.parametrize(
    "changed",
    [
        {"dryrun": True},
        {"verbose": True},
        {"printshellcmds": True},
        {"debug_dag": True},
        {"quiet": {"all"}},
        {"quiet": {"progress"}},
    ],
)
def test_snakemakes_own_output_can_be_had(screen, changed):
    logger = logging.Logger("another", logging.INFO)
    handler = ColorizingTextHandler(nocolor=True, stream=io.StringIO())
    handler.name = "DefaultStreamHandler"
    logger.addHandler(handler)
    assert take_over(logger, settings(**changed), load_config()) is None
    assert handler.filters == []


def test_a_logger_plugin_keeps_the_terminal():
    assert take_over(logging.Logger("bare"), settings(), load_config()) is None


def test_the_live_line_is_taken_away_before_anything_is_printed(screen):
    screen.display.begin(TASKS)
    say(screen, LogEvent.JOB_STARTED, "", jobs=[0])
    screen.display.draw()
    drawn = screen.stream.getvalue()
    assert drawn.endswith("Spectralis · ResFormer (parallel)")
    screen.logger.warning("a warning")
    assert screen.stream.getvalue().removeprefix(drawn) == "\r\033[Ka warning\n"
    screen.display.end()
    screen.display.draw()
    assert screen.stream.getvalue().endswith("a warning\n")


def test_a_group_on_a_cluster_counts_by_its_members(screen):
    screen.display.begin(TASKS)
    members = [SimpleNamespace(jobid=0), SimpleNamespace(jobid=1)]
    say(screen, LogEvent.GROUP_INFO, "group job", group_id="run", jobs=members)
    screen.clock.now = 60.0
    say(screen, LogEvent.JOB_FINISHED, "", job_id=0)
    say(screen, LogEvent.JOB_FINISHED, "", job_id=1)
    assert screen.stream.getvalue().startswith("[ 1/2, 9")


def test_names_of_methods_and_jobs():
    config = load_config(overrides={"preset": "smoke"})
    titles = {key: method.title for key, method in config.methods.items()}
    assert titles["resformer_seq"] == "ResFormer (sequential)"
    assert titles["resformer_par_no_dfe"] == "ResFormer (parallel, w/o DFE)"
    assert titles["unetpp"] == "UNet++"
    assert titles["control_shuffled"] == "Shuffled labels"
    name = name_of(config)
    assert name(Task("table_IV", ())) == "table IV"
    assert name(Task("prepare", ("isic2017",))) == "prepare isic2017"
    assert name(Task("train_seed0", ("isic2017", "unetpp"))) == "ISIC 2017 · UNet++"


def test_a_finished_run_is_told_with_its_scores(tiny_config):
    from workflow.evaluation.controls import control_seeds
    from workflow.status.terminal import describe

    control_seeds(tiny_config, "isic2017", "control_oracle", "0")
    told = describe(tiny_config)(Run("isic2017", "control_oracle"), 0)
    assert told == "ISIC 2017 · Oracle · seed 0 · DSC 100.0 · Sen 100.0 · Spe 100.0"
    missing = describe(tiny_config)(Run("isic2017", "control_oracle"), 1)
    assert missing.startswith("ISIC 2017 · Oracle · seed 1")
