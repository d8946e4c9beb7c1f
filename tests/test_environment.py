"""The environments that sites may prefer hold what the lock file holds, and jobs run in them."""

import hashlib
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.workspace import ROOT, copy_tree, snakemake
from workflow.base.errors import ConfigError
from workflow.running.environments import FOLDER, oldest_python, write

# Runs what it is asked to run on this host, and says so.
APPTAINER = """\
#!/bin/sh
[ "$1" = --version ] && echo apptainer version 1.3.4 && exit
[ "$1" = exec ] || exit 1
echo "$@" >>{asked}
for command; do :; done
PATH={folder}:$PATH exec bash -c "$command"
"""


def written(folder: Path, root: Path = ROOT) -> dict[str, str]:
    return {file.name: file.read_text() for file in write(folder, root)}


def locked_versions() -> dict[str, set[str]]:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    versions: dict[str, set[str]] = {}
    for package in packages:
        versions.setdefault(package["name"], set()).add(package.get("version", ""))
    return versions


def conda_packages() -> list[str]:
    (pip,) = (
        entry
        for entry in yaml.safe_load((ROOT / "envs" / "conda.yaml").read_text())["dependencies"]
        if isinstance(entry, dict)
    )
    return pip["pip"]


def test_the_files_are_those_that_the_command_writes(tmp_path) -> None:
    there = {file.name: file.read_text() for file in (ROOT / FOLDER).iterdir() if file.is_file()}
    there.pop("resformer.sif", None)
    assert there == written(tmp_path), "give `uv run resformer environments`"


def test_conda_has_each_version_of_the_lock_and_no_other() -> None:
    locked, seen = locked_versions(), {}
    for line in conda_packages():
        package = Requirement(line)  # as pip reads it
        (pin,) = package.specifier
        assert pin.operator == "=="
        seen.setdefault(package.name, set()).add(pin.version)
    assert {name: locked[name] for name in seen} == seen
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["workflow"]
    assert {re.split(r"[><=]", line)[0] for line in wanted} <= set(seen)


def test_the_image_is_made_from_this_lock_and_this_python() -> None:
    text = (ROOT / "envs" / "resformer.def").read_text()
    lock = hashlib.sha256((ROOT / "uv.lock").read_bytes()).hexdigest()
    assert set(re.findall(r"\b[0-9a-f]{64}\b", text)) == {lock}
    python = oldest_python(ROOT / "pyproject.toml")
    assert f"\nFrom: python:{python}-slim\n" in text
    conda = yaml.safe_load((ROOT / "envs" / "conda.yaml").read_text())
    assert f"python ={python}" in conda["dependencies"]
    copied = re.findall(r"^    (\S+) /opt/resformer/\1$", text, re.MULTILINE)
    assert copied == ["pyproject.toml", "uv.lock"]


def test_neither_names_an_address_or_a_folder_of_this_machine() -> None:
    for file in ("conda.yaml", "resformer.def"):
        text = (ROOT / "envs" / file).read_text()
        assert "://" not in text
        assert str(ROOT) not in text


def test_another_lock_or_python_makes_other_files(tmp_path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copyfile(ROOT / name, root / name)
    before = written(tmp_path / "before", root)
    assert before == written(tmp_path / "again")
    (version,) = locked_versions()["snakemake"]
    lock = (root / "uv.lock").read_text()
    assert lock.count(f'name = "snakemake"\nversion = "{version}"') == 1
    (root / "uv.lock").write_text(lock.replace(version, "9.99.9"))  # names of wheels hold it too
    after = written(tmp_path / "after", root)
    assert '"snakemake==9.99.9"' in after["conda.yaml"]
    assert after["resformer.def"] != before["resformer.def"]

    project = root / "pyproject.toml"
    project.write_text(project.read_text().replace('">=3.11"', '">=3.12"'))
    assert oldest_python(project) == "3.12"
    project.write_text(project.read_text().replace('">=3.12"', '"<4"'))
    with pytest.raises(ConfigError, match="requires-python: found '<4'"):
        oldest_python(project)


def test_jobs_run_in_the_image_where_apptainer_is_asked_for(tmp_path, monkeypatch) -> None:
    tree, commands, asked = copy_tree(tmp_path / "tree"), tmp_path / "bin", tmp_path / "asked"
    commands.mkdir()
    script = commands / "apptainer"
    script.write_text(APPTAINER.format(asked=asked, folder=Path(sys.executable).parent))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{Path(sys.executable).parent}:/usr/bin:/bin")
    arguments = ("--sdm", "apptainer", "--config", "preset=smoke", "--", "plan")

    lacking = snakemake(tree, *arguments)
    assert lacking.returncode != 0
    assert "apptainer build envs/resformer.sif envs/resformer.def" in lacking.stdout

    (tree / "envs" / "resformer.sif").touch()
    done = snakemake(tree, *arguments)
    assert done.returncode == 0, done.stdout
    assert (tree / "results" / "smoke" / "logs" / "plan.log").stat().st_size
    assert f"exec --home {tree}" in asked.read_text()
    assert "envs/resformer.sif bash -c" in asked.read_text()
    assert not (tree / ".snakemake" / "warm.log").exists()  # its jobs would run outside
