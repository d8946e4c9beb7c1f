"""Native recipes: what the record says, resolved, and trained for two steps on a tiny network."""

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from scipy.special import expit
from test_loop import LABELS, LESIONS, Small, images
from torch import nn

from resformer.prediction import Prediction
from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.config.errors import merge
from workflow.config.load import load_config, load_raw, resolve
from workflow.data.arrays import load_arrays
from workflow.evaluation import evaluate
from workflow.evaluation.evaluate import evaluate_seeds
from workflow.networks.conditional import ConditionalLabels
from workflow.networks.device import computing
from workflow.training import train
from workflow.training.loop import Splits, Trainer
from workflow.training.optimisers import MultiAdaptiveStepper
from workflow.training.schedule import learning_rate
from workflow.training.state.record import weights_hash
from workflow.training.train import train_seeds

NATIVE = [name for name, entry in load_config().methods.items() if entry.native]
SGD = ("sgd", 0.9, 1e-4)
# method -> optimiser, rate, batch size, epochs, schedule, (classification, Dice, cross entropy)
RECORD = {
    "he": ("sgd", 0.01 * 0.95, 16, 120, "exponential", (1, 1, 0)),
    "gende": ("adam", 1e-4, 8, 100, "polynomial", (1, 0.5, 0.5)),
    "hervella": ("multi_adaptive", 1e-4, 8, 100, "polynomial", (1, 0, 1)),
    "tang": ("adamw", 3e-3, 8, 100, "polynomial", (1, 0.5, 0.5)),
    "swinunet": ("sgd", 0.05, 24, 150, "polynomial", (None, 0.6, 0.4)),
    "transunet": ("sgd", 0.01, 24, 150, "polynomial", (None, 0.5, 0.5)),
    "retifluidnet": ("rmsprop", 2e-4, 4, 140, "exponential", (None, None, None)),
    "hiformer": ("sgd", 0.01, 10, 400, "polynomial", (None, 0.6, 0.4)),
    "htcnet": ("adamw", 1e-4, 8, 50, "cosine", (None, 0, 1)),
    "autosmim": ("adam", 5e-3, 10, 100, "cosine", (None, 1.5, 1)),
    "eiunet": ("adam", 1e-3, 8, 150, "restarts", (None, 0.4, 0.6)),
    "msl_srn": ("sgd", 1e-3, 64, 200, "restarts", (1, None, None)),
}


def config(method, recipe="native", **training):
    """The paper's preset with a method's recipe chosen, and common keys over all layers."""
    changes = {"preset": "paper", "methods": {method: {"recipe": recipe}}}
    made = load_config(overrides=changes)
    protocol = made.training_for("isic2017", method)
    return made, protocol.model_copy(update=training)


class Extended(Small):
    """The small network with, in training, the further outputs that RetiFluidNet has."""

    def __init__(self, tasks) -> None:
        super().__init__()
        classes = LESIONS + 1
        self.tasks = tasks
        self.side = nn.ModuleList(nn.Conv2d(8, classes, 1) for _ in range(4))
        self.links = nn.ModuleList(nn.Conv2d(8, 8 * classes, 1) for _ in range(5))

    def forward(self, image):
        segmentation, classification, _ = super().forward(image)
        prediction = Prediction(
            segmentation if "segmentation" in self.tasks else None,
            classification if "classification" in self.tasks else None,
        )
        if not self.training:
            return prediction
        features = self.body(image)
        side = tuple(head(features) for head in self.side)
        links = tuple(head(features).unflatten(1, (LESIONS + 1, 8)) for head in self.links)
        return prediction._replace(auxiliary={"side": side, "connectivity": links})


def trainer(method, **training):
    made, protocol = config(method, threads=1, **training)
    tasks = made.methods[method].tasks

    def build():
        return Extended(tasks) if method == "retifluidnet" else Tasked(tasks)

    splits = Splits(images(13, 1), images(6, 2))
    return Trainer(build, splits, protocol, seed=0, precision=torch.float32, validation_batch=4)


class Tasked(Small):
    """The small network with the tasks of a method."""

    def __init__(self, tasks) -> None:
        super().__init__()
        self.tasks = tasks

    def forward(self, image):
        segmentation, classification, _ = super().forward(image)
        return Prediction(
            segmentation if "segmentation" in self.tasks else None,
            classification if "classification" in self.tasks else None,
        )


def test_every_recipe_is_held_to_the_record_here():
    assert set(RECORD) == set(NATIVE)


