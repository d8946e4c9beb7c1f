"""What a training step of ResFormer costs: `python -m benchmarks.step [--quick]`.

Prints, all measured in this one run and on whatever device the configuration chooses:
  machine     rates of matrix products and of copies, and the number format
  step        the engine against a plain implementation (`plain.py`): steps of both alternate; times
              are medians, and the ratio is the median of the turns' ratios
  memory      what both leave to the system: clearing pages of memory, above all
  strict      what `determinism: strict` costs against `fast`, in the same turns
  phases      where a step of the engine goes
  roofline    FLOPs and bytes that a step needs, what they would take, and what is reached
  taps        what skipping taps that only see padding would save in the DFE
  agreement   losses of both over many steps from the same weights, on the same images, which each
              moves in its own way
Takes half an hour on two cores; `--quick` takes small images and a minute, and measures nothing
worth citing.
"""

import argparse
import ctypes
import gc
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from statistics import median
from typing import NamedTuple

import torch

from benchmarks import plain, taps
from benchmarks.apart import StepSeconds, Stopwatch, plain_process
from benchmarks.cases import METHODS, SIZES, BenchmarkCase, drawn, engine, lesions, plain_step
from benchmarks.roofline import Machine, Needs, measure, needs
from workflow.data.images import DeviceImages
from workflow.networks.anchors import flops
from workflow.networks.build import build_method
from workflow.networks.device import choose_device, choose_precision, computing
from workflow.training.augmentation import augment
from workflow.training.profiling import Profile

# A plain step at 512 with the paper's batch of 8 takes minutes and 60 GB on a processor.
CPU_BATCH = {512: 2}
TARGET = {"cpu": 3.0, "cuda": 4.0}
# Largest relative difference of a loss from the plain one: of the first step, and of any. Rounding
# grows with every step: Adam moves each weight by the learning rate, also where its gradient is
# nothing but rounding (a bias of keys, say), so what is compared has a small learning rate. BN over
# the few pixels of a classification head's map adds its own: 4e-2 in bf16 for four small images.
TOLERANCE = {torch.float32: (1e-4, 2e-2), torch.bfloat16: (1e-2, 1e-1)}
AGREEMENT_RATE, AGREEMENT_SIZE = 1e-5, 64
PROFILED = 3  # steps, of which the first is not counted
WARMING = 3  # turns that are not counted: by then a process has the memory that a step needs


class Times(NamedTuple):
    """Seconds of steps, turn by turn; see `StepSeconds`."""

    wall: list[float]
    processor: list[float]
    system: list[float]

    def in_system(self) -> float:
        """Share of the processor's time that the system took, to clear memory above all."""
        return sum(self.system) / sum(self.processor)


class Phases(Profile):
    """Seconds of each phase; waits for the device, so that no phase pays for another."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}

    def phase(self, name: str) -> AbstractContextManager[None]:
        """What runs inside belongs to this phase."""
        return self._timed(name)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        wait_for(self.device)
        start = time.perf_counter()
        yield
        wait_for(self.device)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class StepAgreement(NamedTuple):
    """How far the engine is from the plain implementation, in each step."""

    losses: list[float]  # relative difference
    pixels: float  # largest difference of an augmented image, of 1
    labels: int  # pixels of augmented masks that differ


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(work: Mapping[str, Callable[[], StepSeconds]], steps: int) -> dict[str, Times]:
    """Some steps of each, taking turns, after some that are not counted."""
    times = {name: Times([], [], []) for name in work}
    for turn in range(WARMING + steps):
        for name, step in work.items():
            cost = step()
            if turn >= WARMING:
                for kind, seconds in zip(times[name], cost, strict=True):
                    kind.append(seconds)
    return times


def ratio(above: list[float], below: list[float]) -> float:
    """The median of the turns' ratios: what disturbs a turn disturbs both."""
    return median(a / b for a, b in zip(above, below, strict=True))


def compare(
    case: BenchmarkCase, device: torch.device, precision: torch.dtype, steps: int
) -> tuple[dict[str, Times], dict[str, float]]:
    """Times of a step of plain, strict and fast, loading included; a strict step's phases."""
    images = lesions(case, device)
    generator = torch.Generator().manual_seed(1)
    phases = Phases(device)

    def ours(determinism: str, profile: Profile | None = None) -> Callable[[], StepSeconds]:
        training = case.config(determinism=determinism).training
        with computing(training):
            trainer = engine(case, images, precision, profile, determinism=determinism)

        def step() -> StepSeconds:
            watch = Stopwatch()
            with computing(training):
                with trainer.profile.phase("data"):
                    given = drawn(case, images, generator)
                trainer.step(0, given.batch, given.motions).sum().item()  # waits for the device
            return watch.read()

        return step

    with plain_process(case, device) as process:
        work = {"plain": process.step, "strict": ours("strict"), "fast": ours("fast")}
        times = timed(work, steps)
    work.clear()
    _give_back_memory()
    step = ours("strict", phases)
    step()
    phases.seconds.clear()
    for _ in range(PROFILED - 1):
        step()
    return times, phases.seconds


