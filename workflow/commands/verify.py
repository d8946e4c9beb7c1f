"""Is every file of a finished preset still what was written?

Compares each file with the digest that was recorded when it was written: a disk or a copy may have
changed a bit. Each is good, damaged, missing, or unknown: of an earlier version, or put there by
hand, so that nothing was recorded of it. The exit code is 1 if one is damaged or missing.

    resformer verify paper
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import add_preset, has_run


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=False)
    parser.add_argument("--all", action="store_true", help="name the files that are good as well")


def run(options: Namespace) -> int:
    """Print what is found; 1 if a file is damaged or missing."""
    import time
    from collections import Counter

    from workflow.status.outputs import advice, checked

    config, start = has_run(options.preset), time.monotonic()
    found = checked(config)
    counts = Counter(one.condition for one in found)
    size = sum(one.path.stat().st_size for one in found if one.path.is_file())
    for one in found:
        if one.condition != "good" or options.all:
            what = advice(config, one)
            sys.stdout.write(f"{one.condition:<9}{one.path}{f': {what}' if what else ''}\n")
    kinds = ", ".join(
        f"{counts[kind]} {kind}" for kind in ("good", "damaged", "missing", "unknown")
    )
    seconds = time.monotonic() - start
    sys.stdout.write(
        f"{config.results}: {len(found)} files: {kinds} ({size / 1e6:.0f} MB in {seconds:.1f} s)\n"
    )
    return int(bool(counts["damaged"] or counts["missing"]))
