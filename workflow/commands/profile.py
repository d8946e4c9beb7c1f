"""Where the time of a training step went, of runs that `training.profile` had profiled.

Prints of each such run the phases of a step: how often each was timed, seconds of one, and its
share of a step. With --operators also torch's operators, the dearest first. The trace of a few
steps lies beside them, for chrome://tracing or ui.perfetto.dev.

    resformer profile demo --method unetpp --operators
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.base.errors import ConfigError
from workflow.commands.arguments import add_preset, add_runs, chosen_runs, has_run


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=False)
    add_runs(parser)
    parser.add_argument("--operators", action="store_true", help="print torch's operators too")


def run(options: Namespace) -> None:
    """Print the profiles that there are.

    Raises:
        UsageError: there is no such data set or method.
        ConfigError: no run of those that are meant was profiled.
    """
    from workflow.config import paths
    from workflow.training.phases import as_text, read_phases

    config = has_run(options.preset)
    folders = [paths.profile(config, *run, seed) for run, seed in chosen_runs(config, options)]
    profiled = [folder for folder in folders if (folder / "phases.csv").is_file()]
    if not profiled:
        raise ConfigError(
            f"{config.results / 'profiles'}: no profile of {len(folders)} runs; a run leaves one "
            "if it is trained with --config 'training={profile: true}'"
        )
    for folder in profiled:
        sys.stdout.write(f"{as_text(read_phases(folder), folder)}\n")
        if options.operators and (folder / "operators.txt").is_file():
            sys.stdout.write(f"{(folder / 'operators.txt').read_text(encoding='utf-8')}\n")
