"""The files that the larger figures are made from; those of all else are in `running.inputs`.

Imports next to nothing, because the DAG is built with it.
"""

from pathlib import Path

from workflow.config.cells import with_controls
from workflow.config.model import Config
from workflow.figures import plots
from workflow.running.inputs import counts_of, duplicates_in, records_of


def read_for_plot(config: Config, key: str) -> list[Path]:
    """What a larger figure is made from: the counts of its runs, or what these recorded."""
    runs, reads = plots.plot_runs(config, key), plots.PLOTS[key].reads
    counts = counts_of(config, with_controls(config, runs)) if "counts" in reads else []
    records = records_of(config, runs) if "records" in reads else []
    return [*counts, *records, *duplicates_in(config, runs)]
