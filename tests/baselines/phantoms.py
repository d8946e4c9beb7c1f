"""Small phantoms in memory, and what a few dozen steps of a method's recipe make of them."""

from typing import NamedTuple

import torch
from torch import nn

from tests.baselines.methods import build
from workflow.config.load import load_config
from workflow.data.images import DeviceImages
from workflow.metrics.counts import jaccard_where_present, pixel_counts
from workflow.networks.device import computing
from workflow.training.loop import Splits, Trainer


class Scores(NamedTuple):
    """Jaccard index, and the labels' mean of sensitivity + specificity - 1; None if not done."""

    jaccard: float | None
    balanced: float | None


def phantoms(count: int, size: int, seed: int) -> DeviceImages:
    """Noisy pictures with a darker ellipse as their lesion, and three labels of their own.

    A label is a tint of the colour channel of its number, which half of the pictures have.
    """
    random = torch.Generator().manual_seed(seed)
    rows, columns = (torch.arange(size) / size for _ in range(2))
    centre = 0.3 + 0.4 * torch.rand(2, count, 1, 1, generator=random)
    radii = 0.15 + 0.15 * torch.rand(2, count, 1, 1, generator=random)
    down, across = (rows[:, None] - centre[0]) / radii[0], (columns - centre[1]) / radii[1]
    masks = (down.square() + across.square() < 1).to(torch.uint8)
    labels = torch.rand(count, 3, generator=random).argsort(0).argsort(0) % 2
    image = 0.45 + 0.1 * torch.rand(count, 3, size, size, generator=random)
    image += 0.2 * labels[:, :, None, None] - 0.25 * masks[:, None]
    pixels = (255 * image.clamp(0, 1)).round().to(torch.uint8)
    return DeviceImages(pixels, masks, labels.float(), scale=255.0)


def blind(train: DeviceImages, test: DeviceImages) -> Scores:
    """The best that can be said without looking at an image.

    Of masks the best of those that say "lesion" where at least some share of training images has
    one, which includes everywhere; whatever is said of labels, if it is always the same, scores 0.
    """
    share = train.masks.float().mean(0)
    overlaps = [
        jaccard(share.ge(least).long().expand(len(test), -1, -1), test)
        for least in torch.linspace(0, 0.9, 19)
    ]
    return Scores(max(overlaps), 0.0)


def jaccard(masks: torch.Tensor, images: DeviceImages) -> float:
    """Mean Jaccard index of predicted masks."""
    return jaccard_where_present(pixel_counts(masks, images.masks, 1)).item()


def learned(
    name: str, steps: int, train: DeviceImages, test: DeviceImages, *, shuffled: bool = False
) -> Scores:
    """Train a method by its unified recipe, a run of so many steps, and score the test images.

    `shuffled` gives each training image the mask and labels of another: nothing is to be learnt.
    """
    size = train.images.shape[-1]
    run = {"max_steps": steps, "epochs": steps, "threads": 1, "precision": "float32"}
    run["shuffle_labels"] = shuffled
    config = load_config(overrides={"preset": "paper", "training": run})
    training = config.training_for("isic2017", name)
    with computing(training):
        trainer = Trainer(
            lambda: build(name, size, n_seg=1),
            Splits(train, test),
            training,
            seed=0,
            precision=torch.float32,
            validation_batch=len(test),
        )
        trainer.run(lambda *_: None)
        return scores(trainer.model, train, test)


@torch.no_grad()
def scores(network: nn.Module, train: DeviceImages, test: DeviceImages) -> Scores:
    """Score test images with running statistics taken anew from the training images.

    After a few dozen steps those that training left are far from what the weights give, in HTC-Net
    above all, whose own follow by a hundredth a step; docs/fidelity.md says what that does.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all batches
            module.train()
    for rows in torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).split(16):
        network(train.batch(rows)[0])
    prediction = network.eval()(test.batch(torch.arange(len(test)))[0])
    found = balanced = None
    if prediction.segmentation is not None:
        found = jaccard(prediction.segmentation.argmax(1), test)
    if prediction.classification is not None:
        said, true = prediction.classification > 0, test.labels > 0
        hits = [(said & true).sum(0) / true.sum(0) + (~said & ~true).sum(0) / (~true).sum(0) - 1]
        balanced = torch.stack(hits).mean().item()
    return Scores(found, balanced)
