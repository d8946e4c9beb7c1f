"""Count every network of the presets paper, everything and demo anew, and write the counts down.

Writes parameters, FLOPs and bytes kept for the backward pass to `workflow/planning/networks.csv`,
which spares the plan and the Snakefile the counting. Give it after a change of a network.

    resformer networks
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import require_checkout


def add_arguments(parser: ArgumentParser) -> None:
    """None: all networks of these presets are counted."""


def run(options: Namespace) -> None:
    """Count, and say what was written."""
    require_checkout("networks")
    from workflow.planning.networks import write_record

    sys.stdout.write(f"{write_record()}\n")
