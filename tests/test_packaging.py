"""What an installation brings: two libraries with what they import; the workflow as an extra."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.workspace import ROOT

LIBRARIES = ("resformer", "baselines")
PACKAGES = (*LIBRARIES, "workflow")
# Without an import in the tree: Snakemake highlights code in its own report with the first, and the
# second is imported by name, where a cluster is.
WITHOUT_IMPORT = {"pygments", "snakemake-executor-plugin-slurm"}
# Parts of jinja2 and of requests, and of the versions that these ask for.
WITH_OTHERS = {"markupsafe", "urllib3"}


@pytest.fixture(scope="module")
def wheel_file(tmp_path_factory):
    """A wheel of the working tree, built by uv, which carries the backend and needs no internet."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["uv", "build", "--wheel", "--offline", "--python", sys.executable]
    done = subprocess.run(
        [*command, "--out-dir", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def wheel(wheel_file):
    with zipfile.ZipFile(wheel_file) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


def required(metadata, extra=""):
    """Names of the distributions that an installation with this extra brings beside the first."""
    wanted = map(Requirement, metadata.get_all("Requires-Dist"))
    return {
        one.name.lower()
        for one in wanted
        if (one.marker is None and not extra)
        or (one.marker is not None and extra and one.marker.evaluate({"extra": extra}))
    }


def imported(*packages):
    """The distributions whose modules are imported in some packages, inside functions too."""
    names = set()
    for package in packages:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add(str(node.module).partition(".")[0])
        rules = "\n".join(file.read_text() for file in (ROOT / package).rglob("*.smk"))
        names |= set(re.findall(r"^\s*(?:from|import) (\w+)", rules, re.MULTILINE))
    names -= {*sys.stdlib_module_names, *PACKAGES}
    known = packages_distributions()
    return {known[name][0].lower().replace("_", "-") for name in names}


def test_the_libraries_need_what_they_import_and_no_more(metadata):
    assert required(metadata) == imported(*LIBRARIES)


def test_the_extra_brings_what_the_workflow_imports_and_no_more(metadata):
    # The other two are for single options: `export --onnx` and `training.log: [tensorboard]`.
    assert sorted(metadata.get_all("Provides-Extra")) == ["onnx", "tensorboard", "workflow"]
    there = required(metadata) | required(metadata, "workflow") - WITHOUT_IMPORT
    assert there == imported(*PACKAGES) - WITH_OTHERS
    assert not required(metadata) & required(metadata, "workflow")


def test_the_wheel_holds_the_three_packages_whole_and_nothing_else(wheel):
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wanted = {name for name in files.split() if (ROOT / name).is_file()}
    found = {name for name in wheel.namelist() if not name.endswith("/")}
    assert {name for name in found if ".dist-info/" not in name} == wanted


def test_the_wheel_brings_the_command(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    assert "resformer = workflow.__main__:installed" in wheel.read(name).decode()


def test_the_libraries_are_imported_from_the_wheel_alone(wheel, tmp_path):
    """Also the command lists what it has, where only its own package is there."""
    wheel.extractall(tmp_path)
    code = (
        "import pkgutil, sys, resformer, baselines, importlib\n"
        "for package in (resformer, baselines):\n"
        "    assert package.__file__.startswith(sys.argv[1])\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "assert not [name for name in sys.modules if name.startswith('workflow')]\n"
        "from workflow.__main__ import main\n"
        "assert main(['--help']) == 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\n  audit " in done.stdout


def closure(name, found):
    """A distribution and all that it requires here, by name."""
    if name not in found:
        found.add(name)
        wanted = map(Requirement, distribution(name).requires or [])
        for one in wanted:
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                closure(one.name.lower().replace("_", "-"), found)
    return found


@pytest.fixture(scope="module")
def empty_environment(wheel_file, metadata, tmp_path_factory):
    """An environment with the wheel and what its libraries require, and nothing else of this one.

    What they require is linked from this environment, in place of fetching gigabytes.
    """
    folder = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in set().union(*(closure(one, set()) for one in required(metadata))):
        of = distribution(name)
        for part in {file.parts[0] for file in of.files or []} - {"..", "__pycache__"}:
            if not (packages / part).exists():
                (packages / part).symlink_to(of.locate_file(part))
    install = ["uv", "pip", "install", "--offline", "--no-deps", "--python", str(python)]
    done = subprocess.run(
        [*install, str(wheel_file)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return python


def test_the_ten_lines_of_the_documents_train_without_what_the_workflow_needs(
    empty_environment, tmp_path
):
    text = (ROOT / "docs" / "use.md").read_text(encoding="utf-8")
    lines = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)[0]
    assert len(lines.splitlines()) <= 12
    code = (
        "import importlib.util\n"
        "for name in ('pandas', 'pydantic', 'snakemake', 'SimpleITK', 'scipy', 'matplotlib'):\n"
        "    assert importlib.util.find_spec(name) is None, name\n"
        f"{lines}\n"
        "import baselines\n"
        "assert loss.isfinite() and len(baselines.names()) >= 20\n"
        "print(resformer.__file__)\n"
    )
    done = subprocess.run(
        [empty_environment, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(empty_environment.parents[1]))


def test_snakemake_and_its_jobs_take_the_code_of_their_folder(tmp_path):
    """Whatever checkout is installed; here it even stands ahead of what is installed."""
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow" / "__init__.py").touch()
    (tmp_path / "workflow" / "place.py").write_text("print('taken from', __file__, flush=True)\n")
    (tmp_path / "Snakefile").write_text(
        "import workflow.place as _\n\n"
        f"rule all:\n    shell: '{sys.executable} -m workflow.place'\n"
    )
    program = Path(sys.executable).with_name("snakemake")
    done = subprocess.run(
        [program, "--cores", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    places = re.findall("taken from (.*)", done.stdout + done.stderr)
    assert len(places) >= 2
    assert set(places) == {str(tmp_path / "workflow" / "place.py")}