@pytest.mark.parametrize("method", RECORD)
def test_a_recipe_is_what_is_on_record(method):
    made, training = config(method)
    optimizer, rate, batch_size, epochs, schedule, weights = RECORD[method]
    assert training.optimizer == optimizer
    assert training.learning_rate == pytest.approx(rate)
    assert (training.batch_size, training.epochs) == (batch_size, epochs)
    assert training.schedule == schedule
    loss = training.loss
    for found, wanted in zip(
        (loss.classification, loss.dice, loss.cross_entropy), weights, strict=True
    ):
        assert wanted is None or found == wanted
    if optimizer == "sgd":
        assert training.momentum == 0.9
    # A single task's loss is not scaled, and neither is that of the masks beside labels.
    assert loss.segmentation == 1
    assert len(made.methods[method].native.source) > 20


@pytest.mark.parametrize("method", ["swinunet", "transunet", "hiformer"])
def test_three_transformers_share_loss_and_optimiser(method):
    _, training = config(method)
    assert (training.optimizer, training.momentum, training.weight_decay) == SGD
    assert (training.power, training.warmup, training.minimum_rate) == (0.9, 0, 0)
    assert (training.loss.dice_form, training.loss.dice_over) == ("squared", "batch")
    assert training.loss.dice_smooth == 1e-5


def test_hes_rate_falls_by_a_twentieth_an_epoch_to_below_one_ten_thousandth():
    _, training = config("he")
    rates = [learning_rate(5 * epoch, 600, 5, training) for epoch in range(120)]
    expected = [0.01 * 0.95 ** max(1, min(epoch, 90)) for epoch in range(1, 121)]
    assert rates == pytest.approx(expected, rel=1e-3)
    assert 0.01 * 0.95**89 > 1e-4 > rates[-1]
    assert (training.patience, training.patience_from, training.checkpoint) == (10, 10, "dsc")
    assert training.loss.classification_form == "conditional"
    assert (training.loss.dice_form, training.loss.dice_over) == ("squared", "image")
    assert training.loss.dice_smooth == (0, 1e-6)


def test_eiunets_four_cosines_fill_its_epochs():
    _, training = config("eiunet")
    rates = [learning_rate(epoch, 150, 1, training) for epoch in range(150)]
    starts = [epoch for epoch, rate in enumerate(rates) if rate == training.learning_rate]
    assert starts == [0, 10, 30, 70]
    assert min(rates) > 1e-5
    assert rates[-1] < 1.2e-5


@pytest.mark.parametrize("method", ["swinunet", "transunet", "hiformer", "htcnet"])
def test_transformers_from_scratch_take_small_steps_in_the_unified_recipe(method):
    _, training = config(method, recipe="unified")
    assert (training.learning_rate, training.warmup) == (3e-4, 0.05)
    assert training.loss == load_config(overrides={"preset": "paper"}).training.loss


def test_other_changes_of_the_unified_recipe():
    _, tang = config("tang", recipe="unified")
    assert (tang.learning_rate, tang.warmup, tang.gradient_clip) == (3e-3, 0.05, 1.0)
    _, autosmim = config("autosmim", recipe="unified")
    assert (autosmim.optimizer, autosmim.learning_rate) == ("adamw", 1e-3)


@pytest.mark.parametrize("method", RECORD)
def test_two_steps_of_every_recipe(method):
    made = trainer(method, max_steps=2)
    before = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    with computing(made.training):
        trained = made.run(lambda *_: None)
    assert trained.history[-1].steps == 2
    assert math.isfinite(trained.history[-1].val_loss)
    moved = [name for name, p in made.model.named_parameters() if not torch.equal(p, before[name])]
    tasks = load_config().methods[method].tasks
    parts = {"segment.": "segmentation", "classify.": "classification", "side.": "segmentation"}
    for part, task in parts.items():
        if part == "side." and method != "retifluidnet":
            continue
        assert any(part in name for name in moved) == (task in tasks), part
    assert any("body" in name for name in moved)


@pytest.mark.parametrize("method", ["he", "hervella", "retifluidnet"])
def test_the_own_machinery_of_a_recipe_gives_the_same_bits_again(method):
    hashes = set()
    for _ in range(2):
        made = trainer(method, max_steps=4, batch_size=4)
        with computing(made.training):
            hashes.add(weights_hash(made.run(lambda *_: None).weights))
    assert len(hashes) == 1


