"""An image browser on disk with invented masks; tests compare what it shows to these arrays."""

import base64
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from workflow.report.pages import TEMPLATES, template_of
from workflow.report.site import ASSETS, NAVIGATION

HEIGHT, WIDTH, IMAGES, BLOCK = 24, 32, 40, 16
EVIL = "<img src=x onerror=\"alert('title')\">"
EVIL_ID = "b&w </script><script>alert('id')</script>\u2028#1=%"
CLASSES = [
    {"value": 1, "key": "irf", "title": "Intra-retinal", "colour": "#e81c1c", "safe": "#d55e00"},
    {"value": 2, "key": "srf", "title": "Sub-retinal", "colour": "#18c43e", "safe": "#56b4e9"},
]
OUTCOMES = {
    "tp": {"title": "true positive", "colour": "#ffd800", "safe": "#f0e442"},
    "fn": {"title": "false negative", "colour": "#e81c1c", "safe": "#cc79a7"},
    "fp": {"title": "false positive", "colour": "#18c43e", "safe": "#0072b2"},
}
SEEDS = {"ours": [0, 1, 2], "other": [0, 1, 2], "third": [0, 1], "labels": [0, 1], "broken": [0]}
KEPT = {"ours": [0, 1, 2], "other": [0], "third": [0], "labels": [], "broken": []}
CALLED = 80  # a label is, from this byte of its probability: not half, so that all are asked
SEGMENTING = ("ours", "other", "third")


@dataclass(frozen=True)
class Case:
    """Arrays of one invented data set; `masks` by (method, seed), `[images, height, width]`."""

    page: Path
    ids: list[str]
    reference: np.ndarray
    masks: dict[tuple[str, int], np.ndarray]
    probabilities: dict[tuple[str, int], np.ndarray]
    truth: np.ndarray
    disagreement: np.ndarray

    def bytes_of(self, method, seed):
        """Dice, false and missed bytes of a run, each `[images, classes]`."""
        mask, scores = self.masks[method, seed], []
        for one in CLASSES:
            truth, said = self.reference == one["value"], mask == one["value"]
            tp = (truth & said).sum((1, 2))
            fp, fn = (said & ~truth).sum((1, 2)), (truth & ~said).sum((1, 2))
            size = 2 * tp + fp + fn
            dice = np.where(size, np.rint(400 * tp / np.maximum(size, 1)), 255)
            shares = [np.minimum(254, np.ceil(2000 * x / (HEIGHT * WIDTH))) for x in (fp, fn)]
            scores.append([dice, *shares])
        return np.moveaxis(np.array(scores), 0, -1).astype(np.uint8)

    def called(self, method, seed):
        """Which labels a run calls, `[images, labels]`."""
        return (self.probabilities[method, seed] >= CALLED).astype(np.uint8)

    def quality(self, method, seed):
        """Mean Dice of an image, per cent; NaN where no class is."""
        dice = self.bytes_of(method, seed)[0].astype(float)
        dice[dice == 255] = np.nan
        counts = (~np.isnan(dice)).sum(1)
        return np.where(counts, np.nansum(dice, 1) / np.maximum(counts, 1), np.nan) / 2

    @property
    def area(self):
        """Share of pixels per class, `[images, classes]`."""
        return np.stack([(self.reference == c["value"]).mean((1, 2)) for c in CLASSES], axis=1)


def packed(values):
    """Bytes as the data files hold them."""
    return base64.b64encode(np.asarray(values, np.uint8).tobytes()).decode()


def png(mask):
    """A mask as the data files hold it."""
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "png")
    return base64.b64encode(stream.getvalue()).decode()


def script(name, *values):
    """A call with JSON arguments, as safe in a script as the contract asks."""
    said = ", ".join(json.dumps(value).replace("<", "\\u003c") for value in values)
    return f"MICROSCOPE.{name}({said});\n"


def blobs(random):
    """A reference: up to two boxes of two classes; every fifth image is empty."""
    masks = np.zeros((IMAGES, HEIGHT, WIDTH), np.uint8)
    for k in range(IMAGES):
        for value in (1, 2) if k % 5 else ():
            if random.random() < 0.8:
                y, x = random.integers(0, HEIGHT - 8), random.integers(0, WIDTH - 8)
                masks[k, y : y + random.integers(3, 9), x : x + random.integers(3, 9)] = value
    return masks


