"""What each network costs, as `resformer card` prints it.

Parameters and GFLOPs at 224 pixels with ISIC 2017's outputs and at 512 with RETOUCH's, whether all
counts on record are met (`networks/anchors/`), and seconds of a training step on this machine.
"""

import statistics
import sys
import time
from typing import NamedTuple

import torch

from workflow.config.model import Config
from workflow.config.sections import Method
from workflow.networks.anchors import (
    AnchorCase,
    differences,
    flops,
    load_anchors,
    on_meta,
    parameters,
)
from workflow.networks.device import computing
from workflow.training.trial import StepTrial

# Image size, lesion types and labels of the paper's two kinds of data.
ISIC = AnchorCase(image_size=224, n_seg=1, n_cls=3, parameters=1)
RETOUCH = AnchorCase(image_size=512, n_seg=3, n_cls=3, parameters=1)


class CardLine(NamedTuple):
    """One method of the card.

    Attributes:
        method: its key.
        parameters_224, parameters_512: the parameters with ISIC 2017's and RETOUCH's outputs.
        flops_224, flops_512: the operations of one forward pass of one image.
        on_record: parameters on record for the network at 512 (or else 224) as it is configured;
            None where the record has other options or outputs only.
        anchors: counts on record that were compared, blocks and FLOPs among them.
        wrong: those that differ, a line each.
    """

    method: str
    parameters_224: int
    parameters_512: int
    flops_224: int
    flops_512: int
    on_record: int | None
    anchors: int
    wrong: list[str]


def count(name: str, entry: Method) -> CardLine:
    """Count a method's network and hold it to what is on record."""
    small, large = on_meta(entry, ISIC), on_meta(entry, RETOUCH)
    cases = anchors.cases if (anchors := load_anchors(name)) else []
    return CardLine(
        name,
        parameters(small),
        parameters(large),
        flops(small, ISIC.image_size),
        flops(large, RETOUCH.image_size),
        next(
            (case.parameters for like in (RETOUCH, ISIC) for case in cases if _same(case, like)),
            None,
        ),
        sum(1 + bool(case.flops or case.gmacs) + len(case.blocks) for case in cases),
        [line for case in cases for line in differences(on_meta(entry, case), case)],
    )


def _same(case: AnchorCase, like: AnchorCase) -> bool:
    """Whether a case has the size and outputs of the paper's data, and no options of its own."""
    keys = {"options", "image_size", "n_seg", "n_cls"}
    return case.model_dump(include=keys) == like.model_dump(include=keys)


def seconds_per_step(config: Config, method: str, steps: int) -> float:
    """Median seconds of a training step on random images of the configuration's size.

    Args:
        config: the configuration whose protocol, image size and ISIC 2017 to take.
        method: what to train.
        steps: how many to time, after one that is not.
    """
    training = config.training_for("isic2017", method)
    with computing(training):
        trial = StepTrial(config, "isic2017", method, training)
        return statistics.median([_seconds(trial) for _ in range(steps + 1)][1:])


def _fits(config: Config, method: str) -> bool:
    size, sizes = config.datasets["isic2017"].image_size, config.methods[method].sizes
    return size % sizes.multiple_of == 0 and size >= sizes.minimum


def _seconds(trial: StepTrial) -> float:
    start = time.perf_counter()
    trial.step()
    if trial.trainer.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def show(config: Config, names: list[str], steps: int) -> int:
    """Print the card; returns how many methods differ from what is on record."""
    write = sys.stdout.write
    write(
        f"{'method':<24}{'parameters':>13}{'GFLOPs':>9}{'parameters':>14}{'GFLOPs':>9}"
        f"{'anchor':>14}{'match':>12}{'seconds':>10}\n{'':<24}{'at 224':>13}{'':>9}{'at 512':>14}"
        f"{'':>9}{'parameters':>14}{'':>12}{'a step':>10}\n"
    )
    wrong = 0
    for name in names:
        line = count(name, config.methods[name])
        met = f"{line.anchors - len(line.wrong)} of {line.anchors}" if line.anchors else "-"
        anchor = "-" if line.on_record is None else f"{line.on_record:,}"
        timed = "-"  # also where the configuration's images are too small for the network
        if steps and _fits(config, name):
            timed = f"{seconds_per_step(config, name, steps):.3f}"
        write(
            f"{name:<24}{line.parameters_224:>13,}{line.flops_224 / 1e9:>9.2f}"
            f"{line.parameters_512:>14,}{line.flops_512 / 1e9:>9.2f}"
            f"{anchor:>14}{met:>12}{timed:>10}\n"
        )
        sys.stdout.flush()
        for difference in line.wrong:
            write(f"    {difference}\n")
        wrong += bool(line.wrong)
    return wrong
