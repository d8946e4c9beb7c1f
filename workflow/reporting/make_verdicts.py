"""Command line of the verdicts: `python -m workflow.reporting.make_verdicts CONFIG`.

CONFIG is the resolved configuration as JSON. Writes what our results say of each number, claim and
ranking that the paper prints, and the audit of the printed tables, each as CSV and Markdown.
Imports neither torch nor matplotlib.
"""

import sys
from pathlib import Path

from workflow import paths
from workflow.cells import runs
from workflow.config import Config
from workflow.files import write_text
from workflow.reporting.folders import replacing_folder
from workflow.reporting.results import read_results
from workflow.reporting.verdict_formats import files
from workflow.reporting.verdicts import Verdicts, judge
from workflow.step import run_step


def write_verdicts(config: Config, verdicts: Verdicts) -> None:
    """Write all verdicts, in place of those before: all files, or none."""
    with replacing_folder(paths.verdicts(config)) as folder:
        for name, text in files(config, verdicts).items():
            write_text(folder / name, text)


def make_verdicts(config: Config) -> None:
    """Write the verdicts of a preset."""
    write_verdicts(config, judge(config, read_results(config, runs(config))))


if __name__ == "__main__":
    run_step(make_verdicts, Path(sys.argv[1]))
