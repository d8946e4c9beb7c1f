"""What the preflight makes of nodes: an `srun` that stands for one, finding by finding."""

import socket
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.workspace import ROOT
from workflow.__main__ import main
from workflow.cluster import preflight
from workflow.cluster.findings import Cluster
from workflow.cluster.preflight import preflight_with_nodes
from workflow.cluster.site import Site
from workflow.config.load import load_config
from workflow.config.model import Config

SINFO = "batch*|1-00:00:00|(null)|up|64000\ngpu|8:00:00|gpu:a100:4|up|512000\n"
GOOD = Site(gpu_partition="gpu", gpu_model="a100", account="lab")
# Runs what follows its own options, where the other commands of a machine are.
SRUN = """\
echo "$@" | head -n 1 >>{folder}/asked
[ -n "$SLURM_JOB_ID" ] && echo 'in a job' >>{folder}/asked
export SLURMD_NODENAME=n1
gpu=
while :; do case $1 in --gpus=*) gpu=yes; shift ;; -*) shift ;; *) break ;; esac; done
[ $gpu ] && export CUDA_VISIBLE_DEVICES=0
{extra}
PATH={folder}:/usr/bin:/bin exec "$@"
"""


class Usage(NamedTuple):
    free: float


class Nodes:
    """A folder of commands that stands for a cluster with nodes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("sbatch", "scancel", "squeue"):
            self.command(name, "exit 0")
        self.command("sinfo", f"printf '{SINFO}'")
        self.command("scontrol", "echo 'MinJobAge = 300 sec'")
        self.command("nvidia-smi", "exit 1")
        self.command("uname", "echo elsewhere")
        self.srun()
        self.python("cuda ${CUDA_VISIBLE_DEVICES:+True}${CUDA_VISIBLE_DEVICES:-False}")

    def command(self, name: str, script: str) -> None:
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def srun(self, extra: str = "") -> None:
        self.command("srun", SRUN.format(folder=self.folder, extra=extra))

    def python(self, says: str) -> None:
        self.command("python", f'says="{says}"; echo "${{says%0}}"')

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def nodes(tmp_path, monkeypatch) -> Nodes:
    commands = tmp_path / "bin"
    commands.mkdir()
    (tmp_path / "tree").mkdir()
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", str(commands / "python"))
    monkeypatch.setattr(preflight, "_reachable", lambda url: True)
    monkeypatch.setattr(preflight, "_needed", lambda cluster: 1000.0)
    monkeypatch.setattr(preflight, "LOCAL", ("/nowhere",))
    return Nodes(commands)


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "config.yaml", {"preset": "paper"})


def look(nodes: Nodes, config: Config, site: Site = GOOD, patience: float = 20) -> dict[str, bool]:
    found, _ = preflight_with_nodes(config, site, nodes.folder.parent / "tree", patience)
    assert not any("\n" in str(finding) for finding in found)
    return {finding.name: finding.stops for finding in found}


def test_good_nodes_are_named_and_nothing_stays(nodes, config) -> None:
    tree = nodes.folder.parent / "tree"
    found, lines = preflight_with_nodes(config, GOOD, tree, 20)
    assert found == []
    cpu, gpu = lines
    able = "sees this folder, imports torch and snakemake"
    assert cpu.startswith(f"n1 of the default partition: {able}, ")
    assert gpu.startswith(f"n1 of gpu: {able}, computes on its GPU, ")
    assert "GB free for results" in gpu
    assert list(tree.iterdir()) == []


def test_nodes_are_asked_as_the_runs_jobs_will_be(nodes, config, monkeypatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")  # as within a job of the user's
    look(nodes, config, GOOD.model_copy(update={"extra": "--exclude=n9"}))
    of_gpu = next(line for line in nodes.asked if "--gpus" in line)
    cpu = next(line for line in nodes.asked if "--gpus" not in line)
    assert "--partition" not in cpu
    assert "--partition=gpu" in of_gpu
    assert "--gpus=a100:1" in of_gpu
    for line in (cpu, of_gpu):
        assert "--account=lab" in line
        assert "--exclude=n9" in line
        assert "--time=2" in line
    assert "in a job" not in nodes.asked


def test_a_demo_asks_for_no_gpu(nodes) -> None:
    assert look(nodes, load_config(ROOT / "config.yaml", {"preset": "smoke"}), Site()) == {}
    assert len(nodes.asked) == 1


def test_a_folder_that_a_node_lacks_stops(nodes, config) -> None:
    nodes.command("sleep", "exit 0")
    nodes.srun(f"rm -f {nodes.folder.parent}/tree/.preflight-*")
    assert look(nodes, config) == {"node-folder": True}
    nodes.srun(f"for file in {nodes.folder.parent}/tree/.preflight-*; do echo old >$file; done")
    assert look(nodes, config) == {"node-folder": True}
    ignoring = GOOD.model_copy(update={"ignore": ("node-folder",)})
    assert look(nodes, config, ignoring) == {"node-folder": False}


def test_python_that_a_node_lacks_stops(nodes, config) -> None:
    nodes.python("ImportError: no torch")
    found, lines = preflight_with_nodes(config, GOOD, nodes.folder.parent / "tree", 20)
    assert {(finding.name, finding.stops) for finding in found} == {("node-python", True)}
    assert all(finding.what.endswith("ImportError: no torch") for finding in found)
    assert not any("imports torch" in line for line in lines)
    (nodes.folder / "python").unlink()
    assert look(nodes, config) == {"node-python": True}


def test_a_gpu_that_is_missing_or_unusable_stops(nodes, config) -> None:
    nodes.python("cuda False")
    assert look(nodes, config) == {"node-cuda": True}
    nodes.srun("unset CUDA_VISIBLE_DEVICES")
    assert look(nodes, config) == {"node-gpu": True}
    nodes.command("nvidia-smi", "exit 0")
    assert look(nodes, config) == {"node-cuda": True}


def test_a_nodes_full_disk_is_noticed(nodes, config, monkeypatch) -> None:
    monkeypatch.setattr(preflight, "_needed", lambda cluster: 5e9)
    nodes.command("df", "echo Filesystem; echo 'server:/home 9 9 1000000 1% /home'")
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Usage(1e13))
    assert look(nodes, config) == {"node-disk": False}
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Usage(1e9))
    assert look(nodes, config) == {"disk": False}, "said once"


def test_a_job_that_is_refused_is_told_in_slurms_words(nodes, config) -> None:
    words = "srun: error: Unable to allocate resources: Invalid account"
    nodes.command("srun", f"echo 'srun: note' >&2; echo '{words}' >&2; exit 1")
    found, lines = preflight_with_nodes(config, GOOD, nodes.folder.parent / "tree", 20)
    assert [(finding.name, finding.stops) for finding in found] == [("refused", True)] * 2
    assert found[1].what == f"a short job on gpu was refused: {words}"
    assert lines == []


def test_busy_nodes_are_left_unasked(nodes, config) -> None:
    nodes.command("srun", f"trap 'touch {nodes.folder}/ended; exit 1' TERM; sleep 3 & wait")
    assert look(nodes, config, patience=1.5) == {"node": False}
    assert (nodes.folder / "ended").exists()


def test_what_was_said_in_time_counts(nodes, config) -> None:
    nodes.command("python", "exec sleep 9")
    nodes.srun("trap 'kill $!; exit 1' TERM; PATH=/usr/bin:/bin \"$@\" & wait; exit")
    assert look(nodes, config, patience=2) == {"node-slow": False}


def test_no_node_is_asked_where_no_job_can_be_taken(nodes, config) -> None:
    assert look(nodes, config, Site()) == {"gpu": True}
    assert not (nodes.folder / "asked").exists()
    assert look(nodes, config, Site(ignore=("gpu",)))["gpu"] is False
    assert nodes.asked


def test_what_another_host_saw_overrules_the_guess_by_path(nodes, config, monkeypatch) -> None:
    monkeypatch.setattr(preflight, "LOCAL", (str(nodes.folder.parents[1]),))
    assert look(nodes, config) == {}
    nodes.command("uname", f"echo {socket.gethostname()}")
    assert look(nodes, config) == {"shared": False}


def test_what_runs_by_itself_starts_no_job(nodes, config) -> None:
    assert preflight.preflight(config, GOOD, nodes.folder.parent / "tree") == []
    assert not (nodes.folder / "asked").exists()


def test_the_command_prints_what_nodes_said(nodes, config, monkeypatch, capsys) -> None:
    monkeypatch.chdir(nodes.folder.parent / "tree")
    monkeypatch.setattr("workflow.commands.preflight.asked", lambda preset: config)
    monkeypatch.setattr("workflow.cluster.site.load_site", lambda: GOOD)
    assert main(["preflight"]) == 0
    said = capsys.readouterr().out
    assert "node  n1 of gpu: sees this folder" in said
    assert "Nothing stands in the way" in said
    nodes.python("no torch")
    assert main(["preflight"]) == 1
    assert "STOP  node-python: n1 of gpu cannot import" in capsys.readouterr().out


def test_results_may_be_a_link_to_another_file_system(nodes, config) -> None:
    tree, scratch = nodes.folder.parent / "tree", nodes.folder.parent / "scratch"
    assert Cluster(config, GOOD, [], tree).results == tree
    scratch.mkdir()
    (tree / "results").symlink_to(scratch)
    assert Cluster(config, GOOD, [], tree).results == scratch
