"""Every native recipe of config.yaml trains its own network: a step of its loss on its options."""

import pytest
import torch

from tests.baselines.methods import CONFIG, size_at_least
from workflow.config.load import load_config
from workflow.data.images import DeviceImages
from workflow.networks.build import build_network
from workflow.training.loop import Splits, Trainer

NATIVE = [name for name, entry in CONFIG.methods.items() if entry.native]


def images(count, size, lesions, labels):
    generator = torch.Generator().manual_seed(7)
    return DeviceImages(
        images=torch.randint(
            0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator
        ),
        masks=torch.randint(
            0, lesions + 1, (count, size, size), dtype=torch.uint8, generator=generator
        ),
        # Every label occurs, and two of them together.
        labels=(torch.arange(count)[:, None] % labels == torch.arange(labels)).float()
        + torch.eye(count, labels).roll(1, 1).where(torch.arange(count)[:, None] < 1, 0),
        scale=255.0,
    )


@pytest.mark.parametrize("name", NATIVE)
def test_a_native_recipe_takes_a_step_and_validates(name):
    native = {
        "preset": "paper",
        "methods": {name: {"recipe": "native", "pretraining": None}},
        "training": {"threads": 1},
    }
    config = load_config(overrides=native)
    entry = config.methods[name]
    assert entry.recipe == "native"
    size = size_at_least(name, 64)
    training = config.training_for("retouch_cirrus", name)
    training = training.model_copy(update={"batch_size": 2, "max_steps": 1, "patience": None})
    trainer = Trainer(
        lambda: build_network(entry, image_size=size, n_seg=3, n_cls=3),
        Splits(images(4, size, 3, 3), images(2, size, 3, 3)),
        training,
        seed=0,
        precision=torch.float32,
        validation_batch=2,
    )
    before = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    (line,) = trainer.run(lambda *_: None).history
    # The authors' rate at its first step, whatever warm-up or decay of theirs follows.
    assert 0 < line.learning_rate <= training.learning_rate
    assert line.train_loss > 0
    after = trainer.model.state_dict()
    trained = [key for key, _ in trainer.model.named_parameters()]
    assert any(not torch.equal(before[key], after[key]) for key in trained)
    assert all(after[key].isfinite().all() for key in trained)
