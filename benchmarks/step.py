"""What a training step of ResFormer costs: `python -m benchmarks.step [--quick]`.

Prints, all measured in this one run and on whatever device the configuration chooses:
  machine     rates of matrix products and of copies
  step        the engine against a plain implementation (`plain.py`): steps of both alternate, and
              the fastest of each counts, because a busy machine disturbs the others
  roofline    FLOPs and bytes that a step needs, what they would take, and what is reached
  taps        what skipping taps that only see padding would save in the DFE
  agreement   losses of both over many steps from the same weights, on the same batches
Takes half an hour on two cores; `--quick` takes small images and a minute, and measures nothing
worth citing.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks import plain, taps
from benchmarks.roofline import Machine, Needs, measure, needs
from workflow.anchors import flops
from workflow.config import Config, load_config
from workflow.device import choose_device, choose_precision, computing
from workflow.images import DeviceImages
from workflow.methods import build_method
from workflow.training.augmentation import augment, draw_motions
from workflow.training.loop import Splits, Trainer

METHODS = ("resformer_seq", "resformer_par")
# The paper's sizes, and whose outputs a network of that size has.
SIZES = {96: "isic2017", 224: "isic2017", 512: "retouch_cirrus"}
# A plain step at 512 with the paper's batch of 8 takes minutes and 60 GB on a processor.
CPU_BATCH = {512: 2}
TARGET = {"cpu": 3.0, "cuda": 4.0}
# Largest relative difference of a loss from the plain one: of the first step, and of any. Rounding
# grows with every step: Adam moves each weight by the learning rate, also where its gradient is
# nothing but rounding (a bias of keys, say), so what is compared has a small learning rate.
TOLERANCE = {torch.float32: (1e-4, 2e-2), torch.bfloat16: (1e-2, 5e-2)}
AGREEMENT_RATE, AGREEMENT_SIZE = 1e-5, 64
IMAGES = 24


class Case(NamedTuple):
    """One setting: a method, the data set whose outputs it has, image size, batch size."""

    method: str
    dataset: str
    size: int
    batch: int

    def config(self, **training: Any) -> Config:
        """The paper's protocol at this size, with some keys of `training` replaced."""
        loss = {"class_weights": "none"}  # the random labels have no prevalence
        changes = {"batch_size": self.batch, "threads": 64, "loss": loss, **training}
        overrides = {
            "select": {"datasets": [self.dataset], "methods": [self.method]},
            "datasets": {self.dataset: {"image_size": self.size}},
            "training": changes,
        }
        return load_config(overrides=overrides)


class Times(NamedTuple):
    """Seconds of the fastest step on the clock, and of the processor."""

    wall: float
    processor: float


def lesions(case: Case, device: torch.device) -> DeviceImages:
    """Images with blobs of other brightness, and the masks of those: as hard as an easy lesion."""
    generator = torch.Generator().manual_seed(0)
    data = case.config().datasets[case.dataset]
    coarse = torch.randn(IMAGES, len(data.lesions), 6, 6, generator=generator)
    fields = F.interpolate(coarse, size=case.size, mode="bicubic")
    height, kind = fields.max(dim=1)
    masks = torch.where(height > 0.8, kind + 1, 0)
    noise = torch.randn(IMAGES, 3, case.size, case.size, generator=generator)
    tint = torch.rand(IMAGES, 3, 1, 1, generator=generator)
    images = 90 + 60 * tint + 40 * masks.unsqueeze(1) / masks.max() + 12 * noise
    labels = torch.randint(0, 2, (IMAGES, len(data.labels)), generator=generator)
    return DeviceImages(
        images=images.clamp(0, 255).to(torch.uint8).to(device),
        masks=masks.to(torch.uint8).to(device),
        labels=labels.float().to(device),
        scale=255.0,
    )


def engine(case: Case, images: DeviceImages, precision: torch.dtype, **training: Any) -> Trainer:
    """The engine with freshly drawn weights, always the same."""
    config = case.config(**training)
    protocol = config.training_for(case.dataset, case.method)
    trainer = Trainer(
        lambda: build_method(config, case.dataset, case.method),
        Splits(images, images),
        protocol,
        seed=0,
        precision=precision,
        validation_batch=case.batch,
    )
    trainer.model.train()
    return trainer


