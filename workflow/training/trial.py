"""A network and random images to try training steps on: for what they cost, not what they teach."""

import torch

from workflow.config.model import Config
from workflow.config.training import Training
from workflow.data.images import DeviceImages
from workflow.networks.build import build_method
from workflow.networks.device import choose_device, choose_precision
from workflow.training.augmentation import draw_motions
from workflow.training.loop import Splits, Trainer


class StepTrial:
    """One run that can take the same step again and again; within `device.computing`.

    Args:
        config: the configuration whose image size, lesions and labels to take.
        dataset, method: what to train.
        training: how; the configuration's own, or a change of it.

    Attributes:
        trainer: a trainer with a freshly drawn network.
        images: random ones, a batch at least.
        motions: how the images of the batch are moved, `[B, 2, 3]`.
    """

    def __init__(self, config: Config, dataset: str, method: str, training: Training) -> None:
        device, data = choose_device(training), config.datasets[dataset]
        size, labels = data.image_size, len(data.labels)
        count = max(training.batch_size, labels)  # the loss's weights need an image of every label
        shape = (count, 3 if data.color else 1, size, size)
        masks = torch.randint(0, len(data.lesions) + 1, (count, size, size), device=device)
        self.images = DeviceImages(
            images=torch.randint(0, 256, shape, dtype=torch.uint8, device=device),
            masks=masks.to(torch.uint8),
            labels=torch.eye(labels, device=device).repeat(count, 1)[:count],
            scale=255.0,
        )
        self.trainer = Trainer(
            lambda: build_method(config, dataset, method),
            Splits(self.images, self.images),
            training,
            seed=0,
            precision=choose_precision(training, device),
            validation_batch=training.batch_size,
        )
        self.rows = torch.arange(training.batch_size)
        motions = draw_motions(
            count, self.images.images.shape[-2:], training.augmentation, torch.Generator()
        )
        self.motions = motions.to(device)[self.rows]
        self.trainer.model.train()

    def step(self) -> None:
        """Take a step, from gathering the batch to moving the weights; a GPU may not be done."""
        (batch,) = self.images.batches([self.rows])
        self.trainer.step(0, batch, self.motions)
