"""Small configurations and result trees, as the other rooms would leave them, for reporting."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.config import paths
from workflow.config.cells import Run, runs
from workflow.config.load import load_raw
from workflow.config.metrics import METRIC_TASK
from workflow.config.model import Config
from workflow.metrics.counts_file import (
    classification_rows,
    segmentation_rows,
    write_counts_file,
)
from workflow.metrics.ratios import Ratios
from workflow.results import printed
from workflow.results.read import results_of

ROOT = Path(__file__).parents[3]
SIZE = 24


def printed_rows():
    with (printed.PUBLISHED / "tables.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def paper_config(controls=False, **changes):
    """Preset paper of config.yaml, with the controls at the foot of its tables or without."""
    raw = load_raw(ROOT / "config.yaml", {"preset": "paper", **changes})
    if not controls:
        for table in raw["tables"].values():
            table.pop("controls", None)
    return Config.model_validate(raw)


def printed_results_frame(seeds):
    """The printed numbers as if each seed had measured them."""
    values = {(r["dataset"], r["method"], r["metric"]): float(r["value"]) for r in printed_rows()}
    return pd.DataFrame(
        [(*key, seed, value, 1) for key, value in values.items() for seed in seeds],
        columns=["dataset", "method", "metric", "seed", "value", "n"],
    )


def small_raw(**changes):
    """Two data sets, four methods, two seeds, two tables and two figures; phantom data."""
    raw = load_raw(ROOT / "config.yaml", {"preset": "everything"})
    # Named relative to the repository, and tests work elsewhere.
    raw["data"] |= {"retouch_record": None, "isic2017_record": None}
    raw["datasets"]["isic2017"]["duplicates"] = None
    sizes = {"multiple_of": 1, "minimum": 1}

    def method(title, *tasks):
        return {"title": title, "module": "baselines.vit", "tasks": tasks, "sizes": sizes}

    both = ("segmentation", "classification")
    raw["methods"] = {
        "resformer_seq": method("Ours - Seq.", *both),
        "resformer_par": method("Ours - Par.", *both),
        "unetpp": method("UNet++", "segmentation"),
        "vit": method("ViT", "classification"),
    }
    raw["datasets"] = {name: raw["datasets"][name] for name in ("retouch_cirrus", "isic2017")}
    for dataset in raw["datasets"].values():
        dataset["image_size"] = SIZE
    rows = [{"title": m["title"], "method": name} for name, m in raw["methods"].items()]
    raw["tables"] = {
        "I": {"kind": "datasets", "caption": "Summary.", "datasets": ["retouch_cirrus"]},
        "IV": {
            "caption": "Segmentation and classification.",
            "mark": "color",
            "columns": [
                {"title": "Segmentation", "dataset": "isic2017", "metrics": ["ji", "dsc"]},
                {"title": "Classification", "dataset": "isic2017", "metrics": ["acc", "sen"]},
            ],
            "rows": rows,
        },
        "VIII": {
            "caption": "Machines.",
            "mark": "bold",
            "compare_within": ["group", "dataset"],
            "columns": [{"title": "Segmentation", "metrics": ["ji"]}],
            "rows": [{"group": "One", "dataset": "retouch_cirrus", **row} for row in rows[:3]],
        },
    }
    segmenting = ["unetpp", "resformer_seq", "resformer_par"]
    figure = {"methods": segmenting, "cases_per_dataset": 2}
    raw["figures"] = {
        "5": {"caption": "Fluids.", "palette": "classes", "datasets": ["retouch_cirrus"], **figure},
        "8": {"caption": "Lesions.", "palette": "errors", "datasets": ["isic2017"], **figure},
    }
    return {**raw, **changes}


def small_config(**changes):
    return Config.model_validate(small_raw(**changes))


def write_data(config, dataset):
    """Prepared arrays of ten images per split, a lesion in all but the first of each."""
    definition, generator = config.datasets[dataset], np.random.default_rng(7)
    channels = (3,) if definition.source == "isic2017" else ()
    folder, count = paths.prepared(config, dataset), 10
    for split in ("train", "val", "test"):
        (folder / split).mkdir(parents=True)
        images = generator.integers(0, 200, (count, SIZE, SIZE, *channels), dtype=np.uint8)
        masks = np.zeros((count, SIZE, SIZE), np.uint8)
        for i in range(1, count):
            masks[i, 6 : 10 + i, 8:16] = 1 + i % len(definition.lesions)
        index = pd.DataFrame(
            {
                "id": [f"{split}-{i:03d}" for i in range(count)],
                "group": [f"volume{i // 3}" for i in range(count)],
                "has_mask": True,
                "score_segmentation": True,
                "score_classification": True,
                "width": 64,
                "height": 48,
                "sha256": "0" * 64,
            }
        )
        for k, label in enumerate(definition.labels):
            index[f"label_{label}"] = np.array([i > 0 and i % 3 == k for i in range(count)], "int8")
        np.save(folder / split / "images.npy", images)
        np.save(folder / split / "masks.npy", masks)
        index.to_parquet(folder / split / "index.parquet", index=False)
    splits = {split: {"images": count, "groups": 4} for split in ("train", "val", "test")}
    manifest = {
        "dataset": dataset,
        "source": definition.source,
        "origin": config.data.origin,
        "image_size": SIZE,
        "lesions": definition.lesions,
        "labels": definition.labels,
        "splits": splits,
        "groups": 12,
        "original_sizes": ["64x48"],
        "split": definition.split,
        "files": {},
        "hash": "c0ffee" * 10,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    write_gates(config, dataset, count)


def write_gates(config, dataset, count, **changes):
    """What the gates of `write_data` would say, with one pair of duplicates."""
    definition = config.datasets[dataset]
    of_split = {
        "images": count,
        "groups": 4,
        "masks": count,
        "positive": dict.fromkeys(definition.labels, (count - 1) // 3),
        "positive_share": 0.3,
        "lesion_pixels": dict.fromkeys(definition.lesions, 0.05),
    }
    found = {
        "dataset": dataset,
        "split": definition.split,
        "prevalence": dict.fromkeys(("train", "val", "test"), of_split),
        "sizes": {"smallest": [64, 48], "largest": [64, 48], "distinct": 1},
        "duplicates": [
            {"a": "train-001", "split_a": "train", "b": "test-002", "split_b": "test",
             "kind": "near", "difference": 0.4, "known": True}
        ],
        "dropped": ["test-002"],
        "leaks": None,
        "empty_masks": None,
        "lost_in_resizing": {},
        "gates": [{"name": "groups in one split", "passed": True, "detail": "12 groups"}],
        **changes,
    }  # fmt: skip
    (paths.prepared(config, dataset) / "gates.json").write_text(json.dumps(found))


def write_run(config, dataset, method, seed, **facts):
    """run.json and history.csv of a finished run."""
    folder = paths.run(config, dataset, method, seed)
    folder.mkdir(parents=True)
    record = {
        "dataset": dataset,
        "method": method,
        "seed": seed,
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "lock_sha256": "10c4" * 16,
        "device": "a processor",
        "precision": "float32",
        "threads": 1,
        "versions": {"python": "3.11", "torch": "2.15.0"},
        "wall_seconds": 1800.0,
        "parameters": 29_201_675,
        "peak_memory_bytes": 1_500_000_000,
        "flops": 11_552_352_144,
        "steps_per_second": 2.5,
        "configuration": {"training": {"batch_size": 8}},
        "best_epoch": 2,
        "best_validation": {"loss": 0.5, "ji": None},
        "initialisation": "random",
        **facts,
    }
    (folder / "run.json").write_text(json.dumps(record))
    names = "epoch,steps,learning_rate,train_loss,val_loss,val_ji,seconds"
    lines = [f"{e},{e * 10},0.003,{1 / e},{1.2 / e},nan,1.0" for e in (1, 2, 3)]
    (folder / "history.csv").write_text("\n".join([names, *lines, ""]))


def write_evaluation(config, dataset, method, seed):
    """Counts, and masks shifted by an amount that depends on the method and the seed."""
    folder, rows = paths.evaluation(config, dataset, method, seed), []
    folder.mkdir(parents=True)
    test = paths.prepared(config, dataset) / "test"
    index, truth = pd.read_parquet(test / "index.parquet"), np.load(test / "masks.npy")
    definition, ids, groups = config.datasets[dataset], list(index["id"]), list(index["group"])
    if "segmentation" in config.methods[method].tasks:
        masks = np.roll(truth, 1 + seed + list(config.methods).index(method), axis=2)
        np.savez_compressed(folder / "masks.npz", masks=masks)
        values = np.arange(1, len(definition.lesions) + 1)[:, None, None]
        said, is_so = masks[:, None] == values, truth[:, None] == values
        parts = (said & is_so, said & ~is_so, ~said & is_so, ~said & ~is_so)
        counts = np.stack([part.sum(axis=(2, 3)) for part in parts], axis=-1)
        rows.append(segmentation_rows(ids, groups, definition.lesions, counts))
    if "classification" in config.methods[method].tasks:
        targets = index[[f"label_{name}" for name in definition.labels]].to_numpy(np.uint8)
        wrong = np.add.outer(np.arange(len(ids)), np.arange(len(definition.labels))) + seed
        right = np.where(targets == 1, 1, -1)
        logits = np.where(wrong % 4 == 0, -right, right).astype(np.float32)
        rows.append(classification_rows(ids, groups, definition.labels, targets, logits))
    write_counts_file(folder / "counts.parquet", rows)


def write_tree(config, missing=()):
    """Everything the reporting reads; `missing` lists (data set, method, seed) left out."""
    for dataset in config.datasets:
        write_data(config, dataset)
    for dataset, method in runs(config):
        for seed in config.seeds:
            if (dataset, method, seed) not in missing:
                write_run(config, dataset, method, seed)
                write_evaluation(config, dataset, method, seed)


def fake_results(config, value=50.0, missing=()):
    """Results of every run: `value`, a little more for each seed."""
    return pd.DataFrame(
        [
            (dataset, method, seed, metric, value + seed, 10)
            for dataset, method in runs(config)
            for metric, task in METRIC_TASK.items()
            if task in config.methods[method].tasks
            for seed in config.seeds
            if (dataset, method, seed) not in missing
        ],
        columns=["dataset", "method", "seed", "metric", "value", "n"],
    )


def values_only(config, frame):
    """Results of bare values: no intervals, no tests."""
    return results_of(config, frame, {})


def results_of_groups(config, numbers):
    """Results whose metrics are means over groups of equal weight, all of one class.

    `numbers` has, for each (data set, method, metric), per cent `[seeds, groups]`, or one row where
    all seeds are equal.
    """
    ratios, rows, seeds = {}, [], tuple(config.seeds)
    for (dataset, method, metric), given in numbers.items():
        parts = np.broadcast_to(np.asarray(given, float), (len(seeds), np.shape(given)[-1]))
        groups = tuple(f"group{i}" for i in range(parts.shape[1]))
        found = Ratios(parts[..., None] / 100, np.ones((*parts.shape, 1)), seeds, groups)
        ratios.setdefault(Run(dataset, method), {})[metric] = found
        values = zip(seeds, found.values(), strict=True)
        rows += [(dataset, method, metric, seed, value, len(groups)) for seed, value in values]
    columns = ["dataset", "method", "metric", "seed", "value", "n"]
    return results_of(config, pd.DataFrame(rows, columns=columns), ratios)