def plain_step(case: Case, device: torch.device, **training: Any) -> plain.PlainStep:
    """The plain implementation with the same weights."""
    config = case.config(**training)
    torch.manual_seed(0)
    network = build_method(config, case.dataset, case.method)
    return plain.PlainStep(network, config.training_for(case.dataset, case.method), device)


def drawn(case: Case, images: DeviceImages, generator: torch.Generator) -> tuple[Any, Tensor]:
    """A batch as the engine draws it, and the motions of its images."""
    rows = torch.randperm(len(images), generator=generator)[: case.batch]
    augmentation = case.config().training.augmentation
    motions = draw_motions(case.batch, images.images.shape[-2:], augmentation, generator)
    return next(iter(images.batches([rows]))), motions.to(images.device)


def timed(work: dict[str, Callable[[], object]], steps: int) -> dict[str, Times]:
    """The fastest of some steps of each, taking turns; the first of each is not counted."""
    wall: dict[str, list[float]] = {name: [] for name in work}
    processor: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(steps + 1):
        for name, step in work.items():
            start, spent = time.perf_counter(), time.process_time()
            step()
            wall[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - spent)
    return {name: Times(min(wall[name][1:]), min(processor[name][1:])) for name in work}


def compare(case: Case, device: torch.device, precision: torch.dtype, steps: int) -> dict:
    """Times of a step of both implementations, loading included."""
    images = lesions(case, device)
    generator = torch.Generator().manual_seed(1)
    trainer, slow = engine(case, images, precision), plain_step(case, device)

    def ours() -> None:
        batch, motions = drawn(case, images, generator)
        trainer.step(0, batch, motions).sum().item()  # waits for the device

    with tempfile.TemporaryDirectory() as folder:
        files = plain.PngImages(
            Path(folder),
            images.images,
            images.masks,
            images.labels,
            case.config().training.augmentation,
        )
        loader = plain.batches(files, case.batch, device)
        return timed({"plain": lambda: slow(*next(loader)), "engine": ours}, steps)


def differences(
    case: Case, device: torch.device, precision: torch.dtype, steps: int
) -> list[float]:
    """Relative difference of the engine's loss from the plain one, in each step.

    Weights, order, augmentation and stochastic depth are the same; the rate is constant.
    """
    changes = {"learning_rate": AGREEMENT_RATE, "schedule": "constant"}
    images, generator = lesions(case, device), torch.Generator().manual_seed(2)
    trainer, slow = engine(case, images, precision, **changes), plain_step(case, device, **changes)
    found = []
    for step in range(steps):
        batch, motions = drawn(case, images, generator)
        torch.manual_seed(step)
        fast = trainer.step(step, batch, motions)[0].item()
        moved, masks = augment(batch.images, batch.masks, motions, images.scale)
        torch.manual_seed(step)
        exact = slow(moved.contiguous(), masks, batch.labels)
        found.append(abs(fast - exact) / abs(exact))
    return found


# ---- printing


def print_machine(machine: Machine, device: torch.device) -> None:
    """Peaks that everything else is held against."""
    print(
        f"machine     {device}, {torch.get_num_threads()} threads: "
        f"{machine.bf16 / 1e9:.0f} GFLOP/s in bf16, {machine.float32 / 1e9:.0f} in float32, "
        f"{machine.bandwidth / 1e9:.1f} GB/s"
    )


