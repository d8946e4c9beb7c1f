"""slurm/site.yaml and the partitions of a cluster: what jobs ask for because of them."""

from pathlib import Path

import pytest
import yaml

from tests.workspace import ROOT
from workflow.base.errors import ConfigError
from workflow.cluster.partitions import Partition, gpu_types, minutes, read
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
    ("gres", "expected"),
    [
        ("(null)", set()),
        ("gpu", {"gpu"}),
        ("gpu:4", {"gpu"}),
        ("gpu:4(S:0-1)", {"gpu"}),
        ("gpu:2080ti:4(S:0,1),shard:8", {"2080ti"}),
        ("gpu:3090:2", {"3090"}),
        ("gpu:1g.5gb:7,gpu:a100:1", {"1g.5gb", "a100"}),
        ("gpu:nvidia_a100_1g.5gb:2(IDX:0,1)", {"nvidia_a100_1g.5gb"}),
        ("shard:gpu:4,lustre:1", set()),
        ("gpu:v100", {"v100"}),
    ],
)
def test_types_of_gpus_may_begin_with_a_digit(gres, expected) -> None:
    assert gpu_types(gres) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("30:00", 30),
        ("1:00:00", 60),
        ("24:00:00", 1440),
        ("1-12", 2160),
        ("1-12:30", 2190),
        ("2-12:30:00", 3630),
        ("infinite", None),
        ("n/a", None),
        ("-5", None),
        ("1.5", None),
        ("9" * 5000, None),
    ],
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


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("account: 12345", "account", "12345"),
        ("account: 0123", "account", "0123"),  # to YAML an octal number
        ("account: 1e5", "account", "1e5"),
        ("gpu_model: 3090", "gpu_model", "3090"),
        ("longest: 24:00:00", "longest", 1440),  # to YAML 86,400
        ("longest: 1-12", "longest", 2160),
        ("longest: 90", "longest", 90),
        ("longest: UNLIMITED", "longest", None),
        ("partition: gpu, scav", "partition", "gpu,scav"),
        ("partition: [gpu, scav]", "partition", "gpu,scav"),
        ("partition: null", "partition", None),
        ("ask_memory: false", "ask_memory", False),
        ("ask_memory: no", "ask_memory", False),
        ("gpu_option: gres", "gpu_option", "gres"),
        ("extra: --exclude=node[1-7] --nice", "extra", "'--exclude=node[1-7]' --nice"),
        ("ignore: [gpu]", "ignore", ("gpu",)),
    ],
)
def test_values_are_read_as_they_are_written(tmp_path, text, name, expected) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(f"{text}\n")
    assert getattr(load_site(file), name) == expected


@pytest.mark.parametrize(
    "text",
    [
        "longest: 0",
        "longest: soon",
        "longest: -5",
        "partition: a b",
        "partition: -p",
        "partition: 'a,,b c'",
        'account: "a\\nb"',
        'account: "a\\x1b[2J"',
        "gpu_model: a100;ls",
        "gpu_model: $(touch x)",
        "gpu_option: some",
        "ask_memory: perhaps",
        'extra: "--comment=\\e[2J"',
        "mail: -x",
    ],
)
def test_what_slurm_could_not_take_is_refused(tmp_path, text) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(f"{text}\n")
    with pytest.raises(ConfigError, match=rf"site\.yaml: {text.partition(':')[0]}: .*, found "):
        load_site(file)


def test_what_stands_in_extra_is_nothing_to_a_shell(tmp_path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("extra: --comment=$(touch x);ls `id`\n")
    assert load_site(file).extra == "'--comment=$(touch' 'x);ls' '`id`'"


def test_a_job_asks_for_its_gpu_as_the_site_takes_it() -> None:
    site = Site(gpu_model="a100", gpu_option="gres")
    assert site.resources(gpu=True) == {"gres": "gpu:a100:1", "slurm_extra": SIGNAL}
    assert Site(gpu_option="gres").resources(gpu=True)["gres"] == "gpu:1"
    assert Site(gpu_option="gres").resources(gpu=False) == {"slurm_extra": SIGNAL}


def test_a_job_can_start_in_each_of_several_partitions() -> None:
    among = read(SINFO)
    site = Site(partition="batch,plain", gpu_partition="plain,gpu")
    assert [p.name for p in site.partitions_of(True, among)] == ["gpu", "plain"]
    assert (site.longest_of(True, among), site.longest_of(False, among)) == (120, 1440)
    assert (site.most_memory_of(True, among), site.most_memory_of(False, among)) == (512000, 128000)


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
    text = "\n".join(line for line in settings if line[0].islower())
    given = yaml.load(text, Loader=yaml.BaseLoader)
    assert set(given) == set(Site.model_fields)
    file = tmp_path / "site.yaml"
    file.write_text(text)
    assert load_site(file).longest == 1440
    assert load_site(Path("not there")) == Site()
