"""Look at images of your own before anybody trains on them.

Reads the data sets of source `folder` that a configuration chooses, prepares them in a temporary
place, holds them to the gates, and prints what was found: counts, sizes, classes, groups, grey
levels, and warnings. A page of samples with the outlines of their masks is written to
results/PRESET/check/DATASET.html. The exit code is 1 if a gate refuses something.

    resformer check polyps.yaml
"""

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow.base.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from workflow.config.model import Config


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="what `snakemake --configfile` is given: polyps.yaml",
    )
    parser.add_argument(
        "--datasets", nargs="+", metavar="NAME", help="default: all of source `folder` chosen"
    )


def run(options: Namespace) -> int:
    """Look at each data set, print the summary, and write the page.

    Raises:
        UsageError: there is no such file or data set.
        ConfigError: the configuration cannot be used, or has no folder of one's own.
    """
    from workflow.base.files import write_text

    if options.file is None:
        raise UsageError("FILE: found none; give the file for --configfile, such as polyps.yaml")
    config = configured(Path(options.file))
    names = _chosen(config, options.datasets)
    # Only now: they import pandas.
    from workflow.data.inspection.look import look_at
    from workflow.data.inspection.page import page_of
    from workflow.data.inspection.summary import as_text

    refused = False
    for name in names:
        with tempfile.TemporaryDirectory(prefix="resformer-check-") as place:
            found = look_at(
                config, name, Path(place), lambda step, name=name: _say(f"{name}: {step}")
            )
            page = config.results / "check" / f"{name}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            write_text(page, page_of(found))
            sys.stdout.write(f"{as_text(found)}  Samples with outlines: {page}\n")
        refused |= bool(found.failures)
    return int(refused)


def configured(file: Path) -> "Config":
    """config.yaml with a file of the user's over it, as Snakemake takes it.

    Raises:
        UsageError: there is no such file.
        ConfigError: it is no YAML, or what it says cannot be used.
    """
    import yaml

    from workflow.base.files import read_yaml
    from workflow.config.load import load_config

    if not file.is_file():
        raise UsageError(
            f"FILE: found {file}, and there is no such file; `resformer init` makes one"
        )
    try:
        layer: Any = read_yaml(file)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid YAML: {error}") from error
    if not isinstance(layer, dict):
        raise ConfigError(f"{file}: expected a mapping of keys, found {type(layer).__name__}")
    return load_config(overrides=layer)


def _chosen(config: "Config", given: list[str] | None) -> list[str]:
    own = [
        name
        for name, definition in config.datasets.items()
        if definition.folder
        and (config.select.datasets is None or name in config.select.datasets or given)
    ]
    for name in given or []:
        if name not in own:
            raise UsageError(f"--datasets: found {name}; choose from {', '.join(own) or 'none'}")
    if not own:
        raise ConfigError(
            "datasets: found none of source `folder` that is chosen; `resformer check` is for "
            "images of your own. Add one, as docs/data.md says, or name it in select.datasets"
        )
    return given or own


def _say(line: str) -> None:
    sys.stderr.write(f"{line} ...\n")
