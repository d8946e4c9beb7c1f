"""Evaluation of a tiny network on tiny data: what is saved is what the network says."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import confusion_matrix
from torch import nn

from resformer.prediction import Prediction
from workflow.base.digests import recorded
from workflow.config import paths
from workflow.data.arrays import load_arrays
from workflow.data.images import to_device
from workflow.evaluation import evaluate
from workflow.evaluation.evaluate import evaluate_seeds, predict
from workflow.metrics.counts_file import SCHEMA

TASKS = {
    "unetpp": ("segmentation",),
    "efficientnet": ("classification",),
    "resformer_seq": ("segmentation", "classification"),
}


class Tiny(nn.Module):
    """One convolution for each task, with batch norm and dropout to tell training from use."""

    def __init__(self, n_seg, n_cls):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.5))
        self.segmentation = None if n_seg is None else nn.Conv2d(8, n_seg + 1, 1)
        self.classification = None if n_cls is None else nn.Linear(8, n_cls)

    def forward(self, image):
        features = self.stem(image - image.mean(dim=(1, 2, 3), keepdim=True))
        pooled = features.mean(dim=(2, 3))
        return Prediction(
            None if self.segmentation is None else self.segmentation(features),
            None if self.classification is None else self.classification(pooled),
        )


def network(config, dataset, method, seed):
    torch.manual_seed(seed)
    definition, tasks = config.datasets[dataset], TASKS[method]
    model = Tiny(
        len(definition.lesions) if "segmentation" in tasks else None,
        len(definition.labels) if "classification" in tasks else None,
    )
    with torch.no_grad():
        model.stem[0].bias.zero_()
        model.stem[1].running_var.fill_(1e-3)
        if model.segmentation is not None:
            model.segmentation.bias.zero_()
    return model.eval()


@pytest.fixture
def evaluated(tiny_config, monkeypatch):
    """Saves weights of each seed, evaluates them and returns what the network itself says."""

    def run(dataset, method, *seeds):
        for seed in seeds:
            folder = paths.run(tiny_config, dataset, method, seed)
            folder.mkdir(parents=True)
            save_file(
                network(tiny_config, dataset, method, seed).state_dict(),
                folder / "weights.safetensors",
            )
        monkeypatch.setattr(
            evaluate, "build_method", lambda config, *names: network(config, *names, seed=99)
        )
        evaluate_seeds(tiny_config, dataset, method, *map(str, seeds))
        return [paths.evaluation(tiny_config, dataset, method, seed) for seed in seeds]

    return run


def answers(config, dataset, method, seed):
    """The network's outputs for all test images at once, from the arrays themselves."""
    arrays = load_arrays(config, dataset, "test")
    pixels = torch.from_numpy(np.array(arrays.images)).float() / 255
    pixels = pixels.movedim(-1, 1) if pixels.ndim == 4 else pixels[:, None].repeat(1, 3, 1, 1)
    with torch.no_grad():
        return arrays, network(config, dataset, method, seed)(pixels)


@pytest.mark.parametrize("dataset", ["isic2017", "retouch_spectralis"])
def test_counts_and_logits_are_those_of_the_network(tiny_config, evaluated, dataset):
    (folder,) = evaluated(dataset, "resformer_seq", 0)
    table = pq.read_table(folder / "counts.parquet")
    index = pq.read_table(paths.prepared(tiny_config, dataset) / "test" / "index.parquet")
    definition = tiny_config.datasets[dataset]
    assert table.schema.equals(SCHEMA, check_metadata=True)
    arrays, prediction = answers(tiny_config, dataset, "resformer_seq", 0)
    found = prediction.segmentation.argmax(dim=1).numpy()
    assert len(np.unique(found)) > 1, "a constant prediction would test nothing"

    rows = table.to_pylist()
    pixels, labels = (
        [row for row in rows if row["task"] == task] for task in ("segmentation", "classification")
    )
    ids, groups = index["id"].to_pylist(), index["group"].to_pylist()
    expected = [(i, g, n) for i, g in zip(ids, groups, strict=True) for n in definition.lesions]
    assert [(row["id"], row["group"], row["name"]) for row in pixels] == expected
    for row, (image, k) in zip(pixels, np.ndindex(len(ids), len(definition.lesions)), strict=True):
        true, called = (m[image].ravel() == k + 1 for m in (arrays.masks, found))
        (tn, fp), (fn, tp) = confusion_matrix(true, called, labels=[False, True])
        assert [row["tp"], row["fp"], row["fn"], row["tn"]] == [tp, fp, fn, tn]
        assert {row[name] for name in ("target", "logit", "hd95", "asd")} == {None}

    expected = [(i, g, n) for i, g in zip(ids, groups, strict=True) for n in definition.labels]
    assert [(row["id"], row["group"], row["name"]) for row in labels] == expected
    assert [row["target"] for row in labels] == arrays.labels.ravel().tolist()
    logits = prediction.classification.flatten().tolist()
    assert [row["logit"] for row in labels] == pytest.approx(logits, rel=1e-4, abs=1e-5)
    assert {row["tp"] for row in labels} == {None}


