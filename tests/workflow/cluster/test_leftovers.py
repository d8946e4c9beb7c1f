"""Jobs that a killed Snakemake left are cancelled and waited for; no other job is touched."""

import os
from pathlib import Path

import pytest

from tests.workflow.running.test_owners import owner_of, written
from workflow.base.errors import ConfigError
from workflow.cluster import leftovers as module
from workflow.cluster.leftovers import Leftovers, end_leftovers
from workflow.running import owners
from workflow.running.owners import OwnedRun

PAPER = Path("results/paper")

SQUEUE = """#!/bin/sh
test "$*" = "--me --noheader --format=%i|%j|%k|%Z" || exit 2
cat {queue}
"""
SCANCEL = """#!/bin/sh
echo "$@" >> {cancelled}
{then}
"""


@pytest.fixture
def queue(tmp_path, monkeypatch) -> Path:
    """The lines that a pretended squeue prints; scancel empties them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.defpath}")
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LOOKS", 0.01)
    file = tmp_path / "queue"
    file.write_text("")
    _command(tmp_path / "squeue", SQUEUE.format(queue=file))
    then = f": > {file}"
    _command(tmp_path / "scancel", SCANCEL.format(cancelled=tmp_path / "cancelled", then=then))
    return file


def _command(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def run(name: str, results: Path = PAPER, *, killed: bool = True, **changes) -> None:
    """Write down a run of this process, or of one that has had its number before."""
    started = {"started": 1.0} if killed else {}
    owner = owner_of(os.getpid(), run=name, **started, **changes)
    written(OwnedRun(owner, str(results), "digest", f"resformer_{name}"))


def test_only_jobs_of_a_killed_run_of_this_preset_are_cancelled(queue, tmp_path) -> None:
    folder = tmp_path / "link"
    folder.symlink_to(tmp_path)
    run("killed")
    run("alive", killed=False)
    run("elsewhere", host="elsewhere")
    run("preset", Path("results/everything"))
    queue.write_text(
        f"1|resformer_killed|rule_train_seed0_wildcards_isic2017_he|{folder}\n"
        f"2|resformer_alive|rule_report|{tmp_path}\n"
        f"3|resformer_elsewhere|rule_report|{tmp_path}\n"
        f"4|resformer_preset|rule_report|{tmp_path}\n"
        f"5|resformer_lost|group_train|{tmp_path}\n"
        f"6|resformer_killed|(null)|{tmp_path}\n"
        f"7|notebook|a | b|{tmp_path}\n"
        f"8|resformer_killed|rule_a|{tmp_path / 'elsewhere'}\n"
    )
    assert end_leftovers(tmp_path, PAPER) == Leftovers(["1"], ["5"])
    assert (tmp_path / "cancelled").read_text() == "1\n"
    # What has no job left is forgotten, and what may have some is not.
    assert {record.owner.run for record in owners.records()} == {"alive", "elsewhere", "preset"}


def test_they_are_cancelled_and_waited_for(queue, tmp_path) -> None:
    run("killed")
    queue.write_text(
        f"1|resformer_killed|rule_a|{tmp_path}\n7|resformer_killed|rule_b|{tmp_path}\n"
    )
    assert end_leftovers(tmp_path, PAPER).ended == ["1", "7"]
    assert (tmp_path / "cancelled").read_text() == "1 7\n"


def test_jobs_that_outlast_an_ended_run_are_waited_for(queue, tmp_path) -> None:
    """Ctrl-C has cancelled them, and they save their states."""
    owners.begin(PAPER, {}, "resformer_this")
    owners.end()
    queue.write_text(f"1|resformer_this|rule_a|{tmp_path}\n")
    assert end_leftovers(tmp_path, PAPER).ended == ["1"]


def test_nothing_is_cancelled_where_there_are_none(queue, tmp_path) -> None:
    queue.write_text(f"1|resformer_killed|rule_a|{tmp_path / 'elsewhere'}\n")
    run("killed")
    assert end_leftovers(tmp_path, PAPER) == Leftovers([], [])
    assert not (tmp_path / "cancelled").exists()
    assert owners.records() == []


def test_a_job_that_does_not_end_stops_the_run(queue, tmp_path) -> None:
    _command(tmp_path / "scancel", "#!/bin/sh\n")
    run("killed")
    queue.write_text(f"1|resformer_killed|rule_a|{tmp_path}\n")
    with pytest.raises(ConfigError, match=r"Slurm jobs 1: .* would write the same files"):
        end_leftovers(tmp_path, PAPER, seconds=0.05)
    assert len(owners.records()) == 1


def test_a_silent_queue_stops_the_run(queue, tmp_path) -> None:
    _command(tmp_path / "squeue", "#!/bin/sh\nexit 1\n")
    with pytest.raises(ConfigError, match="would run twice"):
        end_leftovers(tmp_path, PAPER)
