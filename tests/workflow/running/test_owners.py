"""Runs are known by their process, and what cannot be read of one stops nobody."""

import json
import os
import socket
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from workflow.base.errors import ConfigError
from workflow.running import owners
from workflow.running.owners import OwnedRun, Owner, this_owner

RESULTS = Path("results/paper")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def owner_of(process: int, **changes) -> Owner:
    started = psutil.Process(process).create_time()
    owner = Owner(f"run{process}", socket.gethostname(), os.getuid(), process, started)
    return replace(owner, **changes)


def written(record: OwnedRun) -> None:
    owners.FOLDER.mkdir(parents=True, exist_ok=True)
    file = owners.FOLDER / f"{record.owner.run}.json"
    file.write_text(json.dumps(asdict(record)))


def test_who_goes_on_is_seen_by_process_and_start(other):
    assert owner_of(other.pid).standing() == "alive"
    # Another process was given the number since; in a container perhaps this one's own.
    assert owner_of(other.pid, started=1.0).standing() == "dead"
    assert owner_of(os.getpid(), started=1.0).standing() == "dead"
    assert owner_of(other.pid, host="elsewhere").standing() == "elsewhere"
    killed = owner_of(other.pid)
    other.kill()
    other.wait()
    assert killed.standing() == "dead"
    assert replace(killed, user=os.getuid() + 1).standing() == "elsewhere"


def test_a_run_is_written_down_and_taken_away(tmp_path):
    owners.begin(RESULTS, {"seeds": [0]}, None)
    (record,) = owners.records()
    assert (record.owner, record.results, record.jobs) == (this_owner(), "results/paper", None)
    owners.end()
    assert owners.records() == []


def test_what_is_known_of_slurm_jobs_outlasts_their_run():
    owners.begin(RESULTS, {}, "resformer_1")
    owners.end()
    (record,) = owners.records()
    assert (record.jobs, record.standing()) == ("resformer_1", "dead")


def test_runs_of_two_presets_go_on_beside_each_other(other):
    written(OwnedRun(owner_of(other.pid), "results/everything", "a"))
    owners.begin(RESULTS, {}, None)
    assert len(owners.records()) == 2


def test_two_configurations_of_one_preset_are_not_mixed(other):
    owners.begin(RESULTS, {"seeds": [0]}, None)
    (mine,) = owners.records()
    owners.end()
    written(replace(mine, owner=owner_of(other.pid)))
    owners.begin(RESULTS, {"seeds": [0]}, None)  # other targets of the same
    with pytest.raises(ConfigError, match=rf"process {other.pid} on .* another configuration"):
        owners.begin(RESULTS, {"seeds": [1]}, None)
    other.kill()
    other.wait()
    owners.begin(RESULTS, {"seeds": [1]}, None)
    assert [record.owner for record in owners.records()] == [this_owner()]


def test_a_run_elsewhere_counts_until_a_person_says_it_has_ended(other):
    written(OwnedRun(owner_of(other.pid, host="elsewhere"), str(RESULTS), "a", "resformer_1"))
    with pytest.raises(ConfigError, match="give the command once with --unlock"):
        owners.begin(RESULTS, {}, None)
    owners.end_unseen()
    owners.begin(RESULTS, {}, None)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '{"owner": null}', '{"owner": {"run": "x"}}', "\0\0\0"],
)
def test_a_damaged_record_says_nothing_and_stops_nobody(text):
    owners.FOLDER.mkdir(parents=True)
    (owners.FOLDER / "x.json").write_text(text)
    assert owners.records() == []
    owners.begin(RESULTS, {}, None)
    assert len(owners.records()) == 1
