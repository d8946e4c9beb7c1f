"""Write the environments that sites may prefer to uv, with the versions of uv.lock.

Writes `envs/conda.yaml` and `envs/resformer.def` (Apptainer). Give it after each change of uv.lock;
docs/environments.md says how they are used.

    resformer environments
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import ROOT, require_checkout


def add_arguments(parser: ArgumentParser) -> None:
    """None: there is one lock."""


def run(options: Namespace) -> None:
    """Write, and say what was written."""
    require_checkout("environments")
    from workflow.running.environments import FOLDER, write

    for written in write(ROOT / FOLDER):
        sys.stdout.write(f"{written.relative_to(ROOT)}\n")
