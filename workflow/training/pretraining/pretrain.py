"""Pretraining: `python -m workflow.training.pretraining.pretrain CONFIG DATASET METHOD SEED...`.

Base network, jigsaw head, search, and the network again from the start with the best policy; one
seed after the other. Each seed repeats all four, the division of the images included.
"""

import functools
import importlib
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workflow.base.digests import record_json
from workflow.base.errors import ConfigError
from workflow.base.files import sha256
from workflow.config import paths
from workflow.config.model import Config
from workflow.config.sections import MaskingPolicy
from workflow.networks.device import choose_device, choose_precision, computing, on_device
from workflow.networks.tensors import write_tensors
from workflow.running.fingerprint import pretraining_fingerprint
from workflow.running.step import run_step
from workflow.training.placement import state_folder
from workflow.training.pretraining.fitting import PretrainingDiverged
from workflow.training.pretraining.inpainting import (
    Inpainter,
    evaluate_inpainting,
    train_inpainting,
)
from workflow.training.pretraining.masking import Masking, Pool
from workflow.training.pretraining.proxy import evaluate_jigsaw, train_jigsaw
from workflow.training.pretraining.search import Losses, PolicyTrial, best, search
from workflow.training.pretraining.stages import Stages
from workflow.training.pretraining.superpixels import (
    load_superpixels,
    pretraining_of,
    training_images,
)
from workflow.training.state.interruption import TRY_AGAIN, Interrupted, Interruption
from workflow.training.state.saved import clear, finished, print_line, publish

SECONDS_BETWEEN_LINES = 5.0
# Of the outputs, the one that is written last.
RECORD = "policy.json"


def pretrain_seeds(config: Config, dataset: str, method: str, *seeds: str) -> None:
    """Pretrain each seed and write its weights and policy."""
    training = config.training_for(dataset, method)
    fingerprint = pretraining_fingerprint(config, dataset, method)
    folders = {s: state_folder(config, dataset, method, s, fingerprint) for s in seeds}
    left = [seed for seed in seeds if not finished(folders[seed], RECORD)]
    if left:
        with Interruption() as interruption, computing(training):
            _pretrain(config, dataset, method, {s: folders[s] for s in left}, interruption)
    for seed in seeds:
        publish(folders[seed], paths.pretraining(config, dataset, method, seed), last=RECORD)


def _pretrain(
    config: Config,
    dataset: str,
    method: str,
    folders: dict[str, Path],
    interruption: Interruption,
) -> None:
    """Pretrain seeds one after the other, each into its folder of states."""
    training, settings = config.training_for(dataset, method), pretraining_of(config, method)
    device = choose_device(training)
    pool = Pool.on(
        device,
        training_images(config, dataset, method),
        {k: load_superpixels(config, dataset, method, k) for k in settings.superpixels},
    )
    build = functools.partial(_build, config, dataset, method, device)
    for seed, folder in folders.items():
        run = f"{dataset} {method} seed {seed}"
        masking = Masking(pool, settings, choose_precision(training, device), int(seed))
        stages = Stages(folder, training.save_seconds, lambda: interruption.asked)
        try:
            record = _pretrain_seed(build, masking, run, stages)
        except Interrupted as signal:
            print_line(
                f"{run}: pretraining stopped by {signal}; the state is saved, and the same command "
                "goes on from there"
            )
            sys.exit(TRY_AGAIN)
        facts = {"dataset": dataset, "method": method, "seed": int(seed)}
        fingerprint = pretraining_fingerprint(config, dataset, method)
        record_json(folder / RECORD, {**facts, **record, "fingerprint": fingerprint})
        clear(folder)


