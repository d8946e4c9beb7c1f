"""Bad inputs are refused with a message that helps, and nothing is lost or left half-written."""

import functools
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from tests.workflow.data.bad_cases import downloads, settings
from tests.workflow.data.bad_cases.case import Case
from tests.workflow.data.bad_inputs import GROUPS, PAGE, page, run
from workflow.base.errors import ConfigError, DataError
from workflow.base.files import write_json
from workflow.data import make

CASES = [(group, case) for group in GROUPS for case in group.cases]
# What a person is told to do, or what is right.
ADVICE = re.compile(
    r"\b(add|allowed|at least|choose|complete|convert|correct|delete|did you mean|docs/|each|"
    r"expected|fetch|free|give|hold|keep|list|look|mend|move|must|name|prepare|raise|remove|"
    r"rename|replace|restore|run|save|set|should|start|store|unpack|use)\b",
    re.IGNORECASE,
)
# More lines than a screen has are not read.
LONGEST = 1500


@pytest.fixture(scope="module")
def meet(tmp_path_factory):
    """What becomes of a case, by its number; each is met once."""

    @functools.cache
    def outcome(number):
        group, case = CASES[number]
        return run(group, case, tmp_path_factory.mktemp("case"))

    return outcome


@pytest.mark.parametrize(
    "number", range(len(CASES)), ids=[f"{group.title}: {case.what}" for group, case in CASES]
)
def test_a_bad_input_is_refused_and_nothing_is_lost(meet, number):
    case, outcome = CASES[number][1], meet(number)
    assert outcome.error in (DataError, ConfigError)
    assert case.says in outcome.message
    assert ADVICE.search(outcome.message)
    assert len(outcome.message) <= LONGEST
    assert all(line.isprintable() for line in outcome.message.splitlines())
    assert outcome.lost == []
    assert outcome.left == []


@pytest.mark.parametrize("group", GROUPS, ids=[group.title for group in GROUPS])
def test_the_files_are_good_before_they_are_damaged(tmp_path, group):
    outcome = run(group, Case("nothing", "", around=downloads.answered()), tmp_path)
    assert (outcome.lost, outcome.left) == ([], [])
    # What is downloaded here is only called an archive.
    assert outcome.step == ("raw" if group is downloads.SERVERS else ""), outcome.message


def test_a_step_that_spoils_something_would_be_noticed(tmp_path):
    def spoil(config, name):
        Path("DATA/split.csv").write_text("")
        Path("results/paper/data/mine/.inventory.1.csv").write_text("half")
        Path("results/paper/data/mine/inputs.csv").unlink()
        raise DataError("no")

    with mock.patch.dict(make.STEPS, {"split": spoil}):
        outcome = run(settings.SPLITS, Case("nothing", ""), tmp_path)
    assert outcome.lost == ["DATA/split.csv"]
    written = {Path(path).name for path in outcome.left}
    assert written == {"split.csv", ".inventory.1.csv", "inputs.csv"}


def test_no_case_is_there_twice(meet):
    assert len(CASES) >= 60
    assert len({(group.title, case.what) for group, case in CASES}) == len(CASES)


def test_the_page_has_what_is_said_now(meet):
    assert PAGE.read_text(encoding="utf-8") == page(
        [(group, case, meet(number)) for number, (group, case) in enumerate(CASES)]
    )


@pytest.mark.parametrize(
    ("title", "what"),
    [
        ("ISIC 2017: archives", "a member would go outside"),
        ("RETOUCH: volumes", "a reference holds a value beyond 3"),
    ],
)
def test_the_command_says_the_same_and_no_traceback(tmp_path, meet, title, what):
    (number,) = [n for n, (g, c) in enumerate(CASES) if (g.title, c.what) == (title, what)]
    (tmp_path / "case").mkdir()

    def command(step):
        def act(config, name):
            file = tmp_path / "config.json"
            write_json(file, config.model_dump(mode="json"))
            done = subprocess.run(
                [sys.executable, "-m", "workflow.data.make", step, str(file), name],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                assert (done.returncode, done.stderr[:7]) == (1, "error: ")
                raise DataError(done.stderr[7:].removesuffix("\n"))

        return act

    with mock.patch.dict(make.STEPS, {step: command(step) for step in make.STEPS}):
        group, case = CASES[number]
        outcome = run(group, case, tmp_path / "case")
    assert outcome == meet(number)
