"""Make every table, figure and verdict of a run anew, from its saved counts and masks.

The bytes are those that the single steps write; no network is run. Ends with the seconds that each
part took, and with the peak memory in megabytes.

    resformer rebuild paper --report
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import add_preset, has_run


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=False)
    parser.add_argument("--report", action="store_true", help="make the report too")


def run(options: Namespace) -> None:
    """Rebuild, and print what it took."""
    from workflow.report.rebuild import rebuild, summary

    sys.stdout.write(summary(rebuild(has_run(options.preset), options.report)))
