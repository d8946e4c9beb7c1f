"""Failed runs at evaluation: empty files with the reason, and the other seeds go on."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from resformer.prediction import Prediction
from workflow.config import paths
from workflow.config.cells import Run
from workflow.evaluation import evaluate
from workflow.evaluation.evaluate import evaluate_seeds
from workflow.metrics.counts_file import SCHEMA, write_failed_counts_file
from workflow.metrics.failures import failure, failures
from workflow.metrics.metrics import collect, collect_ratios, per_class
from workflow.metrics.saved import read_counts, read_runs

RUN = Run("isic2017", "resformer_seq")
DIVERGED = {"kind": "diverged", "message": "diverged at epoch 1, step 2", "loss": None}


class Answers(nn.Module):
    """The same answers for every image, but that `wrong` is added to one of the first in a batch.

    Args:
        task: which answers it is added to.
    """

    def __init__(self, task="classification"):
        super().__init__()
        self.wrong, self.task = nn.Parameter(torch.zeros(())), task

    def forward(self, image):
        masks = torch.zeros(len(image), 2, *image.shape[-2:], dtype=image.dtype)
        masks[:, 1, :8] = 1
        labels = torch.ones(len(image), 3)
        answers = {"segmentation": masks, "classification": labels}
        answers[self.task].flatten(1)[:1, 1] += self.wrong
        return Prediction(answers["segmentation"], answers["classification"])


@pytest.fixture
def config(tiny_config, monkeypatch):
    """Three seeds; the weights of each say what goes wrong."""
    monkeypatch.setattr(evaluate, "build_method", lambda *_: Answers())
    return tiny_config.model_copy(update={"seeds": [0, 1, 2]})


def write(config, seed, wrong=0.0, **record):
    folder = paths.run(config, *RUN, seed)
    folder.mkdir(parents=True)
    save_file({"wrong": torch.tensor(wrong)}, folder / "weights.safetensors")
    (folder / "run.json").write_text(json.dumps(record))


def saved(config, seed):
    folder = paths.evaluation(config, *RUN, seed)
    with np.load(folder / "masks.npz") as masks:
        return pq.read_table(folder / "counts.parquet"), list(masks)


def check(config, why, capfd):
    """Seed 1 failed with this reason, seeds 0 and 2 gave their numbers."""
    assert f"isic2017 resformer_seq seed 1: no results, failed: {why}" in capfd.readouterr().err
    table, masks = saved(config, 1)
    assert (table.num_rows, masks) == (0, [])
    assert table.schema.equals(SCHEMA, check_metadata=False)
    assert failures(config, RUN) == {1: why}
    for seed in (0, 2):
        table, masks = saved(config, seed)
        assert (table.num_rows, masks) == (6 * (1 + 3), ["masks"])
    ((_, seeds),) = read_runs(config, [RUN])
    assert list(seeds) == [0, 2]
    assert set(collect(config, [RUN])["seed"]) == {0, 2}
    assert set(per_class(config, [RUN])["seed"]) == {0, 2}
    assert {ratios.seeds for ratios in collect_ratios(config, [RUN])[RUN].values()} == {(0, 2)}
    # Its state is of no more use, either.
    assert not paths.state(config, *RUN, 1).exists()


def test_a_run_that_failed_in_training_is_not_evaluated(config, capfd):
    for seed in (0, 1, 2):
        write(config, seed, failure=DIVERGED if seed == 1 else None)
    paths.state(config, *RUN, 1).mkdir(parents=True)
    evaluate_seeds(config, *RUN, "0", "1", "2")
    check(config, "diverged at epoch 1, step 2", capfd)


@pytest.mark.parametrize("task", ["segmentation", "classification"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_answers_that_are_not_finite_are_a_failed_run(config, monkeypatch, capfd, task, value):
    monkeypatch.setattr(evaluate, "build_method", lambda *_: Answers(task))
    evaluation = config.evaluation.model_copy(update={"batch_size": 4})
    config = config.model_copy(update={"evaluation": evaluation})
    for seed in (0, 1, 2):
        write(config, seed, value if seed == 1 else 0.0)
    evaluate_seeds(config, *RUN, "0", "1", "2")
    index = paths.prepared(config, RUN.dataset) / "test" / "index.parquet"
    first = pq.read_table(index)["id"][0].as_py()
    # One image of each of the two batches.
    why = (
        f"the network's answers to 2 of 6 test images (the first is {first}) are not finite; lower "
        "training.learning_rate for this method, or set training.precision to float32"
    )
    check(config, why, capfd)


def test_when_all_seeds_failed_there_are_no_numbers(config):
    for seed in (0, 1, 2):
        write(config, seed, failure=DIVERGED)
    evaluate_seeds(config, *RUN, "0", "1", "2")
    assert collect(config, [RUN]).empty
    assert collect_ratios(config, [RUN]) == {}
    assert list(failures(config, RUN)) == [0, 1, 2]


def test_a_run_that_is_trained_again_has_not_failed(config):
    write(config, 0, failure=DIVERGED)
    evaluate_seeds(config, *RUN, "0")
    (paths.run(config, *RUN, 0) / "run.json").write_text("{}")
    evaluate_seeds(config, *RUN, "0")
    assert failure(config, RUN, 0) == ""
    assert saved(config, 0)[0].num_rows == 24


def test_what_is_no_failure(config):
    assert failure(config, RUN, 0) == ""  # nothing was run
    write(config, 0)
    assert failure(config, RUN, 0) == ""  # trained, not evaluated
    file = paths.evaluation(config, *RUN, 0) / "counts.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"damaged")
    assert failure(config, RUN, 0) == ""  # whoever reads its numbers refuses it


def test_the_file_of_a_failed_run_reads_as_one_without_rows(tmp_path):
    path = tmp_path / "counts.parquet"
    write_failed_counts_file(path, "it diverged: ∞")
    assert read_counts(path) == (None, None)
    assert pq.read_schema(path).metadata[b"failure"].decode() == "it diverged: ∞"
