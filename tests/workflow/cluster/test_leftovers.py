"""Jobs that a killed Snakemake left are cancelled and waited for; no other job is touched."""

import os
from pathlib import Path

import pytest

from workflow.base.errors import ConfigError
from workflow.cluster import leftovers as module
from workflow.cluster.leftovers import end_leftovers, leftovers

SQUEUE = """#!/bin/sh
test "$*" = "--me --noheader --format=%i|%k|%Z" || exit 2
cat {queue}
"""
SCANCEL = """#!/bin/sh
echo "$@" >> {cancelled}
{then}
"""


@pytest.fixture
def queue(tmp_path, monkeypatch) -> Path:
    """The lines that a pretended squeue prints; scancel empties them."""
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


def test_only_jobs_of_a_snakemake_in_this_folder_are_found(queue, tmp_path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    queue.write_text(
        f"1|rule_train_seed0_wildcards_isic2017_he|{folder}\n"
        f"2|rule_report|{tmp_path}\n"
        f"3|(null)|{folder}\n"
        f"4|group_train|{tmp_path / 'link'}\n"
    )
    assert leftovers(folder) == ["1", "4"]
    assert leftovers(tmp_path / "link") == ["1", "4"]


def test_they_are_cancelled_and_waited_for(queue, tmp_path) -> None:
    queue.write_text(f"1|rule_a|{tmp_path}\n7|rule_b|{tmp_path}\n")
    assert end_leftovers(tmp_path) == ["1", "7"]
    assert (tmp_path / "cancelled").read_text() == "1 7\n"


def test_nothing_is_cancelled_where_there_are_none(queue, tmp_path) -> None:
    queue.write_text(f"1|rule_a|{tmp_path / 'elsewhere'}\n")
    assert end_leftovers(tmp_path) == []
    assert not (tmp_path / "cancelled").exists()


def test_a_job_that_does_not_end_stops_the_run(queue, tmp_path) -> None:
    _command(tmp_path / "scancel", "#!/bin/sh\n")
    queue.write_text(f"1|rule_a|{tmp_path}\n")
    with pytest.raises(ConfigError, match=r"Slurm jobs 1: .* would write the same files"):
        end_leftovers(tmp_path, seconds=0.05)


def test_a_silent_queue_stops_the_run(queue, tmp_path) -> None:
    _command(tmp_path / "squeue", "#!/bin/sh\nexit 1\n")
    with pytest.raises(ConfigError, match="would run twice"):
        end_leftovers(tmp_path)