def spoiled(random, masks, share):
    """Predictions: each pixel is something else with a chance of its image, in every tenth none."""
    chance = share * random.random((len(masks), 1, 1))
    chance[::10] = 0
    other = random.integers(0, 3, masks.shape).astype(np.uint8)
    return np.where(random.random(masks.shape) < chance, other, masks)


def write_browser(folder, notice="demo: phantoms"):
    """Write the page, its assets and two data sets into a folder."""
    random = np.random.default_rng(7)
    for name in ASSETS:
        shutil.copyfile(TEMPLATES / name, folder / name)
    page = folder / "images.html"
    frame = {"title": "Images", "active": "images", "navigation": NAVIGATION, "root": ""}
    page.write_text(template_of("images.html").render(**frame, preset="demo", notices=[]))
    reference = blobs(random)
    masks = {
        (method, seed): spoiled(random, reference, share)
        for method, share in zip(SEGMENTING, (0.1, 0.3, 0.6), strict=True)
        for seed in SEEDS[method]
    }
    probabilities = {
        (method, seed): random.integers(0, 251, (IMAGES, 1)) for method in ("ours", "labels")
        for seed in SEEDS[method]
    }  # fmt: skip
    ids = [f"case-{k:02d}" for k in range(IMAGES)]
    ids[3] = EVIL_ID
    case = Case(
        page, ids, reference, masks, probabilities,
        random.integers(0, 2, (IMAGES, 1)), random.integers(0, 201, IMAGES),
    )  # fmt: skip
    images = folder / "images"
    datasets = [{"key": "oct", "title": f"OCT {EVIL}"}, {"key": "skin", "title": "Skin"}]
    for one in datasets:
        write_dataset(images, one["key"], one["title"], case, notice)
    (images / "index.js").write_text(script("index", {"datasets": datasets}))
    return case


def write_dataset(images, key, title, case, notice):
    """Write the files of one data set."""
    root = images / key
    for name in ("pictures", "thumbs"):
        (root / name).mkdir(parents=True)
        for k in range(IMAGES):
            grey = np.linspace(40, 120, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
            Image.fromarray(grey).save(root / name / f"{k:05d}.webp")
    (root / "cases.js").write_text(script("cases", key, content(case, title, notice)))
    write_masks(root, key, "reference", None, case.reference)
    for (method, seed), masks in case.masks.items():
        if seed in KEPT[method]:
            write_masks(root, key, method, seed, masks)


def write_masks(root, key, source, seed, masks):
    """Write the blocks of a run or of the reference."""
    folder = root / source if seed is None else root / source / f"seed{seed}"
    folder.mkdir(parents=True)
    for block in range(-(-IMAGES // BLOCK)):
        pictures = [png(mask) for mask in masks[block * BLOCK : (block + 1) * BLOCK]]
        text = script("masks", key, source, seed, block, pictures)
        (folder / f"{block}.js").write_text(text)


def by_run(runs, value):
    """{method: {seed: packed bytes}} of a function of a run."""
    found = {}
    for method, seed in runs:
        found.setdefault(method, {})[seed] = packed(value(method, seed))
    return found


def content(case, title, notice):
    """What `cases.js` says."""
    titles = {key: key.title() for key in SEEDS} | {"third": f"Third {EVIL}"}
    return {
        "title": title, "block": BLOCK, "height": HEIGHT, "width": WIDTH, "notice": notice,
        "classes": CLASSES, "outcomes": OUTCOMES, "labels": [{"key": "wet", "title": "Wet"}],
        "images": [
            {"id": name, "group": f"volume {k // 5}", "area": case.area[k].tolist(),
             "truth": case.truth[k].tolist()}
            for k, name in enumerate(case.ids)
        ],
        "methods": [
            {"key": key, "title": titles[key], "family": "all", "tasks": ["segmentation"],
             "seeds": seeds, "kept": KEPT[key], "failed": [0] if key == "broken" else []}
            for key, seeds in SEEDS.items()
        ],
        "dice": by_run(case.masks, lambda *run: case.bytes_of(*run)[0]),
        "fp": by_run(case.masks, lambda *run: case.bytes_of(*run)[1]),
        "fn": by_run(case.masks, lambda *run: case.bytes_of(*run)[2]),
        "probabilities": by_run(case.probabilities, lambda *run: case.probabilities[run]),
        "called": by_run(case.probabilities, lambda *run: case.called(*run)),
        "disagreement": packed(case.disagreement),
    }  # fmt: skip