def _pretrain_seed(
    build: Callable[[], Any], masking: Masking, run: str, stages: Stages
) -> dict[str, Any]:
    """Pretrain one seed and write its weights, none if it diverges; what policy.json says of it."""
    start, file = time.perf_counter(), stages.folder / "weights.safetensors"
    try:
        network, record = pretrain(build, masking, run, stages)
    except PretrainingDiverged as error:
        # The run that would start from it is what counts as failed; everything else goes on.
        message = f"its pretraining diverged: {error}"
        print_line(f"{run}: {message}")
        weights, record = {}, {"failure": {"kind": "diverged", "message": message}}
    else:
        weights = network.carried_over()
    write_tensors(file, {k: v.detach().cpu().contiguous() for k, v in weights.items()})
    seconds = time.perf_counter() - start
    if policy := record.get("policy"):
        print_line(
            f"{run}: pretrained with {policy['masked']} of {policy['superpixels']} superpixels "
            f"masked, in {seconds:.0f} s"
        )
    return {**record, "weights_sha256": sha256(file), "seconds": seconds}


def pretrain(
    build: Callable[[], Any], masking: Masking, run: str, stages: Stages
) -> tuple[Inpainter, dict[str, Any]]:
    """All four parts for one seed.

    Args:
        build: makes an inpainting network on the device, from torch's default generator.
        masking: images, settings, seed.
        run: what it is called in messages.
        stages: what is done of them, after an interruption.

    Returns:
        The network trained under the policy that was found, and a record of how it was.
    """
    settings, (learned, held_out) = masking.settings, masking.rows()
    shown = held_out[: settings.search_images]
    base, base_losses = train_inpainting(
        build, masking, settings.base, _PartProgress(f"{run}: base network"), stages.keeper("base")
    )
    head, proxy_losses = train_jigsaw(
        base, masking, settings.base, _PartProgress(f"{run}: jigsaw"), stages.keeper("jigsaw")
    )

    def evaluate(policy: MaskingPolicy) -> Losses:
        return Losses(
            inpainting=evaluate_inpainting(base, masking, policy, shown),
            proxy=evaluate_jigsaw(head, base, masking, policy, shown),
        )

    asked = stages.remembered(evaluate)
    reference = asked(settings.base)
    trials = search(
        asked,
        reference,
        settings.superpixels,
        settings.trials,
        masking.seed,
        _PartProgress(f"{run}: search"),
    )
    chosen = best(trials).policy
    network, losses = train_inpainting(
        build, masking, chosen, _PartProgress(f"{run}: network"), stages.keeper("network")
    )
    return network, {
        "policy": _shown(chosen),
        "base": {**_shown(settings.base), **asdict(reference)},
        "trials": [_told(trial) for trial in trials],
        "validation_losses": {"base": base_losses, "proxy": proxy_losses, "final": losses},
        "images": {"training": len(learned), "held_out": len(held_out), "search": len(shown)},
        "budget": settings.model_dump(mode="json"),
    }


def _build(config: Config, dataset: str, method: str, device: torch.device) -> nn.Module:
    """The inpainting network of a method, freshly initialised.

    Raises:
        ConfigError: the method's module has none.
    """
    entry = config.methods[method]
    module = importlib.import_module(str(entry.module))
    if not hasattr(module, "build_inpainting"):
        raise ConfigError(
            f"methods.{method}.pretraining: {entry.module} has no build_inpainting(), so the "
            "method cannot be pretrained; leave the section out"
        )
    size = config.datasets[dataset].image_size
    network = module.build_inpainting(image_size=size, **entry.network_options)
    return on_device(network, device)


def _shown(policy: MaskingPolicy) -> dict[str, Any]:
    ratio = policy.masked / policy.superpixels
    return {"superpixels": policy.superpixels, "masked": policy.masked, "ratio": ratio}


def _told(trial: PolicyTrial) -> dict[str, Any]:
    return {**_shown(trial.policy), **asdict(trial.losses), "objective": trial.objective}


class _PartProgress:
    """Prints what one part has reached, now and then."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._last = time.perf_counter()

    def __call__(self, line: str) -> None:
        now = time.perf_counter()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            sys.stderr.write(f"{self._part}: {line}\n")


if __name__ == "__main__":
    run_step(pretrain_seeds, Path(sys.argv[1]), *sys.argv[2:])
