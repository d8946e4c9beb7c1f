"""Where a reproduction stands: `python -m workflow.status [CONFIG] [--watch SECONDS] [--json]`.

Prints, for every data set, method and seed, whether it waits, runs (at which epoch, with how much
time left), is done or has failed (why, and in which log), and how long the whole still takes. It
only reads files, so it may be asked at any time and from any machine that sees them.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from workflow.base.errors import ConfigError
from workflow.config.load import load_raw
from workflow.config.model import Config
from workflow.running.step import read_config
from workflow.status.estimate import estimate
from workflow.status.runs import standings
from workflow.status.show import Overview
from workflow.status.steps import data_standings, made

# Clears a terminal.
CLEAR = "\033[H\033[2J\033[3J"


def overview(config: Config, now: float, young: float | None = None) -> Overview:
    """Look at everything once.

    Args:
        config: whose runs.
        now: in seconds since 1970.
        young: as for `standings`.
    """
    runs = standings(config, now, young)
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return Overview(config, at, data_standings(config), runs, estimate(runs), made(config))


def configuration_file(given: Path | None) -> Path:
    """The file that is given, or else that of the preset which config.yaml has.

    Raises:
        ConfigError: it is not there; names those that are.
    """
    file = given or Path("results") / load_raw()["preset"] / "config.json"
    if file.is_file():
        return file
    others = sorted(map(str, Path("results").glob("*/config.json")))
    there = f"there are {', '.join(others)}; name one of them" if others else "nor anywhere else"
    raise ConfigError(
        f"{file}: no such file, so nothing has run there, {there}. A run writes it when it "
        "starts: snakemake --cores all --config preset=PRESET"
    )


def main(arguments: Sequence[str]) -> None:
    """Print the overview, once or again and again until all runs are done."""
    parser = argparse.ArgumentParser(
        prog="python -m workflow.status", description="Where a reproduction stands."
    )
    parser.add_argument("config", nargs="?", type=Path, help="results/PRESET/config.json")
    parser.add_argument("--watch", type=float, metavar="N", help="again every N seconds")
    parser.add_argument("--json", action="store_true", help="for programs; times in seconds")
    parser.add_argument(
        "--young",
        type=float,
        metavar="SECONDS",
        help="how long a run without a sign of life still counts as running",
    )
    options = parser.parse_args(arguments)
    while True:
        # Read each time: the same command may have been started anew with other settings.
        config = read_config(configuration_file(options.config))
        seen = overview(config, time.time(), options.young)
        text = json.dumps(seen.as_json()) + "\n" if options.json else seen.as_text()
        clear = CLEAR if options.watch and sys.stdout.isatty() and not options.json else ""
        sys.stdout.write(clear + text)
        sys.stdout.flush()
        if not options.watch or all(run.stand == "done" for run in seen.runs):
            return
        time.sleep(options.watch)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ConfigError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