def _give_back_memory() -> None:
    """Let the system have what this process has freed; the engine has told it to keep that."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def differences(
    case: BenchmarkCase, device: torch.device, precision: torch.dtype, steps: int
) -> StepAgreement:
    """Difference of the engine's losses and augmented images from the plain ones.

    Weights, order, motions and stochastic depth are the same; the rate is constant.
    """
    changes = {"learning_rate": AGREEMENT_RATE, "schedule": "constant"}
    images, generator = lesions(case, device), torch.Generator().manual_seed(2)
    trainer, slow = engine(case, images, precision, **changes), plain_step(case, device, **changes)
    losses, pixels, labels = [], 0.0, 0
    for step in range(steps):
        rows, batch, motions = drawn(case, images, generator)
        torch.manual_seed(step)
        fast = trainer.step(step, batch, motions)[0].item()
        ours, our_masks = augment(batch.images, batch.masks, motions, images.scale)
        theirs, their_masks = _moved(images, rows, motions)
        pixels = max(pixels, (ours - theirs).abs().max().item())
        labels += int((our_masks != their_masks).sum())
        torch.manual_seed(step)
        exact = slow(theirs, their_masks, images.labels[rows.to(device)])
        losses.append(abs(fast - exact) / abs(exact))
    return StepAgreement(losses, pixels, labels)


def _moved(
    images: DeviceImages, rows: torch.Tensor, motions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The images of these rows and their masks, moved one by one."""
    pairs = [
        plain.moved(images.images[row], images.masks[row], motion)
        for row, motion in zip(rows.tolist(), motions, strict=True)
    ]
    moved, masks = zip(*pairs, strict=True)
    return torch.stack(moved), torch.stack(masks)


# ---- printing


def print_machine(machine: Machine, device: torch.device, precision: torch.dtype) -> None:
    """Peaks that everything else is held against, and the format that `auto` chose."""
    chosen = str(precision).removeprefix("torch.")
    why = "" if precision == torch.bfloat16 else " (no bf16 in hardware, or not asked for)"
    print(
        f"machine     {device}, {torch.get_num_threads()} threads: "
        f"{machine.bf16 / 1e9:.0f} GFLOP/s in bf16, {machine.float32 / 1e9:.0f} in float32, "
        f"{machine.bandwidth / 1e9:.1f} GB/s; the engine computes in {chosen}{why}"
    )


def print_step(case: BenchmarkCase, times: dict[str, Times], kind: str) -> None:
    """Step times and their ratios."""
    slow, strict, fast = times["plain"], times["strict"], times["fast"]
    faster, target = ratio(slow.wall, strict.wall), TARGET[kind]
    print(
        f"step        {case.method} {case.size}, batch {case.batch}: plain "
        f"{median(slow.wall) * 1e3:.0f} ms, engine {median(strict.wall) * 1e3:.0f} ms, "
        f"{faster:.2f} times as fast (processor time {ratio(slow.processor, strict.processor):.2f})"
        f"; target {target:.0f}: {'met' if faster >= target else 'not met'}\n"
        f"memory      the system takes {slow.in_system():.1%} of plain's processor time, and "
        f"{strict.in_system():.1%} of the engine's, which keeps the memory that it frees\n"
        f"strict      {median(strict.wall) * 1e3:.0f} ms, fast {median(fast.wall) * 1e3:.0f} ms: "
        f"strict costs {ratio(strict.wall, fast.wall) - 1:+.1%}"
    )


def print_phases(seconds: dict[str, float]) -> None:
    """Where a step goes."""
    whole = sum(seconds.values())
    shares = ", ".join(f"{name} {spent / whole:.1%}" for name, spent in seconds.items())
    print(f"phases      {shares}")