def test_hervellas_and_hes_machinery_is_in_place():
    assert isinstance(trainer("hervella").stepper, MultiAdaptiveStepper)
    model = trainer("he").model
    assert isinstance(model, ConditionalLabels)
    mixture = images(13, 1).labels
    both = (mixture[:, 0] * mixture[:, 2]).sum() / mixture[:, 0].sum()
    assert (LABELS * model.mixture[0, 2]).item() == pytest.approx(both.item())


class Pooled(nn.Module):
    """Labels from the mean colour, with a bias that makes their probabilities differ."""

    def __init__(self, n_cls) -> None:
        super().__init__()
        self.segment = nn.Conv2d(3, 4, 1)
        self.classify = nn.Linear(3, n_cls)

    def forward(self, image):
        return Prediction(self.segment(image), 20 * self.classify(image.mean(dim=(2, 3))))


def test_what_evaluation_thresholds_is_the_mixed_probability(tiny_config, monkeypatch):
    methods = dict(tiny_config.methods)
    methods["he"] = methods["he"].model_copy(update={"recipe": "native"})
    native = tiny_config.model_copy(update={"methods": methods})
    for module in (train, evaluate):
        monkeypatch.setattr(module, "build_method", lambda *_: Pooled(3))
    # Labels of RETOUCH occur together; those of ISIC exclude each other.
    run = ("retouch_spectralis", "he")
    train_seeds(native, *run, "0")
    evaluate_seeds(native, *run, "0")
    weights = load_file(paths.run(native, *run, 0) / "weights.safetensors")
    mixture = weights.pop("mixture")
    assert not torch.allclose(mixture, torch.eye(3))
    network = Pooled(3)
    network.load_state_dict({k.removeprefix("network."): v for k, v in weights.items()})
    pixels = torch.from_numpy(np.array(load_arrays(native, run[0], "test").images)).float() / 255
    with torch.no_grad():
        p = network(pixels[:, None].repeat(1, 3, 1, 1)).classification.sigmoid()
    table = pq.read_table(paths.evaluation(native, *run, 0) / "counts.parquet").to_pandas()
    saved = table.loc[table["task"] == "classification", "logit"].to_numpy().reshape(-1, 3)
    np.testing.assert_allclose(expit(saved), p @ mixture, atol=1e-5)
    assert np.abs(expit(saved) - p.numpy()).max() > 0.01


@pytest.fixture
def _at_the_root(monkeypatch, repo):
    monkeypatch.chdir(repo)


@pytest.mark.usefixtures("_at_the_root")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"he": {"native": {"training": {"optimiser": "sgd"}}}},
            "methods.he.native.training: optimiser: unknown name 'optimiser'; did you mean",
        ),
        (
            {"he": {"native": {"training": {"loss": {"dice_smooth": [1, 0]}}}}},
            "methods.he.native.training: loss.dice_smooth.1: found 0; Input should be greater",
        ),
        (
            {"he": {"native": {"training": {"loss": {"dice_smooth": -1}}}}},
            "methods.he.native.training: loss.dice_smooth: found -1; Input should be greater",
        ),
        (
            {"he": {"native": {"training": {"optimizer": "lion"}}}},
            "methods.he.native.training: optimizer: found 'lion'; Input should be 'adamw', 'adam'",
        ),
        (
            {"vit": {"recipe": "native"}},
            "recipe: found native, but there is no `native` section; use unified",
        ),
        (
            {"unetpp": {"training": {"optimizer": "multi_adaptive"}}},
            "training.optimizer for unetpp: found multi_adaptive, which is for classification and "
            "segmentation; unetpp does segmentation",
        ),
        (
            {"unetpp": {"training": {"loss": {"classification_form": "conditional"}}}},
            "training.loss.classification_form for unetpp: found conditional, which is for class",
        ),
        (
            {"vit": {"training": {"loss": {"segmentation_form": "connectivity"}}}},
            "training.loss.segmentation_form for vit: found connectivity, which is for segm",
        ),
        (
            {"retifluidnet": {"recipe": "native", "native": {"options": {"side_outputs": False}}}},
            "training.loss.segmentation_form for retifluidnet: found connectivity, which is a loss "
            "of RetiFluidNet's side outputs; set options: {side_outputs: true}",
        ),
        (
            {"unetpp": {"training": {"loss": {"dice": 0}}}},
            "one of dice, cross_entropy and focal must be above 0",
        ),
    ],
    ids=str,
)
def test_errors_name_the_key(changes, message):
    with pytest.raises(ConfigError) as caught:
        resolve(merge(load_raw(overrides={"preset": "everything"}), {"methods": changes}))
    assert message in str(caught.value)
