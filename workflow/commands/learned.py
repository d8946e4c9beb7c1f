"""What each method learnt: its score for each seed, beside the controls that know nothing.

The score is DSC for segmentation and the Youden index, sensitivity + specificity less 100, for
classification. Printed as Markdown, for every data set whose controls were made.

    resformer learned demo
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import add_preset, has_run


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=False)


def run(options: Namespace) -> None:
    """Print the table."""
    from workflow.config.cells import runs
    from workflow.metrics.metrics import collect
    from workflow.results.controls import as_table

    config = has_run(options.preset)
    sys.stdout.write(f"{as_table(config, collect(config, runs(config)))}\n")