def test_saved_masks_are_the_networks_classes(tiny_config, evaluated):
    (folder,) = evaluated("retouch_spectralis", "unetpp", 0)
    masks = np.load(folder / "masks.npz")["masks"]
    _, prediction = answers(tiny_config, "retouch_spectralis", "unetpp", 0)
    assert masks.dtype == np.uint8
    np.testing.assert_array_equal(masks, prediction.segmentation.argmax(dim=1))


@pytest.mark.parametrize("method", TASKS)
def test_only_the_tasks_that_a_method_does_are_saved(evaluated, method):
    (folder,) = evaluated("isic2017", method, 0)
    table = pq.read_table(folder / "counts.parquet")
    assert set(table["task"].to_pylist()) == set(TASKS[method])
    rows = {"segmentation": 1, "classification": 3}
    assert table.num_rows == 6 * sum(rows[task] for task in TASKS[method])
    with np.load(folder / "masks.npz") as saved:
        assert list(saved) == (["masks"] if "segmentation" in TASKS[method] else [])


def test_each_seed_has_its_own_weights(tiny_config, evaluated):
    folders = evaluated("isic2017", "resformer_seq", 3, 4)
    for seed, folder in zip((3, 4), folders, strict=True):
        _, prediction = answers(tiny_config, "isic2017", "resformer_seq", seed)
        masks = np.load(folder / "masks.npz")["masks"]
        np.testing.assert_array_equal(masks, prediction.segmentation.argmax(dim=1))
        assert folder.name == f"seed{seed}"
    first, second = (np.load(folder / "masks.npz")["masks"] for folder in folders)
    assert not np.array_equal(first, second)


def test_a_seed_evaluated_alone_gives_the_same_bytes(tiny_config, evaluated):
    folders = evaluated("isic2017", "resformer_seq", 3, 4)
    together = [pq.read_table(folder / "counts.parquet") for folder in folders]
    evaluate_seeds(tiny_config, "isic2017", "resformer_seq", "4")
    assert pq.read_table(folders[1] / "counts.parquet").equals(together[1])


def test_images_are_scored_for_what_their_reference_allows(tiny_config, tiny_tree, evaluated):
    folder = paths.prepared(tiny_config, "isic2017")
    (tiny_config.results / "data").unlink()
    for file in (tiny_tree / folder).rglob("test/*"):
        target = folder / "test" / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    index = pq.read_table(folder / "test" / "index.parquet").to_pandas()
    index["score_segmentation"] = [True, False, True, False, False, False]
    index["score_classification"] = [False, True, False, False, False, True]
    with recorded(folder / "test" / "index.parquet") as file:
        index.to_parquet(file, index=False)
    (saved,) = evaluated("isic2017", "resformer_seq", 0)
    rows = pq.read_table(saved / "counts.parquet").to_pylist()
    ids = index["id"]
    assert [r["id"] for r in rows if r["task"] == "segmentation"] == [ids[0], ids[2]]
    labels = [r for r in rows if r["task"] == "classification"]
    assert [r["id"] for r in labels] == [ids[1]] * 3 + [ids[5]] * 3
    arrays, prediction = answers(tiny_config, "isic2017", "resformer_seq", 0)
    assert [r["target"] for r in labels] == arrays.labels[[1, 5]].ravel().tolist()
    logits = prediction.classification[[1, 5]].flatten().tolist()
    assert [r["logit"] for r in labels] == pytest.approx(logits, rel=1e-4, abs=1e-5)
    # The browser of images shows every prediction, scored or not.
    assert len(np.load(saved / "masks.npz")["masks"]) == 6


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_size_of_a_batch_changes_no_prediction(tiny_config, batch_size):
    arrays = load_arrays(tiny_config, "isic2017", "test")
    images = to_device(arrays, "unit", torch.device("cpu"))
    model = network(tiny_config, "isic2017", "resformer_seq", 0)
    masks, logits, finite = predict(model, images, batch_size, torch.float32)
    _, expected = answers(tiny_config, "isic2017", "resformer_seq", 0)
    assert torch.equal(masks, expected.segmentation.argmax(dim=1).to(torch.uint8))
    torch.testing.assert_close(logits, expected.classification, atol=1e-5, rtol=1e-4)
    assert (masks.shape, logits.shape) == ((6, 32, 32), (6, 3))
    assert finite.tolist() == [True] * 6


@pytest.mark.parametrize(("normalize", "scale"), [("unit", 255.0), ("none", 1.0)])
def test_pixels_reach_the_network_in_the_configured_scale(tiny_config, normalize, scale):
    for dataset in ("isic2017", "retouch_spectralis"):
        arrays = load_arrays(tiny_config, dataset, "test")
        images = to_device(arrays, normalize, torch.device("cpu"))
        pixels, masks, labels = images.batch(torch.tensor([2, 0]))
        assert pixels.shape == (2, 3, 32, 32)
        assert (pixels.dtype, masks.dtype, labels.dtype) == (
            torch.float32,
            torch.int64,
            torch.float32,
        )
        raw = torch.from_numpy(np.array(arrays.images[[2, 0]])).float() / scale
        expected = raw.movedim(-1, 1) if raw.ndim == 4 else torch.stack([raw] * 3, dim=1)
        assert torch.equal(pixels, expected)
        assert torch.equal(masks, torch.from_numpy(arrays.masks[[2, 0]].astype(np.int64)))
        assert labels.tolist() == arrays.labels[[2, 0]].tolist()
        assert len(images) == len(arrays.images)
