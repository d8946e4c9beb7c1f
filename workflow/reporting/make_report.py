"""Command line of the HTML report: `python -m workflow.reporting.make_report CONFIG`.

CONFIG is the resolved configuration as JSON. Needs the figures to be made before; tables are made
again from the saved counts, because in the report each number leads to its run.
"""

import sys
from pathlib import Path

from workflow.cells import runs
from workflow.config import Config
from workflow.reporting.results import read_results
from workflow.reporting.site import build_report
from workflow.step import run_step


def make_report(config: Config) -> None:
    """Write the report of a preset."""
    build_report(config, read_results(config, runs(config)))


if __name__ == "__main__":
    run_step(make_report, Path(sys.argv[1]))
