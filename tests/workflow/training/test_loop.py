"""The training loop: same seed, same bits; the checkpoint that validates best; honest failure."""

import math

import pytest
import torch
from torch import nn

from resformer.prediction import Prediction
from workflow.config.load import load_config
from workflow.config.training import overlaid
from workflow.data.images import DeviceImages
from workflow.networks.device import computing
from workflow.training.augmentation import draw_motions
from workflow.training.loop import Splits, Trainer, Validation, shuffled, stream
from workflow.training.progress import Epoch
from workflow.training.schedule import learning_rate
from workflow.training.state.record import weights_hash

SIZE, LESIONS, LABELS = 16, 2, 3


class Small(nn.Module):
    """Convolution, batch norm and dropout: every kind of state and randomness a network has."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2)
        )
        self.segment = nn.Conv2d(8, LESIONS + 1, 1)
        self.classify = nn.Linear(8, LABELS)

    def forward(self, image: torch.Tensor) -> Prediction:
        features = self.body(image)
        return Prediction(self.segment(features), self.classify(features.mean(dim=(2, 3))))


def images(count: int, seed: int) -> DeviceImages:
    """Bright squares of two brightnesses on a dark ground: learnable in a few steps."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(count, SIZE, SIZE, dtype=torch.uint8)
    labels = torch.zeros(count, LABELS)
    for i in range(count):
        lesion = i % LESIONS + 1
        x, y = torch.randint(2, 8, (2,), generator=generator).tolist()
        masks[i, y : y + 6, x : x + 6] = lesion
        labels[i, lesion - 1] = 1
    labels[0, 2] = 1
    noise = torch.randint(0, 30, (count, 1, SIZE, SIZE), generator=generator)
    return DeviceImages((masks.unsqueeze(1) * 100 + noise).to(torch.uint8), masks, labels, 255.0)


def protocol(**changes):
    small = {"epochs": 3, "max_steps": None, "batch_size": 4, "learning_rate": 0.01, "threads": 1}
    return overlaid(load_config().training, {**small, **changes})


def trainer(seed: int = 0, build=Small, **changes) -> Trainer:
    splits = Splits(images(13, 1), images(6, 2))
    return Trainer(
        build,
        splits,
        protocol(**changes),
        seed=seed,
        precision=torch.float32,
        validation_batch=4,
    )


def one_step(made: Trainer) -> torch.Tensor:
    """A step on the first four images, none of them moved."""
    (batch,) = made.splits.train.batches([torch.arange(4)])
    still = made.training.augmentation.model_copy(
        update={"rotation": 0.0, "horizontal_flip": 0.0, "vertical_flip": 0.0}
    )
    motions = draw_motions(4, torch.Size([SIZE, SIZE]), still, torch.Generator())
    return made.step(0, batch, motions)


def run(seed: int = 0, **changes):
    made = trainer(seed, **changes)
    with computing(made.training):
        return made.run(lambda *_: None)


def facts(history: list[Epoch]) -> list[tuple]:
    """A history without its seconds."""
    return [tuple(v for k, v in vars(line).items() if k != "seconds") for line in history]


def test_same_seed_same_bits() -> None:
    first, second = run(3), run(3)
    assert weights_hash(first.weights) == weights_hash(second.weights)
    assert facts(first.history) == facts(second.history)


def test_a_seed_after_others_is_the_same_as_alone() -> None:
    alone = weights_hash(run(2).weights)
    pack = [weights_hash(run(seed).weights) for seed in (0, 1, 2)]
    assert pack[2] == alone
    assert len(set(pack)) == 3


def test_what_the_caller_did_with_random_numbers_does_not_matter() -> None:
    first = weights_hash(run(0).weights)
    torch.manual_seed(99)
    torch.rand(7)
    assert weights_hash(run(0).weights) == first


def test_it_learns() -> None:
    trained = run(0, epochs=40, learning_rate=0.03)
    assert trained.history[-1].val_loss < trained.history[0].val_loss / 2
    assert trained.history[-1].val_ji > 0.9


def test_steps_epochs_and_rates_are_those_of_the_protocol() -> None:
    # 13 images in batches of 4: three whole batches; the last, of one image, is left out.
    history = run(0, epochs=3).history
    assert [(line.epoch, line.steps) for line in history] == [(1, 3), (2, 6), (3, 9)]
    assert history[-1].learning_rate == learning_rate(8, 9, 3, protocol())


def test_max_steps_ends_a_run_inside_an_epoch() -> None:
    history = run(0, epochs=10, max_steps=4).history
    assert [(line.epoch, line.steps) for line in history] == [(1, 3), (2, 4)]


def test_every_image_is_seen_once_an_epoch() -> None:
    seen: list[int] = []
    made = trainer(0, batch_size=2, epochs=1)

    class Watching(DeviceImages):
        def batches(self, parts):
            for rows in parts:
                seen.extend(rows.tolist())
                yield from super().batches([rows])

    train = made.splits.train
    made.splits = Splits(
        Watching(train.images, train.masks, train.labels, train.scale), made.splits.val
    )
    made.run(lambda *_: None)
    assert len(seen) == len(set(seen)) == 12


