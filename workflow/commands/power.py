"""What a configuration could tell, before it is run: with these volumes, seeds and methods.

For each table and data set: the difference of two methods that a single test finds, and the one
that it must be to be found among all tests of the table; and within how many points a printed value
could be reproduced. How much scores vary is assumed, and can be changed by a factor.

    resformer power paper --spread 1.5
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import add_preset, asked, factor


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=True)
    parser.add_argument(
        "--spread",
        type=factor,
        default=1.0,
        metavar="X",
        help="how many times as much as assumed scores vary; default: 1",
    )


def run(options: Namespace) -> None:
    """Print what could be told."""
    from workflow.planning.tellable import as_text, tellable

    config = asked(options.preset)
    sys.stdout.write(as_text(config, tellable(config, options.spread), options.spread))
