"""Where a reproduction stands: which runs wait, run, are done or failed, and the time left.

Tells for every data set, method and seed at which epoch it is, or why it failed and in which log.
It only reads files, so it may be asked at any time and from any machine that sees them.

    resformer status paper --watch 60
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import add_preset, has_run, seconds

# Clears a terminal.
CLEAR = "\033[H\033[2J\033[3J"
REFRESH = 10.0


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=False)
    parser.add_argument(
        "--watch",
        type=seconds,
        nargs="?",
        const=REFRESH,
        metavar="S",
        help=f"again every S seconds, {REFRESH:g} where S is left out, until all runs are done",
    )
    parser.add_argument("--json", action="store_true", help="for programs; times in seconds")
    parser.add_argument(
        "--young",
        type=seconds,
        metavar="S",
        help="for how many seconds without a sign of life a run still counts as running; default: "
        "some minutes, and more where states are saved seldom",
    )


def run(options: Namespace) -> None:
    """Print the overview, once or again and again until all runs are done."""
    import json
    import time

    from workflow.status.overview import overview

    while True:
        # Read each time: the same preset may have been started anew with other settings.
        seen = overview(has_run(options.preset), time.time(), options.young)
        text = json.dumps(seen.as_json()) + "\n" if options.json else seen.as_text()
        if options.watch and sys.stdout.isatty() and not options.json:
            getattr(sys.stdout, "acting", sys.stdout).write(CLEAR)
        sys.stdout.write(text)
        sys.stdout.flush()
        if not options.watch or all(run.stand == "done" for run in seen.runs):
            return
        time.sleep(options.watch)
