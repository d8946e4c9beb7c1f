"""The preflight: what it finds on clusters made of a few shell scripts, finding by finding."""

from pathlib import Path
from typing import NamedTuple

import pytest

from workflow.cluster import preflight as module
from workflow.cluster.preflight import preflight
from workflow.cluster.site import Site
from workflow.config.load import load_config
from workflow.config.model import Config
from workflow.planning.bill import make_bill
from workflow.planning.devices import known_device

ROOT = Path(__file__).parents[3]
SINFO = (
    "batch*|1-00:00:00|(null)|up|64000\ngpu|8:00:00|gpu:a100:4|up|512000\n"
    "short|10:00|gpu:2|up|64000\n"
)


class Usage(NamedTuple):
    free: float


class Cluster:
    """A folder of commands that stands for a cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("sbatch", "scancel", "squeue", "srun"):
            self.command(name, "exit 0")
        self.command("sinfo", f"printf '{SINFO}'")
        self.command("scontrol", "echo 'MinJobAge = 300 sec'")

    def command(self, name: str, script: str) -> None:
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def lose(self, name: str) -> None:
        (self.folder / name).unlink()


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Cluster:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module.sys, "executable", "/shared/user/.venv/bin/python")
    monkeypatch.setattr(module, "_reachable", lambda url: True)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage(1e13))
    return Cluster(tmp_path)


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "config.yaml", {"preset": "paper"})


GOOD = Site(gpu_partition="gpu")


def found(config: Config, site: Site = GOOD, folder: str = "/shared/user/tree") -> dict[str, bool]:
    findings = preflight(config, site, Path(folder))
    for finding in findings:
        assert finding.what
        assert finding.why
        assert "\n" not in str(finding)
    return {finding.name: finding.stops for finding in findings}


def test_a_good_cluster_has_nothing_to_say(cluster, config) -> None:
    assert found(config) == {}


def test_without_slurms_commands_nothing_runs(cluster, config) -> None:
    for name in ("sbatch", "squeue", "sinfo", "scontrol"):
        cluster.lose(name)
    assert found(config) == {"commands": True}


def test_a_controller_that_is_down_is_noticed(cluster, config) -> None:
    cluster.command("squeue", "exit 1")
    assert found(config) == {"controller": True}


def test_a_default_partition_without_gpus_is_named(cluster, config) -> None:
    (finding,) = preflight(config, Site(), Path("/shared/user/tree"))
    assert finding.name == "gpu"
    assert finding.what == "partition batch has no GPU"
    assert "gpu (a100), short (gpu)" in finding.cure


def test_a_demo_needs_no_gpu(cluster) -> None:
    assert found(load_config(ROOT / "config.yaml", {"preset": "smoke"}), Site()) == {}


def test_a_wrong_type_of_gpu_is_noticed(cluster, config) -> None:
    assert found(config, Site(gpu_partition="gpu", gpu_model="v100")) == {"gpu-model": True}
    assert found(config, Site(gpu_partition="gpu", gpu_model="a100")) == {}


def test_unknown_partitions_are_noticed(cluster, config) -> None:
    assert found(config, Site(gpu_partition="gpus")) == {"partition": True}
    assert found(config, Site(partition="cpu", gpu_partition="gpu")) == {"partition": True}


def test_of_several_partitions_each_must_be_there(cluster, config) -> None:
    assert found(config, Site(gpu_partition="gpu,short", ignore=("time",))) == {"time": False}
    assert found(config, Site(gpu_partition="gpu,scav")) == {"partition": True}
    (finding,) = preflight(config, Site(gpu_partition="gpu,scav"), Path("/shared/user/tree"))
    assert finding.what == "no partition scav"
    (finding,) = preflight(config, Site(gpu_partition="gpu,batch"), Path("/shared/user/tree"))
    assert finding.what == "partition batch has no GPU"
    cluster.command("sinfo", f"printf '{SINFO}ti|8:00:00|gpu:2080ti:4,gpu:3090:1|up|64000\\n'")
    assert found(config, Site(gpu_partition="gpu,ti", gpu_model="2080ti")) == {}
    assert found(config, Site(gpu_partition="ti", gpu_model="3090")) == {}


def test_too_short_a_time_is_noticed(cluster, config) -> None:
    assert found(config, Site(gpu_partition="short")) == {"time": True}


def test_a_short_memory_of_jobs_is_noticed(cluster, config) -> None:
    cluster.command("scontrol", "echo 'MinJobAge = 30 sec'")
    assert found(config) == {"job-age": False}
    cluster.command("sacct", "exit 0")
    assert found(config) == {}


def test_a_local_folder_is_noticed(cluster, config, monkeypatch) -> None:
    assert found(config, folder="/tmp/tree") == {"shared": False}
    monkeypatch.setattr(module.sys, "executable", "/tmp/venv/python")
    assert found(config) == {"shared": False}


def test_a_full_disk_is_noticed(cluster, config, monkeypatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage(1e9))
    assert found(config) == {"disk": False}
    (finding,) = preflight(config, GOOD, Path("/shared/user/tree"))
    needed = sum(make_bill(config, known_device("A100"), gpus=1).disk.values())
    assert finding.what == f"1 GB are free, and {needed / 1e9:.0f} GB or more will be written"


def test_a_small_quota_is_noticed(cluster, config) -> None:
    cluster.command("df", "echo Filesystem; echo 'server:/home 1 1 1 1% /home'")
    usage = "server:/home 900000* 1000000 1200000 6days 5 0 0\n/dev/sda1 1 2 3 4 5 6"
    cluster.command("quota", f"printf 'Disk quotas for user\n Filesystem\n{usage}\n'; exit 1")
    assert found(config) == {"quota": False}
    (finding,) = preflight(config, GOOD, Path("/shared/user/tree"))
    assert finding.what.startswith("your quota leaves 0 GB where results go, and ")
    for limits in ("0 0", "999999999 999999999"):
        usage = f"server:/home 900000 {limits} 0 5 0 0\n/dev/sda1 1 2 3 4 5 6"
        cluster.command("quota", f"printf '{usage}\n'")
        assert found(config) == {}


def test_a_host_without_internet_stops_where_data_are_downloaded(
    cluster, config, monkeypatch
) -> None:
    monkeypatch.delenv("ISIC2017_DIR", raising=False)
    monkeypatch.setattr(module, "_reachable", lambda url: False)
    assert found(config) == {"internet": True}
    monkeypatch.setenv("ISIC2017_DIR", "/data/isic")
    assert found(config) == {}


def test_mail_without_a_program_that_sends_it_is_noticed(cluster, config, monkeypatch) -> None:
    monkeypatch.setattr("workflow.cluster.notify.SENDMAIL_FOLDERS", ())
    site = GOOD.model_copy(update={"mail": "me@example.org"})
    assert found(config, site) == {"mail": False}
    cluster.command("sendmail", "exit 0")
    assert found(config, site) == {}


def test_a_finding_can_be_overruled(cluster, config) -> None:
    assert found(config, Site(ignore=("gpu",))) == {"gpu": False}
