"""What the first steps of training teach: `python -m benchmarks.learning compare|curves|figure`.

compare   trains readings of a network for some steps each, with several seeds, and writes a line
          per run: its losses on the way, and loss, overlap and labels on held-out images
curves    trains every method of the paper's tables and writes its loss step by step
figure    draws what `curves` wrote, method by method

Everything is trained by the workflow's own trainer, each method by its unified recipe; a run of so
many steps has its warm-up and its decay within them. The images are real dermoscopy: the copies of
ISIC 2017 in `$ISIC2017_DIR` or beside the tree, 1,514 to train on and 181 held out, at 96 pixels.
Runs that the file has already are not repeated, so a command that was ended goes on when it is
given again. A run of 100 steps takes one to ten minutes on one core; a whole `curves` an hour.
"""

import argparse
import csv
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor, nn

from workflow.base.errors import ConfigError, DataError
from workflow.base.files import read_yaml
from workflow.config import paths
from workflow.config.load import load_config
from workflow.config.model import Config
from workflow.data import make
from workflow.data.arrays import load_arrays
from workflow.data.images import Batch, DeviceImages, to_device
from workflow.evaluation.evaluate import predict
from workflow.networks.build import build_method
from workflow.networks.device import choose_device, choose_precision, computing
from workflow.training.divergence import TrainingDiverged
from workflow.training.loop import Splits, Trainer

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "isic2017_256"
DATASET = "isic2017"
METHODS = (
    *("resformer_seq", "resformer_par", "he", "gende", "hervella", "tang"),
    *("unetpp", "deeplabv3plus", "swinunet", "transunet", "mstganet", "retifluidnet"),
    *("hiformer", "htcnet", "autosmim", "eiunet"),
    *("inceptionv3", "efficientnet", "vit", "swint", "octnet", "msl_srn"),
)
# Of a run of `compare`: the mean loss of the last five steps, and its largest.
LAST = 5
COMPARED = (
    *("method", "variant", "seed", "steps", "last_five", "largest"),
    *("val_loss", "val_ji", "balanced", "auc", "seconds"),
)
CURVE = ("method", "variant", "seed", "step", "loss", "segmentation", "classification")


class Variant(NamedTuple):
    """A reading of a network.

    Attributes:
        name: the variant's name in the file.
        options: options of the method, which replace its own.
        saturated: whether its segmentation head is drawn anew like any convolution, Kaiming-normal
            over the fan-out, as it was before heads were left at torch's default.
    """

    name: str
    options: dict[str, Any]
    saturated: bool


class TrainingTask(NamedTuple):
    """One training: what, and how long."""

    method: str
    variant: Variant
    seed: int
    steps: int

    @property
    def key(self) -> tuple[str, str, str]:
        """How the file knows it."""
        return self.method, self.variant.name, str(self.seed)

    def config(self, size: int) -> Config:
        """The unified protocol for this run."""
        return learning_config(
            size, self.method, dict(self.variant.options), {"max_steps": self.steps}
        )


class Recorded(Trainer):
    """A trainer that remembers the loss and its two parts of every step."""

    losses: list[list[float]]

    def step(self, step: int, batch: Batch, motions: Tensor) -> Tensor:
        """One optimiser step, as ever."""
        parts = super().step(step, batch, motions)
        self.losses.append(parts.tolist())
        return parts


def learning_config(
    size: int, method: str, options: dict[str, Any], training: dict[str, Any]
) -> Config:
    """Preset `isic256` under a name and at a size of its own; any method can be trained in it."""
    preset = read_yaml(ROOT / "config.yaml")["presets"]["isic256"]
    preset["datasets"][DATASET]["image_size"] = size
    name = f"learning_{size}"
    overrides = {
        "preset": name,
        "presets": {name: preset},
        "data": {"isic2017_dir": os.environ.get("ISIC2017_DIR", str(REAL))},
        "methods": {method: {"options": options}},
        "training": {"threads": 1, **training},
    }
    return load_config(ROOT / "config.yaml", overrides)


def splits(config: Config, method: str) -> Splits:
    """Training and held-out images of ISIC 2017, prepared by the workflow if they are not yet."""
    manifest = paths.prepared(config, DATASET) / "manifest.json"
    if not manifest.is_file():
        make.raw(config, DATASET)
        for step in (make.inventory, make.split, make.prepare, make.gates):
            step(config, DATASET)
    training = config.training_for(DATASET, method)
    device = choose_device(training)
    train, val = (
        to_device(load_arrays(config, DATASET, name), training.normalize, device)
        for name in ("train", "val")
    )
    return Splits(train, val)


