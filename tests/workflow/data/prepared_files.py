"""Small prepared data sets that a test may damage before they are written and checked."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from workflow.base.errors import DataError
from workflow.base.files import read_json
from workflow.config import paths
from workflow.data.gates import check

SIZE = 48
DIAGNOSES = ["melanoma", "seborrheic_keratosis", "nevus"]
FLUIDS = ["irf", "srf", "ped"]


@dataclass
class Prepared:
    """A data set: one row and one image per position."""

    name: str
    table: pd.DataFrame
    images: np.ndarray
    masks: np.ndarray

    def at(self, image):
        return self.table.index[self.table["id"] == image][0]

    def set(self, image, **values):
        for column, value in values.items():
            self.table.loc[self.at(image), column] = value

    def copy(self, source, target, shift=0):
        self.images[self.at(target)] = self.images[self.at(source)] + np.uint8(shift)

    def write(self, config):
        labels = [f"label_{label}" for label in config.datasets[self.name].labels]
        for split in ("train", "val", "test"):
            folder, here = paths.prepared(config, self.name) / split, self.table["split"] == split
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / "images.npy", self.images[here])
            np.save(folder / "masks.npy", self.masks[here])
            np.save(folder / "labels.npy", self.table.loc[here, labels].to_numpy(np.uint8))
            self.table[here].drop(columns="split").to_parquet(folder / "index.parquet")

    def check(self, config):
        """The report, and the lines that were said."""
        self.write(config)
        said = []
        check(config, self.name, said.append)
        return read_json(paths.gates(config, self.name)), said

    def failures(self, config):
        """The lines of the error, after which nothing may have been written."""
        self.write(config)
        with pytest.raises(DataError) as caught:
            check(config, self.name, lambda line: None)
        assert not paths.gates(config, self.name).exists()
        return str(caught.value).splitlines()


def texture(seed, channels):
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 210, (6, 6, *channels), np.uint8))
    return np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def assembled(name, rows, labels, channels):
    table = pd.DataFrame(rows)
    for label in labels:
        table[f"label_{label}"] = table[f"label_{label}"].astype("int8")
    table["score_segmentation"] = table["score_classification"] = table["has_mask"] = True
    images = np.stack([texture(seed, channels) for seed in range(len(table))])
    return Prepared(name, table, images, np.zeros((len(table), SIZE, SIZE), np.uint8))


def dermoscopy(train=6, val=3, test=3):
    """Images that are their own groups, diagnoses in turn, a square of a lesion in each."""
    rows = []
    for split, count in (("train", train), ("val", val), ("test", test)):
        for i in range(count):
            name = f"{split}{i}"
            labels = {f"label_{label}": i % 3 == k for k, label in enumerate(DIAGNOSES)}
            row = {"id": name, "group": name, "split": split, "width": 600 + i, "height": 450}
            rows.append({**row, "sha256": name, **labels})
    prepared = assembled("isic2017", rows, DIAGNOSES, (3,))
    prepared.masks[:, :12, :12] = 1
    return prepared


def tomography():
    """Volumes of four slices, two to train; slice 0 is healthy, slice k holds the k-th fluid."""
    rows = []
    for volume, split in (("A", "train"), ("B", "train"), ("C", "val"), ("D", "test")):
        for z in range(4):
            labels = {f"label_{fluid}": z == k for k, fluid in enumerate(FLUIDS, start=1)}
            row = {"id": f"{volume}_{z}", "group": volume, "split": split, "width": 512}
            rows.append({**row, "height": 496, "sha256": volume, **labels})
    prepared = assembled("retouch_spectralis", rows, FLUIDS, ())
    for i in range(len(rows)):
        prepared.masks[i, : 6 * (i % 4), :8] = i % 4
    return prepared


def changed(config, **datasets):
    definitions = {
        name: config.datasets[name].model_copy(update=values) for name, values in datasets.items()
    }
    return config.model_copy(update={"datasets": {**config.datasets, **definitions}})
