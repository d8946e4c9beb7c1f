"""Where the time of a run went: seconds of its jobs by step, and of training by method.

Adds up what Snakemake measured of each job and sets it against the seconds that training itself
took: the rest of a training job is overhead (starting, loading data, writing).

    resformer timing demo
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import add_preset, has_run


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=False)


def run(options: Namespace) -> None:
    """Print the seconds."""
    from workflow.running.timing import as_text

    sys.stdout.write(as_text(has_run(options.preset)))