def trained(run: TrainingTask, size: int) -> tuple[Recorded, dict[str, Any]]:
    """Train one run and measure it; a run that diverged has its losses so far."""
    config = run.config(size)
    training = config.training_for(DATASET, run.method)
    images, start = splits(config, run.method), time.perf_counter()
    precision = choose_precision(training, choose_device(training))

    def build() -> nn.Module:
        network = build_method(config, DATASET, run.method)
        if run.variant.saturated:
            redraw_head(network)
        return network

    with computing(training):
        trainer = Recorded(
            build, images, training, seed=run.seed, precision=precision, validation_batch=32
        )
        trainer.losses = []
        facts: dict[str, Any] = {"val_loss": math.nan, "val_ji": math.nan}
        with suppress(TrainingDiverged):
            (*_, line) = trainer.run(lambda *_: None).history
            facts = {"val_loss": line.val_loss, "val_ji": 100 * line.val_ji}
        facts |= label_scores(trainer.model.eval(), images.val, precision)
    return trainer, facts | {"seconds": round(time.perf_counter() - start)}


def redraw_head(network: nn.Module) -> None:
    """Draw the convolution that gives ResFormer's segmentation logits as any other."""
    head = network.get_submodule("segmentation.head")
    assert isinstance(head, nn.Conv2d)
    nn.init.kaiming_normal_(head.weight, mode="fan_out", nonlinearity="relu")
    if head.bias is not None:
        nn.init.zeros_(head.bias)


def label_scores(model: nn.Module, images: DeviceImages, precision: torch.dtype) -> dict[str, Any]:
    """Means over labels, in per cent: of sensitivity + specificity - 1 at 0.5, and of the AUC.

    Whatever does not look at the image has 0 and 50. NaN for a method without labels.
    """
    logits = predict(model, images, 32, precision).logits
    if logits is None:
        return {"balanced": math.nan, "auc": math.nan}
    balanced, areas = [], []
    for scores, labels in zip(logits.T, images.labels.cpu().T, strict=True):
        above, below = scores[labels > 0], scores[labels == 0]
        balanced.append((above > 0).float().mean() + (below <= 0).float().mean() - 1)
        pairs = (above[:, None] > below).float() + (above[:, None] == below).float() / 2
        areas.append(pairs.mean())
    return {
        "balanced": 100 * torch.stack(balanced).mean().item(),
        "auc": 100 * torch.stack(areas).mean().item(),
    }