def print_roofline(
    times: dict[str, Times], need: Needs, machine: Machine, precision: torch.dtype
) -> None:
    """What a step needs, and how near both come to what the machine can do."""
    slow, fast = median(times["plain"].wall), median(times["strict"].wall)
    peak, name = (
        (machine.bf16, "bf16") if precision == torch.bfloat16 else (machine.float32, "float32")
    )
    compute, memory = need.flops / peak, need.bytes / machine.bandwidth
    print(
        f"roofline    {need.flops / 1e9:.0f} GFLOP and {need.bytes / 1e9:.1f} GB a step: at least "
        f"{compute * 1e3:.0f} ms and {memory * 1e3:.0f} ms; engine reaches "
        f"{need.flops / fast / 1e9:.0f} GFLOP/s, {need.flops / fast / peak:.0%} of the {name} "
        f"peak; plain {need.flops / slow / machine.float32:.0%} of the float32 peak; no engine "
        f"could be more than {slow / max(compute, memory):.1f} times as fast as plain here",
        flush=True,
    )


def print_taps(
    case: BenchmarkCase, step: float, precision: torch.dtype, device: torch.device
) -> None:
    """What skipping taps would save of a step that takes so many seconds."""
    share = taps.saved_flops(case.size) / _flops(case)
    seconds = taps.saved_seconds(case.size, case.batch, precision, device)
    print(
        f"taps        {case.size}: {len(taps.idle(case.size))} of 12 convolutions see padding "
        f"alone beside their middle: {share:.1%} of the FLOPs, {seconds * 1e3:.0f} ms "
        f"({seconds / step:.1%}) of a step"
    )


def print_agreement(case: BenchmarkCase, device: torch.device, steps: int) -> bool:
    """Differences of the losses in both formats; whether they are within the tolerance."""
    kept = True
    for precision, (at_first, later) in TOLERANCE.items():
        losses, pixels, labels = differences(case, device, precision, steps)
        within = losses[0] <= at_first and max(losses) <= later
        kept = kept and within
        print(
            f"agreement   {case.method} {case.size}, {str(precision).removeprefix('torch.')}: "
            f"losses of {steps} steps differ from plain float32 by {losses[0]:.1e} at first, "
            f"{max(losses):.1e} at most, {sum(losses) / steps:.1e} in the mean; tolerance "
            f"{at_first:g} at first and {later:g} later: {'kept' if within else 'BROKEN'}; the "
            f"same images in the same order, moved alike to {pixels:.0e}, and {labels} of "
            f"{steps * case.batch * case.size**2} pixels of masks differ",
            flush=True,
        )
    return kept


def _flops(case: BenchmarkCase) -> int:
    with torch.device("meta"):
        network = build_method(case.config(), case.dataset, case.method).eval()
    return flops(network, case.size)


def _needs(case: BenchmarkCase, device: torch.device, precision: torch.dtype) -> Needs:
    images = torch.rand(case.batch, 3, case.size, case.size, device=device)
    network = build_method(case.config(), case.dataset, case.method).to(device)
    return needs(network, images, precision, _flops(case))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="images of 64 pixels, few steps")
    parser.add_argument("--sizes", type=int, nargs="*", choices=SIZES, default=[224, 512])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--steps", type=int, default=5, help="of each that are counted")
    parser.add_argument("--agreement", type=int, default=50, help="steps to compare losses over")
    return parser


def main() -> int:
    """Measure and print; the exit code is 1 if losses do not agree."""
    given = _parser().parse_args()
    training = BenchmarkCase(METHODS[0], SIZES[224], 224, 8).config().training
    device = choose_device(training)
    precision = choose_precision(training, device)
    steps, agreement = (1, 3) if given.quick else (given.steps, given.agreement)
    batches = {size: CPU_BATCH.get(size, 8) for size in given.sizes}
    if device.type == "cuda":
        batches = dict.fromkeys(given.sizes, training.batch_size)
    if given.quick:
        batches = {64: 2}
    kept = True
    with computing(training):
        machine = measure(device)
        for size, batch in batches.items():
            for method in given.methods:
                case = BenchmarkCase(method, SIZES.get(size, "isic2017"), size, batch)
                times, phases = compare(case, device, precision, steps)
                machine = Machine(*map(max, machine, measure(device)))  # the least disturbed
                print_machine(machine, device, precision)
                print_step(case, times, device.type)
                print_phases(phases)
                print_roofline(times, _needs(case, device, precision), machine, precision)
                print_taps(case, median(times["strict"].wall), precision, device)
        small = BenchmarkCase(METHODS[0], "isic2017", AGREEMENT_SIZE, 2 if given.quick else 8)
        if agreement:
            for method in given.methods:
                kept &= print_agreement(small._replace(method=method), device, agreement)
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
