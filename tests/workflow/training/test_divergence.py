"""A run that is no longer finite stops with its last good weights, and says where and why."""

import math

import pytest
import torch
from torch import nn

from tests.workflow.training.test_loop import Small, protocol, trainer
from workflow.training.divergence import Divergence, TrainingDiverged, Watch
from workflow.training.losses import LossParts
from workflow.training.optimisers import make_stepper


class Breaking(Small):
    """Breaks at its fourth training step (the first of epoch 2): in the loss, or in a gradient."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.seen = how, 0

    def forward(self, image):
        prediction = super().forward(image)
        self.seen += self.training
        if self.seen != 4 or not self.training:
            return prediction
        segmentation, classification = prediction.segmentation, prediction.classification
        if self.how == "loss":
            return prediction._replace(segmentation=segmentation * math.nan)
        classification.register_hook(lambda gradient: gradient * math.inf)
        return prediction._replace(classification=classification)


@pytest.mark.parametrize("how", ["loss", "gradient"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop", "multi_adaptive"])
def test_a_run_stops_at_the_step_with_the_weights_before_it(how, optimizer) -> None:
    made = trainer(0, build=lambda: Breaking(how), optimizer=optimizer)
    before: list[dict] = []
    inner = made.stepper.step

    def watched(loss, rate):
        before.append({k: v.detach().clone() for k, v in made.model.named_parameters()})
        inner(loss, rate)

    made.stepper.step = watched
    with pytest.raises(TrainingDiverged, match=r"epoch 2, step 4.*learning_rate") as caught:
        made.run(lambda *_: None)
    found = caught.value.divergence
    assert (found.epoch, found.step) == (2, 4)
    assert found.learning_rate < made.training.learning_rate
    if how == "loss":
        assert found.loss is None
        assert found.tensors[0] == "loss"
    else:
        assert found.loss is not None
        assert "loss" not in found.tensors
        assert {"classify.weight", "classify.bias"} <= set(found.tensors)
        assert "segment.weight" not in found.tensors
    assert len(made.progress.history) == 1
    assert made.progress.step == 3
    for name, value in made.model.named_parameters():
        assert torch.equal(value, before[3][name]), name


def test_a_validation_that_is_not_finite_ends_the_run_too() -> None:
    class Validates(Small):
        def forward(self, image):
            prediction = super().forward(image)
            return prediction if self.training else prediction._replace(
                classification=prediction.classification * math.nan
            )  # fmt: skip

    with pytest.raises(TrainingDiverged) as caught:
        trainer(0, build=Validates).run(lambda *_: None)
    assert caught.value.divergence.tensors == ["validation loss"]
    assert caught.value.divergence.epoch == 1


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "multi_adaptive"])
def test_where_nobody_waits_fused_optimisers_stand_still_from_the_first_bad_step(optimizer) -> None:
    # What a GPU does, on the CPU: the answer is asked for later.
    weights = nn.Parameter(torch.tensor([1.0, 2.0]))
    stepper = make_stepper([weights], protocol(optimizer=optimizer))
    watch = stepper.watch = Watch([("weights", weights)], torch.device("cpu"), waits=False)
    kept = []
    for step, factor in enumerate([1.0, 1.0, math.nan, 1.0, math.inf]):
        loss = (weights.square() * factor).sum()
        watch.begin(step, loss)
        stepper.step(LossParts(loss, loss, loss * 2), 0.1)
        kept.append(weights.detach().clone())
    assert not torch.equal(kept[0], kept[1])
    assert all(torch.equal(kept[1], later) for later in kept[2:])
    assert watch.result() == (2, None, ["loss", "weights"])


def test_a_watch_that_saw_nothing_bad_has_no_result() -> None:
    weights = nn.Parameter(torch.ones(3))
    watch = Watch([("weights", weights)], torch.device("cpu"), waits=True)
    watch.begin(0, torch.tensor(1.0))
    assert not watch.look([weights])  # no gradient yet
    weights.grad = torch.full((3,), 1e10)
    assert not watch.look([weights])
    assert watch.result() is None


def test_the_record_is_what_run_json_says() -> None:
    record = Divergence(3, 17, None, 0.003, ["loss", "head.weight", "head.bias"]).record()
    assert record["kind"] == "diverged"
    assert "loss and 2 more" in record["message"]
    assert "gradient_clip" in record["message"]
    assert {"epoch": 3, "step": 17, "loss": None, "learning_rate": 0.003}.items() <= record.items()