def print_step(
    case: Case, times: dict[str, Times], need: Needs, machine: Machine, kind: str
) -> None:
    """Step times, their ratio, and the roofline of one setting."""
    slow, fast = times["plain"], times["engine"]
    ratio, target = slow.wall / fast.wall, TARGET[kind]
    compute, memory = need.flops / machine.bf16, need.bytes / machine.bandwidth
    least = max(compute, memory)
    print(
        f"step        {case.method} {case.size}, batch {case.batch}: plain {slow.wall * 1e3:.0f} "
        f"ms, engine {fast.wall * 1e3:.0f} ms, {ratio:.2f} times as fast (processor time "
        f"{slow.processor / fast.processor:.2f}); target {target:.0f}: "
        f"{'met' if ratio >= target else 'not met'}\n"
        f"roofline    {need.flops / 1e9:.0f} GFLOP and {need.bytes / 1e9:.1f} GB a step: at least "
        f"{compute * 1e3:.0f} ms and {memory * 1e3:.0f} ms; engine reaches "
        f"{need.flops / fast.wall / 1e9:.0f} GFLOP/s, {need.flops / fast.wall / machine.bf16:.0%} "
        f"of the bf16 peak; plain {need.flops / slow.wall / machine.float32:.0%} of the float32 "
        f"peak; no engine could be more than {slow.wall / least:.1f} times as fast as plain here",
        flush=True,
    )


def print_taps(case: Case, step: float, precision: torch.dtype, device: torch.device) -> None:
    """What skipping taps would save of a step that takes so many seconds."""
    share = taps.saved_flops(case.size) / _flops(case)
    seconds = taps.saved_seconds(case.size, case.batch, precision, device)
    print(
        f"taps        {case.size}: {len(taps.idle(case.size))} of 12 convolutions see padding "
        f"alone beside their middle: {share:.1%} of the FLOPs, {seconds * 1e3:.0f} ms "
        f"({seconds / step:.1%}) of a step"
    )


def print_agreement(case: Case, device: torch.device, steps: int) -> bool:
    """Differences of the losses in both formats; whether they are within the tolerance."""
    kept = True
    for precision, (at_first, later) in TOLERANCE.items():
        found = differences(case, device, precision, steps)
        within = found[0] <= at_first and max(found) <= later
        kept = kept and within
        print(
            f"agreement   {case.method} {case.size}, {str(precision).removeprefix('torch.')}: "
            f"losses of {steps} steps differ from plain float32 by {found[0]:.1e} at first, "
            f"{max(found):.1e} at most, {sum(found) / steps:.1e} in the mean; tolerance "
            f"{at_first:g} at first and {later:g} later: {'kept' if within else 'BROKEN'}",
            flush=True,
        )
    return kept


def _flops(case: Case) -> int:
    with torch.device("meta"):
        network = build_method(case.config(), case.dataset, case.method).eval()
    return flops(network, case.size)


def _needs(case: Case, device: torch.device, precision: torch.dtype) -> Needs:
    images = torch.rand(case.batch, 3, case.size, case.size, device=device)
    network = build_method(case.config(), case.dataset, case.method).to(device)
    return needs(network, images, precision, _flops(case))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="images of 64 pixels, few steps")
    parser.add_argument("--sizes", type=int, nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--steps", type=int, default=5, help="of each, one more is not counted")
    parser.add_argument("--agreement", type=int, default=50, help="steps to compare losses over")
    return parser


def main() -> int:
    """Measure and print; the exit code is 1 if losses do not agree."""
    given = _parser().parse_args()
    training = Case(METHODS[0], SIZES[224], 224, 8).config().training
    device = choose_device(training)
    precision = choose_precision(training, device)
    steps, agreement = (1, 3) if given.quick else (given.steps, given.agreement)
    batches = {size: CPU_BATCH.get(size, 8) for size in given.sizes}
    if device.type == "cuda":
        batches = dict.fromkeys(given.sizes, training.batch_size)
    if given.quick:
        batches = {64: 2}
    with computing(training):
        machine = measure(device)
        for size, batch in batches.items():
            for method in given.methods:
                case = Case(method, SIZES.get(size, "isic2017"), size, batch)
                times = compare(case, device, precision, steps)
                machine = Machine(*map(max, machine, measure(device)))  # the least disturbed
                print_machine(machine, device)
                print_step(case, times, _needs(case, device, precision), machine, device.type)
                print_taps(case, times["engine"].wall, precision, device)
        batch = 2 if given.quick else training.batch_size
        small = Case(METHODS[0], "isic2017", AGREEMENT_SIZE, batch)
        kept = [print_agreement(small._replace(method=m), device, agreement) for m in given.methods]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
