"""Write the environments that sites may prefer to uv: `resformer environments`.

`envs/conda.yaml` and `envs/resformer.def` (Apptainer) hold what uv.lock holds, for the oldest
Python that pyproject.toml allows. Give the command after each change of uv.lock;
docs/environments.md says how they are used.
"""

import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

from workflow.base.errors import ConfigError
from workflow.base.files import write_text

ROOT = Path(__file__).parents[2]
FOLDER = Path("envs")
HEADER = "# Written by `uv run resformer environments` from uv.lock; do not edit.\n"

CONDA = (
    HEADER
    + """\
# For `snakemake --sdm conda`. One list, for Snakemake copies this file alone.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python ={python}
  - pip
  - pip:
{packages}
"""
)

# The lock itself is copied into the image, so that uv installs what it says and checks all hashes.
APPTAINER = (
    HEADER
    + """\
# For `snakemake --sdm apptainer`. Build it in the root of the repository:
#   apptainer build envs/resformer.sif envs/resformer.def
Bootstrap: docker
From: python:{python}-slim

%labels
    resformer.lock.sha256 {lock}

%files
    pyproject.toml /opt/resformer/pyproject.toml
    uv.lock /opt/resformer/uv.lock

%post
    # A compiler for torch.compile; git, for runs record the commit that they were made with.
    apt-get update
    apt-get install --yes --no-install-recommends gcc g++ git
    rm -rf /var/lib/apt/lists/*
    cd /opt/resformer
    echo "{lock}  uv.lock" | sha256sum --check
    pip install --no-cache-dir uv
    UV_PYTHON_DOWNLOADS=never uv sync --frozen --no-dev --extra workflow --no-install-project \\
        --no-cache

%environment
    export PATH=/opt/resformer/.venv/bin:$PATH
    export PYTHONNOUSERSITE=1

%test
    /opt/resformer/.venv/bin/python -c "import snakemake, timm, torch, torchvision"
"""
)


def write(folder: Path, root: Path = ROOT) -> list[Path]:
    """Write both environments into a folder and return their files.

    Args:
        folder: the folder that they are written to.
        root: the folder that has pyproject.toml and uv.lock.

    Raises:
        ConfigError: uv is missing or cannot read the lock, or no oldest Python is named.
    """
    python = oldest_python(root / "pyproject.toml")
    packages = "\n".join(f"      - {json.dumps(line)}" for line in locked(root))
    lock = hashlib.sha256((root / "uv.lock").read_bytes()).hexdigest()
    texts = {
        folder / "conda.yaml": CONDA.format(python=python, packages=packages),
        folder / "resformer.def": APPTAINER.format(python=python, lock=lock),
    }
    for file, text in texts.items():
        write_text(file, text)
    return list(texts)


def locked(root: Path) -> list[str]:
    """The packages of uv.lock that a run needs, as lines that pip understands."""
    what = ["--no-dev", "--extra", "workflow", "--no-emit-project"]
    how = ["--no-hashes", "--no-header", "--no-annotate"]
    try:
        done = subprocess.run(
            ["uv", "export", "--frozen", *what, *how],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        raise ConfigError("uv: not found, and it reads uv.lock; `pip install uv`") from None
    except subprocess.CalledProcessError as error:
        raise ConfigError(f"{root / 'uv.lock'}: uv cannot read it: {error.stderr}") from None
    return done.stdout.splitlines()


def oldest_python(project: Path) -> str:
    """The oldest Python that a pyproject.toml allows, such as 3.11."""
    required = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["requires-python"]
    oldest = re.match(r">=\s*(\d+\.\d+)", required)
    if not oldest:
        raise ConfigError(
            f"{project}: requires-python: found {required!r}; write it as '>=3.11', "
            "for the environments are made for the oldest Python"
        )
    return oldest[1]
