"""Command line of the HTML report: `python -m workflow.report.make CONFIG`.

CONFIG is the resolved configuration as JSON. Needs the figures to be made before; tables are made
again from the saved counts, because in the report each number leads to its run.
"""

import sys
from pathlib import Path

from workflow.config.cells import runs
from workflow.config.model import Config
from workflow.report.site import build_report
from workflow.results.read import read_results
from workflow.running.step import run_step


def make_report(config: Config) -> None:
    """Write the report of a preset."""
    build_report(config, read_results(config, runs(config)))


if __name__ == "__main__":
    run_step(make_report, Path(sys.argv[1]))
