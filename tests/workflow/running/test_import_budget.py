"""What a job does not import: nothing that only other jobs need. Seconds are printed elsewhere."""

import subprocess
import sys

import pytest

from benchmarks.imports import JOBS, packages, parsed, strangers
from tests.workspace import ROOT

OWN_FILES = {"octnet": "baselines.octnet", "unetpp": "baselines.unetpp"}


def loaded(modules):
    """All modules that are there once some have been imported, in a fresh interpreter."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(done.stdout.split())


@pytest.mark.parametrize("job", [job for job in JOBS if job != "torch alone"])
def test_a_job_imports_nothing_that_it_has_no_use_for(job):
    modules = loaded(JOBS[job])
    assert set(JOBS[job]) <= modules
    assert not strangers(job, modules)
    method = job.partition(" ")[2]
    if method:  # no other method's file
        files = {m for m in modules if m.startswith("baselines.") and m.count(".") == 1}
        assert files - {"baselines.parts"} <= {OWN_FILES.get(method, f"baselines.{method}")}


def test_a_stranger_is_noticed():
    assert strangers("train octnet", {"torch", "timm", "pandas"}) == ["pandas", "timm"]
    assert strangers("train unetpp", {"torch", "timm"}) == []
    assert strangers("torch alone", {"torch", "pandas"}) == []


def test_lines_of_importtime_are_read():
    found = parsed(
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |   torch.a\n"
        "a warning\n"
        "import time:        50 |        150 | torch\n"
        "import time:        70 |         70 | numpy\n"
    )
    assert found.total == 220
    assert found.own == {"torch.a": 100, "torch": 50, "numpy": 70}
    assert list(packages(found.own).items()) == [("torch", 150), ("numpy", 70)]
