"""The losses of runs, epoch by epoch, in the terminal or as a file, also while they train.

Drawn are histories of runs that have ended, and saved states of those under way, whose last epochs
may be missing (a state is saved every `training.save_seconds`).

    resformer curves demo --dataset isic2017 --method resformer_seq --out losses.png
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from workflow.commands.arguments import add_preset, add_runs, chosen_runs, has_run

FORMATS = (".png", ".pdf", ".svg")
COLUMNS = ("train_loss", "val_loss", "val_ji", "val_dsc", "learning_rate", "seconds")


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=False)
    add_runs(parser)
    parser.add_argument(
        "--value",
        action="append",
        choices=COLUMNS,
        help="what to draw, several by giving it again; default: train_loss and val_loss",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"draw into a file, {', '.join(FORMATS)}"
    )


def run(options: Namespace) -> None:
    """Draw the curves of the runs that are meant.

    Raises:
        UsageError: there is no such data set or method, or no such format.
        ConfigError: no run that is meant has ended an epoch.
    """
    import shutil

    from workflow.base.errors import ConfigError, UsageError
    from workflow.status.curves import as_chart, draw_curves, read_run_curves

    config = has_run(options.preset)
    chosen = chosen_runs(config, options)
    if options.out is not None and options.out.suffix not in FORMATS:
        raise UsageError(f"--out: found {options.out}; expected {', '.join(FORMATS)}")
    columns = options.value or ["train_loss", "val_loss"]
    found = [
        curves for one, seed in chosen if (curves := read_run_curves(config, one, seed)) is not None
    ]
    if not found:
        raise ConfigError(
            f"{config.results}: no run that is meant has ended an epoch whose state is saved; "
            "`resformer status` says where they are"
        )
    if options.out is not None:
        draw_curves(options.out, found, columns)
        sys.stdout.write(f"{options.out}\n")
        return
    width = shutil.get_terminal_size().columns
    sys.stdout.write("\n".join(as_chart(one, columns, width) for one in found))
