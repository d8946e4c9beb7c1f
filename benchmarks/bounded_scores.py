"""Invented scores that are nothing like those of `scenarios`: bounded, skewed, with zeros.

A Dice score is a logistic curve of normal effects (volume, image, seed, and their crossings), and 0
where an image is missed; an accuracy is the share of labels whose effects are above 0. So means are
skewed towards the bound, groups may be unequal or one may hold nearly all, and a seed may collapse.
A second laboratory measures the same method: with seeds of its own, on the same images or on
others. Nothing of the project's own variance is used here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from workflow.metrics.variance import Array, Linear, linearise

# How many scores are held in memory at the same time.
AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Bounded:
    """A test set, a number of seeds, and how scores vary, on the scale before the curve.

    Attributes:
        name: the name in the table.
        groups: how many images each group has.
        seeds: the number of this run's seeds; the other laboratory has five.
        same_images: whether the other laboratory measures on the same images.
        level: the score in per cent where all effects are 0.
        labels: the number of labels of an image, of which a share is right; 0 for a Dice score.
        group: SD between groups.
        image: SD between images.
        seed: SD between seeds.
        seed_group: SD of seed × group.
        seed_image: SD of seed × image.
        zeros: the share of images that are missed.
        collapse: the probability that a seed collapses; it then loses `loss`.
        loss: by how much, before the curve.
    """

    name: str
    groups: tuple[int, ...]
    seeds: int
    same_images: bool
    level: float
    labels: int = 0
    group: float = 0.45
    image: float = 0.7
    seed: float = 0.08
    seed_group: float = 0.1
    seed_image: float = 0.3
    zeros: float = 0.03
    collapse: float = 0.0
    loss: float = 0.7


def designs() -> list[Bounded]:
    """The paper's designs, and what is hard about each."""
    oct_seg = Bounded("OCT 4 x 5, DSC", (40,) * 4, 5, False, 82.0)
    oct_acc = replace(
        oct_seg, name="OCT 4 x 5, accuracy", level=98.3, labels=3, zeros=0.0, image=0.4, seed=0.05
    )
    isic = Bounded(
        "ISIC 600 x 5, DSC", (1,) * 600, 5, True, 90.0, group=0.9, image=0.0, seed=0.05,
        seed_group=0.4, seed_image=0.0, zeros=0.02,
    )  # fmt: skip
    isic_acc = replace(
        isic, name="ISIC 600 x 5, accuracy", level=87.0, labels=3, zeros=0.0, group=1.0
    )
    return [
        oct_seg,
        replace(oct_seg, name="OCT 4 x 5, unequal volumes", groups=(80, 48, 24, 8)),
        replace(oct_seg, name="OCT 4 x 5, one volume has 95 %", groups=(152, 4, 2, 2)),
        replace(oct_seg, name="OCT 4 x 5, seeds collapse", collapse=0.05),
        oct_acc,
        isic,
        replace(isic, name="ISIC 600 x 5, noisy seeds", seed=0.15),
        replace(isic, name="ISIC 600 x 5, seeds collapse", collapse=0.05),
        isic_acc,
        replace(isic, name="ISIC 600 x 3, DSC", seeds=3),
        replace(isic, name="ISIC 600 x 1, DSC", seeds=1),
    ]


@dataclass(frozen=True)
class MeasuredTwice:
    """Repeats of what two laboratories measure of the same methods.

    Attributes:
        scores: this run's mean score of each group, between 0 and 1, `[repeats, methods, seeds,
            groups, 1]`.
        weights: how many images each group has, `[groups, 1]`.
        printed: the other laboratory's means over its five seeds, per cent, `[repeats, methods]`.
    """

    scores: Array
    weights: Array
    printed: Array

    @property
    def linear(self) -> Linear:
        """This run's scores by what each group adds, as the project has it."""
        weights = np.broadcast_to(self.weights, self.scores.shape)
        return linearise(self.scores * weights, weights)


def laboratories(
    one: Bounded, repeats: int, generator: np.random.Generator, methods: int = 1, apart: float = 0.0
) -> Iterator[MeasuredTwice]:
    """Repeats in blocks that bound memory.

    Args:
        one: what to simulate.
        repeats: how often.
        generator: of all random numbers.
        methods: how many methods are measured; each has effects of its own beside common ones.
        apart: the share of the variance of groups and images that is a method's own.
    """
    images = sum(one.groups)
    step = max(1, AT_ONCE // (images * methods * (one.seeds + 5) * max(one.labels, 1)))
    weights = np.array(one.groups, dtype=float)[:, None]
    for start in range(0, repeats, step):
        count = min(step, repeats - start)
        held = _test_set(one, count, methods, apart, generator)
        own = _scores(one, held, one.seeds, generator)
        if not one.same_images:
            held = _test_set(one, count, methods, apart, generator)
        other = _scores(one, held, 5, generator)
        means = 100 * (other * weights).sum(axis=(-2, -1)).mean(axis=-1) / weights.sum()
        yield MeasuredTwice(own, weights, means)


def _test_set(
    one: Bounded, count: int, methods: int, apart: float, generator: np.random.Generator
) -> tuple[Array, NDArray[np.bool_]]:
    """The effects of images `[repeats, methods, images, labels]`, and which are missed."""
    draw = generator.standard_normal
    labels = max(one.labels, 1)
    group = np.repeat(np.arange(len(one.groups)), one.groups)

    def effects(sd: float, n: int) -> Array:
        common, own = draw((count, 1, n, labels)), draw((count, methods, n, labels))
        return sd * (np.sqrt(1 - apart) * common + np.sqrt(apart) * own)

    of_groups = effects(one.group, len(one.groups))[:, :, group]
    of_images = of_groups + effects(one.image, len(group)) if one.image else of_groups
    if one.labels:  # a label is right where its effects and an error of its own are above 0
        of_images = of_images + draw(of_images.shape)
    return of_images, generator.random((count, methods, len(group), 1)) < one.zeros


def _scores(
    one: Bounded, held: tuple[Array, NDArray[np.bool_]], seeds: int, generator: np.random.Generator
) -> Array:
    """The mean score of each group `[repeats, methods, seeds, groups, 1]`, between 0 and 1."""
    effects, missed = held
    count, methods, _, labels = effects.shape
    draw = generator.standard_normal
    sizes = np.array(one.groups)
    group = np.repeat(np.arange(len(sizes)), sizes)
    of_seed = one.seed * draw((count, methods, seeds, 1, 1))
    of_seed -= one.loss * (generator.random(of_seed.shape) < one.collapse)
    crossed = one.seed_group * draw((count, methods, seeds, len(sizes), labels))
    latent = of_seed + crossed[:, :, :, group] + effects[:, :, None]
    if one.seed_image:
        latent += one.seed_image * draw(latent.shape)
    if one.labels:
        spread = np.sqrt(1 + one.group**2 + one.image**2 + one.seed_image**2 + one.seed_group**2)
        score = (latent + ndtri(one.level / 100) * spread > 0).mean(axis=-1)
    else:
        curve = expit(np.log(one.level / (100 - one.level)) + latent[..., 0])
        score = np.where(missed[:, :, None, :, 0], 0.0, curve)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return (np.add.reduceat(score, starts, axis=-1) / sizes)[..., None]
