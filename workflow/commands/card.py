"""What each network costs, and whether its counts are right.

Prints parameters and GFLOPs of every method at 224 pixels with ISIC 2017's outputs and at 512 with
RETOUCH's, whether all counts on record are met (`workflow/networks/anchors/`), and the seconds of a
training step of the preset on this machine. The exit code is 1 if a count differs.

    resformer card --methods resformer_seq unetpp --steps 0
"""

from argparse import ArgumentParser, Namespace

from workflow.base.errors import UsageError
from workflow.commands.arguments import add_preset, asked, whole


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=True)
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="default: every method")
    parser.add_argument(
        "--steps", type=whole(0), default=3, metavar="N", help="to time, 0: none; default: 3"
    )


def run(options: Namespace) -> int:
    """Print the card.

    Raises:
        UsageError: a method has no network.
    """
    config = asked(options.preset)
    learned = [name for name, entry in config.methods.items() if entry.module]
    names = options.methods or learned
    for name in names:
        if name not in learned:
            raise UsageError(f"unknown method {name!r}; choose from {', '.join(learned)}")
    # Only now: it imports torch.
    from workflow.planning.card import show

    return int(bool(show(config, names, options.steps)))
