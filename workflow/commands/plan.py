"""What a configuration will cost, in all and by method and table; nothing is run.

Prints device hours, the time on some devices, memory and disk; and of runs that are done, what they
used. With --calibrate it first measures the device it runs on, for a minute, and remembers it.

    resformer plan paper --gpus 8 --device "A100 80GB"
"""

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from workflow.commands.arguments import add_preset, asked, seconds, whole

if TYPE_CHECKING:
    from workflow.config.model import Config
    from workflow.planning.devices import Device


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    add_preset(parser, ahead=True)
    parser.add_argument(
        "--device",
        metavar="NAME",
        help="such as H100 or A100-80, an unknown one is answered with all that are known; "
        "default: the one calibrated last, or else A100",
    )
    parser.add_argument(
        "--gpus",
        type=whole(1),
        default=1,
        metavar="N",
        help="devices that work at the same time; default: 1",
    )
    parser.add_argument("--json", action="store_true", help="for programs; hours and bytes")
    parser.add_argument("--calibrate", action="store_true", help="measure this device first")
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=60.0,
        metavar="S",
        help="how long to calibrate, in seconds; default: 60",
    )


def run(options: Namespace) -> None:
    """Print the bill."""
    import json

    from workflow.planning.bill import make_bill
    from workflow.planning.devices import choose
    from workflow.planning.text import as_data, as_text

    config = asked(options.preset)
    device = choose(options.device) if not options.calibrate else None
    if device is None:
        device = _calibrated(config, options.seconds)
    bill = make_bill(config, device, options.gpus)
    text = json.dumps(as_data(config, bill), indent=2) + "\n" if options.json else None
    sys.stdout.write(text or as_text(config, bill))


def _calibrated(config: "Config", seconds: float) -> "Device":
    # Here, because it imports torch, and a plan takes none.
    from workflow.planning.calibrate import calibrate
    from workflow.planning.devices import save

    device = calibrate(config, seconds, _tell)
    _tell(f"kept in {save(device)}")
    return device


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