@pytest.mark.parametrize(
    ("checkpoint", "values", "best"),
    [
        ("loss", [(0.5, 0.1), (0.3, 0.2), (0.4, 0.9)], 2),
        ("ji", [(0.5, 0.1), (0.3, 0.2), (0.4, 0.9)], 3),
        ("dsc", [(0.5, 0.1), (0.3, 0.2), (0.4, 0.9)], 1),
        ("loss", [(0.3, 0.1), (0.3, 0.9), (0.3, 0.5)], 1),  # a tie goes to the earlier epoch
        ("ji", [(0.5, math.nan), (0.3, math.nan), (0.4, math.nan)], 2),  # no lesion: by loss
        ("dsc", [(0.5, math.nan), (0.3, math.nan), (0.4, math.nan)], 2),
    ],
)
def test_the_checkpoint_kept_is_the_one_that_validates_best(checkpoint, values, best) -> None:
    made, kept = trainer(0, checkpoint=checkpoint), []
    answers = iter(values)

    def validate():
        kept.append({k: v.clone() for k, v in made.model.state_dict().items()})
        loss, jaccard = next(answers)
        # Dice ranks epochs as Jaccard does; here it is turned around to tell them apart.
        return Validation(loss, jaccard, 1 - jaccard)

    made.validate = validate
    trained = made.run(lambda *_: None)
    assert trained.best.epoch == best
    assert weights_hash(trained.weights) == weights_hash(kept[best - 1])


def test_clipping_bounds_the_step_and_none_leaves_it() -> None:
    norms = {}
    for clip in (None, 1e-3):
        made = trainer(0, gradient_clip=clip)
        made.model.train()
        one_step(made)
        gradients = [p.grad for p in made.model.parameters()]
        norms[clip] = torch.cat([g.flatten() for g in gradients]).norm().item()
    assert norms[None] > 1e-2
    assert norms[1e-3] == pytest.approx(1e-3, rel=1e-3)


def test_a_single_task_leaves_the_other_out_of_the_loss() -> None:
    class Segmenter(Small):
        def forward(self, image):
            return super().forward(image)._replace(classification=None)

    line = run(0, build=Segmenter).history[0]
    assert line.train_loss_classification == 0
    assert line.train_loss == pytest.approx(line.train_loss_segmentation)


def test_random_streams_are_apart() -> None:
    names = ("order", "motion", "pairs")
    streams = {stream(s, name, epoch) for s in range(50) for name in names for epoch in range(50)}
    assert len(streams) == 7500
    assert all(0 <= stream(2**60, name, 99) < 2**63 for name in names)


def test_each_epoch_has_an_order_and_motions_of_its_own() -> None:
    made = trainer(0)
    (order, motions), (next_order, next_motions) = made._plan(1), made._plan(2)
    assert not torch.equal(torch.cat(order), torch.cat(next_order))
    assert not torch.equal(motions, next_motions)
    assert torch.equal(motions, made._plan(1)[1])


@pytest.mark.parametrize(
    ("patience", "patience_from", "last"),
    [(None, 0, 9), (1, 0, 3), (2, 0, 4), (3, 0, 9), (2, 3, 8), (1, 6, 7), (1, 7, 8), (2, 8, 9)],
)
def test_patience_ends_a_run_that_no_longer_validates_better(patience, patience_from, last) -> None:
    made = trainer(0, epochs=9, patience=patience, patience_from=patience_from)
    # The best so far comes at epochs 1, 2, 5 and 6.
    answers = iter([0.9, 0.8, 0.9, 0.9, 0.7, 0.6, 0.9, 0.9, 0.9])
    made.validate = lambda: Validation(next(answers), math.nan, math.nan)
    assert made.run(lambda *_: None).history[-1].epoch == last


class TestShuffledLabels:
    def test_every_image_gets_the_mask_and_the_labels_of_one_other(self) -> None:
        count = 40
        numbers = torch.arange(count)
        known = DeviceImages(
            numbers.to(torch.uint8).view(-1, 1, 1, 1),
            numbers.to(torch.uint8).view(-1, 1, 1),
            numbers.float().unsqueeze(1),
            255.0,
        )
        mixed = shuffled(known, seed=4)
        assert torch.equal(mixed.images, known.images)
        assert torch.equal(mixed.masks.flatten().float(), mixed.labels.flatten())
        assert sorted(mixed.labels.flatten().tolist()) == numbers.tolist()
        assert not (mixed.labels.flatten() == numbers).any()
        assert torch.equal(shuffled(known, seed=4).masks, mixed.masks)
        assert not torch.equal(shuffled(known, seed=5).masks, mixed.masks)

    def test_only_training_images_are_shuffled(self) -> None:
        plain, mixed = trainer(0), trainer(0, shuffle_labels=True)
        assert torch.equal(plain.splits.train.images, mixed.splits.train.images)
        assert not torch.equal(plain.splits.train.masks, mixed.splits.train.masks)
        for part in ("images", "masks", "labels"):
            there = getattr(plain.splits.val, part), getattr(mixed.splits.val, part)
            assert torch.equal(*there)
        # Everything but the pairing is the same run.
        assert torch.equal(plain.class_weights, mixed.class_weights)
        for one, other in zip(plain._plan(2)[0], mixed._plan(2)[0], strict=True):
            assert torch.equal(one, other)

    def test_what_could_be_learned_from_pairs_is_gone(self) -> None:
        changes = {"epochs": 40, "learning_rate": 0.03}
        learned, not_learned = run(0, **changes), run(0, shuffle_labels=True, **changes)
        assert not_learned.history[-1].train_loss > 1.3 * learned.history[-1].train_loss
        assert not_learned.history[-1].val_loss > 1.5 * learned.history[-1].val_loss
