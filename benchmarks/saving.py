"""What saving a run's state costs: `python -m benchmarks.saving`.

Trains ResFormer on random images and saves its state while it does: the seconds that training
waits for the copy, what the writing behind it slows down, and the share of training time that both
are at `training.save_seconds`. Steps with and without a save alternate, so that a busy machine
tells on both.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from workflow.config.load import load_config
from workflow.data.images import DeviceImages
from workflow.networks.build import build_method
from workflow.networks.device import choose_device, choose_precision, computing
from workflow.training.augmentation import draw_motions
from workflow.training.loop import Splits, Trainer
from workflow.training.progress import BEST
from workflow.training.state.saved import NAME, Keeper

DATASET = "isic2017"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.saving", description=__doc__)
    parser.add_argument("--method", default="resformer_par")
    parser.add_argument("--size", type=int, default=224, help="of images, in pixels")
    parser.add_argument("--saves", type=int, default=5)
    given = parser.parse_args()
    config = load_config(overrides={"datasets": {DATASET: {"image_size": given.size}}})
    training = config.training_for(DATASET, given.method)
    device = choose_device(training)
    images = _images(given.size, training.batch_size, device)
    with computing(training), tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            lambda: build_method(config, DATASET, given.method),
            Splits(images, images),
            training,
            seed=0,
            precision=choose_precision(training, device),
            validation_batch=training.batch_size,
        )
        # The best checkpoint is a part of the state from the first epoch on.
        values = trainer.model.state_dict().items()
        trainer.progress.weights = {k: v.detach().cpu().clone() for k, v in values}
        _report(trainer, Path(folder), given.saves, training.save_seconds)


def _images(size: int, count: int, device: torch.device) -> DeviceImages:
    return DeviceImages(
        images=torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, device=device),
        masks=torch.randint(0, 2, (count, size, size), dtype=torch.uint8, device=device),
        labels=torch.eye(3, device=device).repeat(count, 1)[:count],
        scale=255.0,
    )


def _report(trainer: Trainer, folder: Path, saves: int, interval: float) -> None:
    keeper = Keeper(folder / NAME, interval)
    plain, behind, copied, written, first = [], [], [], [], 0.0
    _step(trainer)  # the first step is slower
    for save in range(saves + 1):
        plain.append(_step(trainer))
        start, state = time.perf_counter(), trainer.snapshot()
        keeper.save(state, frozenset(name for name in state.tensors if name.startswith(f"{BEST}.")))
        copied.append(time.perf_counter() - start)
        behind.append(_step(trainer))
        keeper.wait()
        written.append(time.perf_counter() - start - copied[-1])
        if save == 0:  # memory for the copies is taken once in a run
            first = copied.pop()
            for values in (plain, behind, written):
                values.clear()
    step, copy = statistics.median(plain), statistics.median(copied)
    slower = max(0.0, statistics.median(behind) - step)
    print(f"state of {keeper.file.stat().st_size / 1e6:.0f} MB, saved every {interval:g} s")
    print(f"  a step                              {step:8.3f} s")
    print(f"  training waits for the copy         {copy:8.3f} s   (the first time {first:.3f} s)")
    print(f"  the step beside the writing takes   {slower:8.3f} s longer")
    print(f"  until it is on disk, at most        {max(written):8.3f} s")
    print(f"  share of training time              {(copy + slower) / interval:8.2%}")
    print(f"  lost by kill -9, at most            {interval + max(copied) + max(written):8.1f} s")


def _step(trainer: Trainer) -> float:
    """Seconds of one step, waited for."""
    split = trainer.splits.train
    trainer.model.train()
    size = split.images.shape[-2:]
    motions = draw_motions(
        len(split), size, trainer.training.augmentation, torch.Generator().manual_seed(0)
    )
    (batch,) = split.batches([torch.arange(len(split))])
    start = time.perf_counter()
    trainer.step(0, batch, motions.to(trainer.device)).sum().item()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
