"""A bill as text and as data."""

from typing import Any

from workflow.base.columns import aligned
from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.config.sources import SOURCES
from workflow.planning.bill import Bill, table_bill
from workflow.planning.devices import SHARE_RANGE
from workflow.planning.used import Used, used

WIDTH = 26


def as_text(config: Config, bill: Bill) -> str:
    """The bill, its assumptions first."""
    parts = [make(config, bill) for make in (_head, _totals, _methods, _tables)]
    if lines := used(config, bill):
        parts.append("\n".join(_used(lines, bill)))
    return "\n\n".join(parts) + "\n"


def as_data(config: Config, bill: Bill) -> dict[str, Any]:
    """The bill for programs: hours, bytes."""
    return {
        "device": {"name": bill.device.name, "measured": bill.device.measured or None},
        "gpus": bill.gpus,
        "images": {name: images._asdict() for name, images in bill.images.items()},
        "device_hours": bill.hours(bill.costs),
        "device_hours_factors": bill.span,
        "device_hours_with_starts": bill.held / 3600,
        "wall_hours": bill.wall / 3600,
        "wall_hours_range": [seconds / 3600 for seconds in bill.walls],
        "jobs": bill.jobs,
        "disk_bytes": bill.disk,
        "methods": {name: bill.hours(runs) for name, runs in bill.by_method().items()},
        "tables": {name: bill.hours(runs) for name, runs in table_bill(config, bill).items()},
        "runs": [
            {**run._asdict(), **of_run._asdict(), "seeds_at_once": bill.at_once(run)}
            for run, of_run in bill.costs.items()
        ],
        "used": [line._asdict() for line in used(config, bill)],
    }


def _head(config: Config, bill: Bill) -> str:
    device = bill.device
    if device.rates:
        basis = (
            f"measured on this device at {device.measured} in {device.precision}: "
            f"{len(device.rates)} networks trained for some steps"
        )
    else:
        low, high = SHARE_RANGE
        basis = (
            f"ESTIMATED, no device was measured: {device.peak / 1e12:,.0f} TFLOP/s by its data "
            f"sheet, of which training is\nassumed to reach {low:.0%} to {high:.0%}; "
            "`uv run resformer plan --calibrate` measures the device it runs on"
        )
    images = "\n".join(
        f"  {name:<{WIDTH}}{i.train:>7,} train {i.val:>6,} val {i.test:>6,} test  ({i.known})"
        for name, i in bill.images.items()
    )
    return (
        f"preset {config.preset}: {len(bill.costs)} pairs of data set and method, "
        f"{bill.seeds} seeds, {bill.jobs} jobs\n"
        f"device: {device.name}, {basis}\nimages:\n{images}"
    )


def _totals(config: Config, bill: Bill) -> str:
    low, high = bill.span
    hours, wall = bill.hours(bill.costs), bill.wall / 3600
    between = "" if low == high else f"   ({_amount(low * hours)} to {_amount(high * hours)})"
    least, most = (seconds / 3600 for seconds in bill.walls)
    walls = "" if low == high else f"   ({_amount(least)} to {_amount(most)})"
    memory = max((c.device_bytes for c in bill.costs.values()), default=0.0)
    host = max((c.host_bytes for c in bill.costs.values()), default=0.0)
    lines = [
        f"{'device hours':<{WIDTH}}{_amount(hours):>10}{between}",
        f"{'and with starts of jobs':<{WIDTH}}{_amount(bill.held / 3600):>10}",
        f"{f'hours on {bill.gpus} at a time':<{WIDTH}}{_amount(wall):>10}{walls}",
        f"{'memory of a run, device':<{WIDTH}}{memory / 1e9:>10.1f} GB at most, roughly; "
        f"the device has {bill.device.memory / 1e9:.0f}",
        f"{'memory of a run, host':<{WIDTH}}{host / 1e9:>10.1f} GB at most, roughly",
        *(
            f"{'disk: ' + what:<{WIDTH + 4}}{size / 1e9:>6.1f} GB"
            for what, size in bill.disk.items()
        ),
    ]
    if not config.demo:
        names = dict.fromkeys(entry.source for entry in config.datasets.values() if entry.public)
        about = [SOURCES[name] for name in names]
        sizes = ", ".join(f"{source.disk} of {source.title}" for source in about if source.disk)
        lines.append(f"Downloads and unpacked archives come on top: {sizes}.")
    return "\n".join(lines)


def _methods(config: Config, bill: Bill) -> str:
    rows = [["by method", "runs", "hours", "hours a run", "GB", "at once"]]
    for method, runs in bill.by_method().items():
        longest = max(bill.costs[run].seconds for run in runs)
        row = [method, *_runs(bill, runs), _amount(longest / 3600)]
        if config.methods[method].module is not None:
            memory = max(bill.costs[run].device_bytes for run in runs)
            row += [f"{memory / 1e9:.1f}", str(min(map(bill.at_once, runs)))]
        rows.append(row)
    return "\n".join(
        [
            *aligned(rows, WIDTH),
            "hours a run: of the longest; at once: seeds that the device's memory holds, as in",
            "training.seeds_at_once; 0: roughly, not even one, so watch the first run",
        ]
    )


def _tables(config: Config, bill: Bill) -> str:
    rows = [[key, *_runs(bill, runs)] for key, runs in table_bill(config, bill).items()]
    note = "a run that several tables show counts in each of them, and once in the total"
    return "\n".join([*aligned([["by table", "runs", "hours"], *rows], WIDTH), note])


def _runs(bill: Bill, runs: list[Run]) -> list[str]:
    """How many runs, and the hours of them all."""
    return [str(len(runs) * bill.seeds), _amount(bill.hours(runs))]


def _used(lines: list[Used], bill: Bill) -> list[str]:
    of_all = (sum(getattr(line, what) for line in lines) for what in ("runs", "predicted", "used"))
    rows = [["training that is done", "runs", "predicted s", "used s", "used/pred.", "device"]]
    for line in [*lines, Used("all", *of_all, device="")]:
        ratio = f"{line.used / line.predicted:.2f}" if line.predicted else "-"
        seconds = [f"{line.predicted:.1f}", f"{line.used:.1f}"]
        rows.append([line.method, str(line.runs), *seconds, ratio, line.device])
    other = any(line.device != bill.device.name for line in lines)
    note = f"predicted for {bill.device.name}, used on the devices named: they may not compare"
    return [*([note] if other else []), *aligned(rows, WIDTH)]


def _amount(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 1 else f"{hours:.3f}"
