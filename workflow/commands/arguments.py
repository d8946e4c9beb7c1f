"""Arguments that commands share: the preset, in one way for all of them, and numbers.

A PRESET is a name or a path. A path is always what a run wrote down. A name means config.yaml as
it is now to commands that look ahead (`asked`), and what its run wrote down to commands that look
back (`has_run`). Without one, it is the preset that config.yaml names.
"""

import json
import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from workflow.base.errors import ConfigError, UsageError

if TYPE_CHECKING:  # a command's --help needs no configuration
    from workflow.config.cells import Run
    from workflow.config.model import Config

ROOT = Path(__file__).parents[2]
RESULTS = Path("results")


def add_preset(parser: ArgumentParser, *, ahead: bool) -> None:
    """Give a command its PRESET.

    Args:
        parser: the parser of the command.
        ahead: whether it takes a name from config.yaml, or else from what has run of it.
    """
    name = "a preset of config.yaml" if ahead else "a preset that has run"
    parser.add_argument(
        "preset",
        nargs="?",
        metavar="PRESET",
        help=f"{name}, or what a run wrote down: results/NAME or results/NAME/config.json; "
        "default: the preset that config.yaml names",
    )


def add_runs(parser: ArgumentParser) -> None:
    """Give a command the choice of runs: of a data set, of a method, of a seed."""
    parser.add_argument("--dataset", metavar="NAME", help="default: every data set")
    parser.add_argument("--method", metavar="NAME", help="default: every method")
    parser.add_argument("--seed", type=whole(0), metavar="N", help="default: every seed")


def chosen_runs(config: "Config", options: Namespace) -> "list[tuple[Run, int]]":
    """The runs that are meant, with their seeds.

    Raises:
        UsageError: there is no such data set or method.
    """
    from workflow.config.cells import runs
    from workflow.config.errors import unknown

    for key, name, known in (
        ("--dataset", options.dataset, config.datasets),
        ("--method", options.method, config.methods),
    ):
        if name is not None and name not in known:
            raise UsageError(f"{key}: {unknown(name, known)}")
    return [
        (run, seed)
        for run in runs(config)
        for seed in config.seeds
        if options.dataset in (None, run.dataset)
        and options.method in (None, run.method)
        and options.seed in (None, seed)
    ]


def add_seeds(parser: ArgumentParser) -> None:
    """Give a command the choice of seeds of one run."""
    parser.add_argument(
        "--seed",
        type=whole(0),
        action="append",
        metavar="N",
        help="a seed of the run, several by giving it again; default: all of them",
    )


def asked(given: str | None) -> "Config":
    """The configuration that a PRESET asks for, whether it has run or not.

    Raises:
        UsageError: there is no such preset.
        ConfigError: there is no such file, or it cannot be used.
    """
    from workflow.config.load import load_config

    if given is not None and _is_path(given):
        return _read(_file(given))
    if given is None or given in _presets():
        return load_config(overrides={} if given is None else {"preset": given})
    return has_run(given)


def has_run(given: str | None) -> "Config":
    """The configuration that the run of a PRESET wrote down when it started.

    Raises:
        UsageError: there is no such preset.
        ConfigError: it has not run; the message has those that have.
    """
    if given is not None and _is_path(given):
        return _read(_file(given))
    name = _default() if given is None else given
    file = RESULTS / name / "config.json"
    if file.is_file():
        return _read(file)
    presets = _presets()
    if name not in presets:
        from workflow.config.errors import unknown

        raise UsageError(f"PRESET: {unknown(name, presets)}; {_those_that_ran()}")
    raise ConfigError(
        f"{file}: no such file, so preset {name} has not run; {_those_that_ran()}. A run "
        f"writes it when it starts: snakemake --cores all --config preset={name}"
    )


def whole(least: int) -> Callable[[str], int]:
    """The type of a whole number that is not below `least`."""

    def number(text: str) -> int:
        if not text.lstrip("+-").isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"found {text}; give {least} or more, as a whole number")
        return int(text)

    return number


def seconds(text: str) -> float:
    """The type of a time: more than no seconds."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"found {text}; give seconds, more than 0")
    return number


def factor(text: str) -> float:
    """The type of a factor: more than 0."""
    try:
        return seconds(text)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"found {text}; give a number, more than 0") from error


def require_checkout(command: str) -> None:
    """End where there is no repository around the code, for a command that writes its files.

    Raises:
        ConfigError: the code was installed from a wheel.
    """
    if not (ROOT / "pyproject.toml").is_file():
        raise ConfigError(
            f"{ROOT}: no repository, and `resformer {command}` writes files of one; clone it and "
            f"give `uv run resformer {command}` there"
        )


def _is_path(given: str) -> bool:
    """Whether a file is meant; a name has no separator, and no suffix of one."""
    separators = [os.sep, os.altsep or os.sep]
    return given.endswith(".json") or any(mark in given for mark in separators)


def _file(given: str) -> Path:
    path = Path(given)
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(
            f"{file}: no such file; snakemake writes it when it starts. Name a preset of "
            f"config.yaml, or one that has run; {_those_that_ran()}"
        )
    return file


def _read(file: Path) -> "Config":
    from workflow.running.step import read_config

    try:
        return read_config(file)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{file}: not JSON ({error}); snakemake writes it anew") from None


def _default() -> str:
    from workflow.config.load import load_raw

    return load_raw()["preset"]


def _presets() -> list[str]:
    from workflow.config.load import load_raw

    return list(load_raw()["presets"])


def _those_that_ran() -> str:
    names = sorted(file.parent.name for file in RESULTS.glob("*/config.json"))
    return f"these have run: {', '.join(names)}" if names else "nothing has run yet"
