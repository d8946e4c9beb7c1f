"""slurm/site.yaml and the partitions of a cluster: what jobs ask for because of them."""

from pathlib import Path

import pytest
import yaml

from tests.workspace import ROOT
from workflow.base.errors import ConfigError
from workflow.cluster.partitions import Partition, minutes, read
from workflow.cluster.site import SIGNAL, Site, growing, load_site

SINFO = """\
batch*|1-00:00:00|(null)|up|64000
gpu|2:00:00|gpu:a100:4(S:0-1)|up|512000
gpu|2:00:00|gpu:v100:2,shard:8|up|256000+
plain|infinite|gpu:2|up|128000
"""


def test_partitions_are_read() -> None:
    assert read(SINFO) == [
        Partition("batch", True, 1440, frozenset(), True, 64000),
        Partition("gpu", False, 120, frozenset({"a100", "v100"}), True, 512000),
        Partition("plain", False, None, frozenset({"gpu"}), True, 128000),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30:00", 30), ("1:00:00", 60), ("2-12:30:00", 3630), ("infinite", None), ("n/a", None)],
)
def test_time_limits_are_minutes(text, expected) -> None:
    assert minutes(text) == expected


def test_no_job_asks_for_more_than_its_partition_gives() -> None:
    among = read(SINFO)
    assert Site().longest_of(True, among) == 1440
    site = Site(gpu_partition="gpu")
    assert (site.longest_of(True, among), site.longest_of(False, among)) == (120, 1440)
    assert Site(gpu_partition="gpu", longest=90).longest_of(True, among) == 90
    assert Site(partition="plain").longest_of(True, among) is None
    assert (site.most_memory_of(True, among), site.most_memory_of(False, among)) == (512000, 64000)
    assert [growing(50, 120)(None, attempt) for attempt in (1, 2, 3)] == [50, 100, 120]
    assert [growing(50)(None, attempt) for attempt in (1, 2, 3)] == [50, 100, 150]


def test_gpu_jobs_and_cpu_jobs_go_where_they_belong() -> None:
    site = Site(
        partition="batch", gpu_partition="gpu", account="lab", constraint="nvme", extra="--nice=1"
    )
    extra = f"{SIGNAL} --nice=1"
    cpu = {"slurm_partition": "batch", "slurm_account": "lab", "slurm_extra": extra}
    assert site.resources(gpu=False) == cpu
    assert site.resources(gpu=True) == {**cpu, "slurm_partition": "gpu", "constraint": "nvme"}
    assert Site().resources(gpu=True) == {"slurm_extra": SIGNAL}


def test_an_unknown_key_is_refused_by_name(tmp_path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("partitions: gpu\n")
    with pytest.raises(ConfigError, match=r"site.yaml: partitions: .*found 'gpu'; allowed keys: p"):
        load_site(file)


@pytest.mark.parametrize("text", ["- a\n", "a: [\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"site\.yaml"):
        load_site(file)


def test_the_example_shows_every_key_and_each_is_taken(tmp_path) -> None:
    lines = (ROOT / "slurm" / "site.example.yaml").read_text().splitlines()
    settings = [line.removeprefix("# ") for line in lines if line.startswith("# ") and ": " in line]
    given = yaml.safe_load("\n".join(line for line in settings if line[0].islower()))
    assert set(given) == set(Site.model_fields)
    file = tmp_path / "site.yaml"
    file.write_text(yaml.safe_dump(given))
    assert load_site(file).longest == given["longest"]
    assert load_site(Path("not there")) == Site()