def least_size(method: str, size: int) -> int:
    """This size, or the next multiple of 32, which all methods take, from the method's smallest."""
    sizes = read_yaml(ROOT / "config.yaml")["methods"][method]["sizes"]
    return max(size, -(-sizes["minimum"] // 32) * 32)


# ---- files


def missing(runs: list[TrainingTask], file: Path) -> Iterator[TrainingTask]:
    """The runs that a file has not yet."""
    done: set[tuple[str, ...]] = set()
    if file.is_file():
        with file.open(newline="") as stream:
            done = {(r["method"], r["variant"], r["seed"]) for r in csv.DictReader(stream)}
    yield from (run for run in runs if run.key not in done)


def append(file: Path, columns: tuple[str, ...], rows: list[Mapping[str, Any]]) -> None:
    """Add rows to a file, which has a header from its first on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = not file.is_file()
    with file.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        if new:
            writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def read(file: Path) -> list[dict[str, str]]:
    """All rows of a file."""
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


# ---- commands


def compare(given: argparse.Namespace) -> None:
    """Train each variant of each method with each seed; then print means over seeds."""
    runs = [
        TrainingTask(method, variant, seed, given.steps)
        for seed in given.seeds
        for method in given.methods
        for variant in given.variants
    ]
    for run in missing(runs, given.csv):
        trainer, facts = trained(run, given.size)
        losses = [total for total, *_ in trainer.losses]
        last = losses[-LAST:]
        row = dict(zip(("method", "variant", "seed"), run.key, strict=True))
        row |= {"steps": len(losses), "last_five": sum(last) / len(last), "largest": max(losses)}
        append(given.csv, COMPARED, [row | facts])
        print(
            f"trained     {' '.join(run.key)}: {len(losses)} steps, {facts['seconds']} s",
            flush=True,
        )
    print_comparison(read(given.csv))


def print_comparison(rows: list[dict[str, str]]) -> None:
    """A Markdown table: the mean over seeds of each number, and its smallest and largest."""
    shown = COMPARED[4:-1]
    print(f"| method | variant | seeds | {' | '.join(shown)} |")
    print("|---|---|---|" + "---|" * len(shown))
    for method, variant in dict.fromkeys((row["method"], row["variant"]) for row in rows):
        of = [row for row in rows if (row["method"], row["variant"]) == (method, variant)]
        cells = []
        for name in shown:
            values = [float(row[name]) for row in of]
            places = 1 if name in ("val_ji", "balanced", "auc") else 2
            least, mean, most = min(values), sum(values) / len(values), max(values)
            cells.append(f"{mean:.{places}f} ({least:.{places}f} to {most:.{places}f})")
        print(f"| {method} | {variant} | {len(of)} | {' | '.join(cells)} |")


def curves(given: argparse.Namespace) -> None:
    """Train each method once and write its losses step by step; then print what stands out."""
    variant = Variant(given.name, {}, saturated=False)
    runs = [TrainingTask(method, variant, given.seed, given.steps) for method in given.methods]
    for run in missing(runs, given.csv):
        trainer, facts = trained(run, least_size(run.method, given.size))
        rows: list[Mapping[str, Any]] = [
            dict(zip(map(str, CURVE), (*run.key, step, *parts), strict=True))
            for step, parts in enumerate(trainer.losses, start=1)
        ]
        append(given.csv, CURVE, rows)
        print(f"trained     {run.method}: {len(rows)} steps, {facts['seconds']} s", flush=True)
    read_rows = read(given.csv)
    print("| method | first | largest, at step | mean of the last five | last five / first five |")
    print("|---|---|---|---|---|")
    for method in dict.fromkeys(row["method"] for row in read_rows):
        losses = [float(row["loss"]) for row in read_rows if row["method"] == method]
        first, last = sum(losses[:LAST]) / LAST, sum(losses[-LAST:]) / LAST
        peak = max(losses)
        print(
            f"| {method} | {losses[0]:.2f} | {peak:.2f}, {losses.index(peak) + 1} | {last:.2f} | "
            f"{last / first:.2f} |"
        )


def figure(given: argparse.Namespace) -> None:
    """Draw the losses of each method in a small panel; earlier ones grey, later ones coloured."""
    # Here, because only this command draws.
    from matplotlib import pyplot as plt

    files = [(given.before, "0.65", 1.0)] if given.before else []
    files.append((given.csv, "#0b6e99", 1.3))
    titles = {
        key: entry["title"] for key, entry in read_yaml(ROOT / "config.yaml")["methods"].items()
    }
    plt.rcParams.update({"font.size": 7, "axes.spines.top": False, "axes.spines.right": False})
    drawing, axes = plt.subplots(6, 4, figsize=(8, 9), sharex=True, layout="constrained")
    panels = axes.ravel()
    for panel, method in zip(panels, METHODS, strict=False):
        for file, colour, width in files:
            rows = [row for row in read(file) if row["method"] == method]
            panel.plot(
                [int(row["step"]) for row in rows],
                [float(row["loss"]) for row in rows],
                color=colour,
                linewidth=width,
            )
        panel.set_title(titles[method], fontsize=8, loc="left")
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("")
    for panel in panels[len(METHODS) :]:
        panel.axis("off")
    legend = "blue: now; grey: before" if given.before else "blue: now"
    panels[-1].text(0, 0.5, f"loss of each step, logarithmic\n{legend}", fontsize=8, va="center")
    given.into.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(given.into, dpi=110)
    print(f"{given.into}: {given.into.stat().st_size / 1000:.0f} kB")


def variant_of(text: str) -> Variant:
    """Read `NAME` or `NAME: {options}`; the option `saturated` is this benchmark's own."""
    name, _, options = text.partition(":")
    read_options = yaml.safe_load(options) if options else {}
    saturated = bool(read_options.pop("saturated", False))
    return Variant(name.strip(), read_options, saturated)


HEADS = (
    "fan-out, none: {saturated: true, cls_norm: none}",
    "fan-out, bn_relu: {saturated: true, cls_norm: bn_relu}",
    "default, none: {cls_norm: none}",
    "default, bn_relu: {cls_norm: bn_relu}",
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("compare", help="readings of a network, over seeds")
    one.set_defaults(command=compare)
    one.add_argument("--methods", nargs="+", default=["resformer_seq", "resformer_par"])
    one.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    one.add_argument(
        "--variants",
        nargs="+",
        type=variant_of,
        default=[variant_of(text) for text in HEADS],
        metavar="NAME: {OPTIONS}",
        help="readings; default: heads by fan-out or by torch's default, times cls_norm",
    )
    two = commands.add_parser("curves", help="every method, step by step")
    two.set_defaults(command=curves)
    two.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    two.add_argument("--seed", type=int, default=0)
    two.add_argument("--name", default="now", help="what the file calls this state of the tree")
    for command, steps in ((one, 120), (two, 100)):
        command.add_argument("csv", type=Path, help="file to write to, or to go on with")
        command.add_argument("--steps", type=int, default=steps)
        command.add_argument("--size", type=int, default=96, help="of an image, in pixels")
    three = commands.add_parser("figure", help="draws what `curves` wrote")
    three.set_defaults(command=figure)
    three.add_argument("csv", type=Path, help="what `curves` wrote")
    three.add_argument("--before", type=Path, help="the same of an earlier state, drawn in grey")
    three.add_argument("--into", type=Path, default=ROOT / "docs" / "images" / "learning.webp")
    return parser


def main() -> int:
    """Do what is asked for."""
    given = _parser().parse_args()
    try:
        given.command(given)
    except (ConfigError, DataError) as error:
        sys.exit(f"error: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
