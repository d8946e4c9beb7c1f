"""Command line of the verdicts: `python -m workflow.verdicts.make CONFIG`.

CONFIG is the resolved configuration as JSON. Writes what this run says of each number, claim and
ranking that the paper prints, and the audit of the printed tables, each as CSV and Markdown.
Imports neither torch nor matplotlib.
"""

import sys
from pathlib import Path

from workflow.base.digests import record_folder
from workflow.base.files import write_text
from workflow.base.folders import replacing_folder
from workflow.config import paths
from workflow.config.cells import runs
from workflow.config.model import Config
from workflow.results.read import read_results
from workflow.running.step import run_step
from workflow.verdicts.formats import files
from workflow.verdicts.judge import Verdicts, judge


def write_verdicts(config: Config, verdicts: Verdicts) -> None:
    """Write all verdicts, in place of those before: all files, or none."""
    with replacing_folder(paths.verdicts(config)) as folder:
        for name, text in files(config, verdicts).items():
            write_text(folder / name, text)
    record_folder(paths.verdicts(config))


def make_verdicts(config: Config) -> None:
    """Write the verdicts of a preset."""
    write_verdicts(config, judge(config, read_results(config, runs(config))))


if __name__ == "__main__":
    run_step(make_verdicts, Path(sys.argv[1]))
