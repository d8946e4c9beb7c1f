"""What a run will cost: `python -m workflow.planning.command [CONFIG] [--device NAME] [--gpus N]`.

Prints what a configuration will cost, in all and by method and table: device hours, the time on
some devices, memory and disk; and of runs that are done, what they used. Nothing is run. With
`--calibrate` it first measures the device it runs on, for a minute, and remembers what it found.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from workflow.base.errors import ConfigError
from workflow.config.load import load_config
from workflow.config.model import Config
from workflow.planning import devices
from workflow.planning.bill import make_bill
from workflow.planning.text import as_data, as_text
from workflow.running.step import read_config


def main(arguments: Sequence[str]) -> None:
    """Print the bill."""
    parser = argparse.ArgumentParser(
        prog="python -m workflow.planning.command", description="What a configuration will cost."
    )
    parser.add_argument("config", nargs="?", type=Path, help="results/PRESET/config.json")
    parser.add_argument("--preset", default="paper", help="if no file is given; default: paper")
    parser.add_argument(
        "--device", help=f"default: the one calibrated last; known: {', '.join(devices.KNOWN)}"
    )
    parser.add_argument("--gpus", type=int, default=1, help="how many work at the same time")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--calibrate", action="store_true", help="measure this device first")
    parser.add_argument("--seconds", type=float, default=60.0, help="of calibration; default: 60")
    options = parser.parse_args(arguments)
    if options.gpus < 1:
        raise ConfigError(f"--gpus: found {options.gpus}; give 1 or more")
    config = _config(options.config, options.preset)
    device = devices.choose(options.device) if not options.calibrate else None
    if device is None:
        device = _calibrated(config, options.seconds)
    bill = make_bill(config, device, options.gpus)
    text = json.dumps(as_data(config, bill), indent=2) + "\n" if options.json else None
    sys.stdout.write(text or as_text(config, bill))


def _config(file: Path | None, preset: str) -> Config:
    if file is None:
        return load_config(overrides={"preset": preset})
    if not file.is_file():
        raise ConfigError(
            f"{file}: no such file; snakemake writes it when it starts. Before that, name a preset "
            "with --preset, or run `snakemake plan`"
        )
    return read_config(file)


def _calibrated(config: Config, seconds: float) -> devices.Device:
    # Here, because it imports torch, and a plan takes none.
    from workflow.planning.calibrate import calibrate

    device = calibrate(config, seconds, _tell)
    _tell(f"kept in {devices.save(device)}")
    return device


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ConfigError as error:
        sys.exit(f"error: {error}")
