"""The one command, `resformer`, also `python -m workflow`: everything that is not `snakemake`.

Each line of `COMMANDS` is a command: what it does, and the module that does it. A module has a
docstring, which is its `--help` and shows an example, `add_arguments(parser)`, and `run(options)`,
which may return an exit code. It is imported when its command is given.

Exit codes: 1 if it cannot be done, or as the command says; 2 if it was asked in a wrong way; 130
after Ctrl-C. Either error is told in one piece on stderr.
"""

import difflib
import importlib
import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from workflow.base.errors import ConfigError, DataError, UsageError
from workflow.base.plain import plain_streams

NAME = "resformer"
PACKAGES = ("workflow", "resformer", "baselines")


class Command(NamedTuple):
    """A command: one line on what it does, and its module."""

    help: str
    module: str


# Commands that write files of the repository.
REPOSITORY = "workflow.commands.repository"

COMMANDS = {
    "init": Command(
        "a first configuration for a folder of images", "workflow.commands.own_images.init"
    ),
    "check": Command(
        "a look at your own images before training", "workflow.commands.own_images.check"
    ),
    "plan": Command("what a configuration will cost", "workflow.commands.plan"),
    "power": Command("what differences a configuration could tell", "workflow.commands.power"),
    "preflight": Command("is this cluster ready for a run?", "workflow.commands.preflight"),
    "status": Command("which runs wait, run, are done or failed", "workflow.commands.status"),
    "curves": Command("losses of runs, also while they train", "workflow.commands.using.curves"),
    "timing": Command("where the time of a run went", "workflow.commands.timing"),
    "predict": Command("masks and labels of images of your own", "workflow.commands.using.predict"),
    "export": Command(
        "a trained network as one file, with a card", "workflow.commands.using.export"
    ),
    "compare": Command("two presets or versions side by side", "workflow.commands.using.compare"),
    "verify": Command("is each file still what was written?", "workflow.commands.verify"),
    "learned": Command("what each method learnt, beside its controls", "workflow.commands.learned"),
    "profile": Command("where the time of a training step went", "workflow.commands.profile"),
    "rebuild": Command("tables, figures and verdicts anew", "workflow.commands.rebuild"),
    "audit": Command("what cannot be in a paper's printed tables", "workflow.commands.audit"),
    "doctor": Command("what to paste into a report of a problem", "workflow.commands.doctor"),
    "card": Command("what each network costs; are its counts right?", "workflow.commands.card"),
    "networks": Command("write the counts of networks anew", f"{REPOSITORY}.networks"),
    "architecture": Command("write ARCHITECTURE.md anew", f"{REPOSITORY}.architecture"),
    "fidelity": Command("write docs/fidelity.md anew", f"{REPOSITORY}.fidelity"),
    "schema": Command("write the configuration's schema anew", f"{REPOSITORY}.schema"),
    "environments": Command("write the conda and Apptainer files", f"{REPOSITORY}.environments"),
}


class _Parser(ArgumentParser):
    """Refuses what is wrong in one line, where argparse would show its usage first."""

    def error(self, message: str) -> NoReturn:
        """Refuse."""
        raise UsageError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`")

    def print_help(self, file: Any = None) -> None:
        """Print the help, and notice where nobody reads it, which argparse would not."""
        (file or sys.stdout).write(self.format_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command; returns the exit code.

    Args:
        arguments: the name of a command and what is given to it; those of this process if None.
    """
    with plain_streams():
        return _answered(list(sys.argv[1:] if arguments is None else arguments))


def _answered(arguments: list[str]) -> int:
    """Carry out a command, and tell its errors; returns the exit code."""
    try:
        code = _carried_out(arguments)
        sys.stdout.flush()
    except UsageError as error:
        return _refused(" ".join(str(error).split()), 2)
    except (ConfigError, DataError) as error:
        return _refused(str(error), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who reads has seen enough, as in `resformer card | head`; Python would complain at its
        # end of what could not be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package in PACKAGES:
            raise
        return _refused(
            f"{package} is not installed; commands need this project's extra `workflow`: install "
            "resformer-reproduction[workflow], or `uv sync` in the repository",
            1,
        )
    return code


def installed() -> int:
    """The command that an installation brings: in another checkout, that one's code answers."""
    here = Path("workflow", "__main__.py")
    if here.is_file() and not here.samefile(__file__):
        os.execv(sys.executable, [sys.executable, "-m", "workflow", *sys.argv[1:]])
    return main()


def parser_of(name: str) -> ArgumentParser:
    """What reads the arguments of a command."""
    module = importlib.import_module(COMMANDS[name].module)
    parser = _Parser(
        prog=f"{NAME} {name}",
        description=module.__doc__,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return parser


def _carried_out(arguments: list[str]) -> int:
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        sys.stdout.write(_overview())
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `{NAME} {near[0]}`? " if near else ""
        raise UsageError(f"no command {name!r}; {hint}`{NAME} --help` lists all")
    try:
        options = parser_of(name).parse_args(rest)
    except SystemExit:  # after --help; what is wrong raises a UsageError
        return 0
    return importlib.import_module(COMMANDS[name].module).run(options) or 0


def _overview() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {NAME} COMMAND [ARGUMENT...]",
            "",
            "Everything that is not `snakemake`; to be given in the root of the repository.",
            "",
            *lines,
            "",
            f"`{NAME} COMMAND --help` has the arguments of a command, with an example.",
            "",
        ]
    )


def _refused(message: str, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
