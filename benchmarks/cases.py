"""What the benchmarks of a step train: a setting of ResFormer, images, and both implementations."""

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks import plain
from workflow.config.load import load_config
from workflow.config.model import Config
from workflow.config.training import Augmentation
from workflow.data.images import Batch, DeviceImages
from workflow.networks.build import build_method
from workflow.training.augmentation import draw_motions
from workflow.training.loop import Splits, Trainer
from workflow.training.profiling import Profile

METHODS = ("resformer_seq", "resformer_par")
# The paper's sizes, and whose outputs a network of that size has.
SIZES = {96: "isic2017", 224: "isic2017", 512: "retouch_cirrus"}
IMAGES = 24


class BenchmarkCase(NamedTuple):
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


def lesions(case: BenchmarkCase, device: torch.device) -> DeviceImages:
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


def engine(
    case: BenchmarkCase,
    images: DeviceImages,
    precision: torch.dtype,
    profile: Profile | None = None,
    seed: int = 0,
    **training: Any,
) -> Trainer:
    """The engine with freshly drawn weights, the same for the same seed."""
    config = case.config(**training)
    protocol = config.training_for(case.dataset, case.method)
    trainer = Trainer(
        lambda: build_method(config, case.dataset, case.method),
        Splits(images, images),
        protocol,
        seed=seed,
        precision=precision,
        validation_batch=case.batch,
        profile=profile,
    )
    trainer.model.train()
    return trainer


def plain_step(case: BenchmarkCase, device: torch.device, **training: Any) -> plain.PlainStep:
    """The plain implementation with the same weights."""
    config = case.config(**training)
    torch.manual_seed(0)
    network = build_method(config, case.dataset, case.method)
    return plain.PlainStep(network, config.training_for(case.dataset, case.method), device)


class Drawn(NamedTuple):
    """One batch: the numbers of its images, the images, and how each is moved."""

    rows: Tensor
    batch: Batch
    motions: Tensor


def drawn(case: BenchmarkCase, images: DeviceImages, generator: torch.Generator) -> Drawn:
    """A batch as the engine draws it."""
    rows = torch.randperm(len(images), generator=generator)[: case.batch]
    motions = draw_motions(case.batch, images.images.shape[-2:], _augmentation(case), generator)
    return Drawn(rows, next(iter(images.batches([rows]))), motions.to(images.device))


@cache
def _augmentation(case: BenchmarkCase) -> Augmentation:
    """How a case's images are moved; reading the configuration takes longer than a small step."""
    return case.config().training.augmentation
