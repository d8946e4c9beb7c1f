"""The changes that `benchmarks.places` makes: what is written where, and how one sees it is there.

Every check runs in the changed copy of the tree and ends with an error where the change is not in
what the workflow makes. It prints one line: what it found.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class TriedChange(NamedTuple):
    """A change, as a person would make it.

    Attributes:
        check: Python that finds it in what the changed tree makes, and prints what it found.
        edits: file -> (text that is there once, text in its place).
        files: new file -> its text.
    """

    check: str
    edits: Mapping[str, Sequence[tuple[str, str]]] = {}
    files: Mapping[str, str] = {}


# Counts of one run with known numbers: 3 labels of 4 images, of 5 calls present 3 are right.
_COUNTS = """
import csv
import numpy as np
from workflow.config import paths
from workflow.config.load import load_config
from workflow.metrics.counts_file import classification_rows, segmentation_rows, write_counts_file
from workflow.tables.make import make_table

config = load_config(
    overrides={"preset": "everything", "seeds": [0], "select": {"datasets": ["isic2017"]}}
)
dataset, ids = config.datasets["isic2017"], list("abcd")
target = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], np.uint8)
called = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]], bool)
masks = np.array([[[6, 2, 1, 7]], [[4, 0, 4, 8]], [[9, 3, 0, 4]], [[5, 5, 5, 1]]])
rows = [
    segmentation_rows(ids, ids, dataset.lesions, masks),
    classification_rows(ids, ids, dataset.labels, target, np.where(called, 3, -3).astype("f4")),
]
write_counts_file(paths.evaluation(config, "isic2017", "he", 0) / "counts.parquet", rows)
make_table(config, "further")
for suffix in paths.TABLE_FORMATS:
    assert paths.table(config, "further", suffix).is_file()
found = list(csv.DictReader(paths.table(config, "further", "csv").open()))
(cell,) = [row for row in found if row["method"] == "he" and row["metric"] == NAME]
assert abs(float(cell["mean"]) - VALUE) < 1e-9, cell
text = paths.table(config, "further", "html").read_text()
assert TITLE in text
print(f"table further: {TITLE} {float(cell['mean']):.1f}, with {len(found)} cells in five formats")
"""

METRIC = TriedChange(
    check=f"NAME, TITLE, VALUE = 'ppv', 'PPV', 60.0\n{_COUNTS}",
    edits={
        "workflow/config/metrics.py": [
            (
                '    "auc": Metric(\n',
                '    "ppv": Metric("PPV", "classification", _BESIDE, Ratio(("tp",), ("tp", "fp")), '
                'tested=True),\n    "auc": Metric(\n',
            )
        ],
        "config.yaml": [
            ("metrics: [ji_65, auc, ece]}", "metrics: [ji_65, auc, ece, ppv]}"),
        ],
    },
)

# One that is no share of counts has its formula beside it.
FORMULA = TriedChange(
    check=f"NAME, TITLE, VALUE = 'worst', 'Worst JI', 100 / 3\n{_COUNTS}",
    edits={
        "workflow/config/metrics.py": [
            (
                '    "hd95": Metric(\n',
                '    "worst": Metric("Worst JI", "segmentation", _BESIDE, tested=True),\n'
                '    "hd95": Metric(\n',
            )
        ],
        "workflow/metrics/rules.py": [
            (
                "# Metrics of their own,",
                "def _worst(pixels: Pixels) -> RatioParts:\n"
                '    """The smallest Jaccard index of any image."""\n'
                '    scores = share(_counts(pixels), ratios("segmentation")["ji"], empty=1)\n'
                "    return _of_all(pixels, np.broadcast_to(scores.min(axis=0), scores.shape))\n"
                "\n\n# Metrics of their own,",
            ),
            (
                '    "ji_65": _above_success,\n',
                '    "ji_65": _above_success,\n    "worst": _worst,\n',
            ),
        ],
        "config.yaml": [("metrics: [ji_65, auc, ece]}", "metrics: [ji_65, worst, auc, ece]}")],
    },
)

OPTIMISER = TriedChange(
    check="""
import torch
from workflow.config.load import load_config
from workflow.planning.cost import step_bytes
from workflow.planning.networks import Network
from workflow.training.losses import LossParts
from workflow.training.optimisers import make_stepper

config = load_config(
    overrides={"preset": "everything", "training": {"optimizer": "nadam"}}
)
training = config.training_for("isic2017", "unetpp")
weight = torch.nn.Parameter(torch.ones(4))
stepper = make_stepper([weight], training)
loss = weight.square().sum()
stepper.step(LossParts(loss, loss, loss), 0.1)
assert type(stepper.optimizers[0]) is torch.optim.NAdam
assert (weight < 1).all()
(file,) = [name for name in ("workflow/config/config.schema.json",) if "nadam" in open(name).read()]
print(f"a step of {type(stepper.optimizers[0]).__name__}: {weight[0].item():.3f} from 1")
""",
    edits={
        "workflow/config/training.py": [
            (
                '    "sgd": OptimizerNeeds(moments=1),\n',
                '    "nadam": OptimizerNeeds(moments=2),\n    "sgd": OptimizerNeeds(moments=1),\n',
            )
        ],
        "workflow/training/optimisers.py": [
            ("SGD, Adam, AdamW, Optimizer, RMSprop", "SGD, Adam, AdamW, NAdam, Optimizer, RMSprop"),
            (
                "# The optimisers of torch by the names",
                "def _nadam(parameters: list[nn.Parameter], training: Training) -> Optimizer:\n"
                "    return NAdam(parameters, lr=training.learning_rate, betas=training.betas)\n"
                "\n\n# The optimisers of torch by the names",
            ),
            ('    "sgd": _sgd,\n', '    "nadam": _nadam,\n    "sgd": _sgd,\n'),
        ],
    },
)

_SOURCE = '''"""Photographs of moles, as `NAME_DIR/photos/*.png` with masks in `masks`."""

import numpy as np

from workflow.config import paths
from workflow.config.sources import PublicSource
from workflow.data.decoding import decode, size_of
from workflow.data.sources.source import RawImage

ABOUT = PublicSource(
    title="Moles",
    lesions=("mole",),
    labels=("mole",),
    color=True,
    lesion_everywhere=True,
    how_to_get="Write to the authors.",
    disk="1 GB",
)


def open_source(config, dataset):
    """The source of a data set."""
    return Moles(paths.raw_roots(config, "moles"))


class Moles:
    """Images that stand for themselves."""

    tables = ()

    def __init__(self, roots):
        self._files = {file.stem: file for file in sorted(roots[0].glob("photos/*.png"))}
        self.groups = list(self._files)

    def _mask(self, group):
        file = self._files[group]
        return file.parent.parent / "masks" / file.name

    def rows(self, group):
        """The one image of a group."""
        width, height = size_of(self._files[group])
        return [
            {"id": group, "group": group, "part": "", "width": width, "height": height,
             "has_mask": True, "label_mole": 1, "files": (self._files[group], self._mask(group))}
        ]

    def read(self, group, size):
        """The one image of a group, and its mask."""
        pixels = decode(self._files[group], "RGB")
        mask = (decode(self._mask(group), "L") > 127).astype(np.uint8)
        yield RawImage(group, pixels, mask, pixels.shape[:2])
'''

SOURCE = TriedChange(
    check="""
import os, subprocess, sys
from pathlib import Path
import numpy as np
from PIL import Image
from workflow.base.files import write_json
from workflow.config import paths
from workflow.config.load import load_config, load_raw

generator = np.random.default_rng(1)
for i in range(12):
    for folder, shape in (("photos", (40, 48, 3)), ("masks", (40, 48))):
        Path("raw", folder).mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, shape, dtype=np.uint8)
        if folder == "masks":
            pixels = np.where(np.arange(48) < 10 + i, 255, 0) * np.ones((40, 1))
        Image.fromarray(pixels.astype(np.uint8)).save(f"raw/{folder}/{i}.png")
os.environ["MOLES_DIR"] = str(Path("raw").resolve())
given = {"preset": "paper"}
config = load_config(overrides=given)
write_json(config.results / "config.json", load_raw(overrides=given))
gates = paths.gates(config, "moles")
command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", str(gates), "--config"]
dry = subprocess.run([*command, "preset=paper"], capture_output=True, text=True)
assert dry.returncode == 0, dry.stdout + dry.stderr
for step in ("raw", "inventory", "split", "prepare", "gates"):
    assert f"rule {step}:" in dry.stdout, dry.stdout
    command = [sys.executable, "-m", "workflow.data.make", step]
    subprocess.run([*command, str(config.results / "config.json"), "moles"], check=True,
                   stdout=subprocess.DEVNULL)
images = np.load(paths.prepared(config, "moles") / "train" / "images.npy")
assert images.shape[1:] == (64, 64, 3) and gates.is_file()
print(f"prepared and past its gates: {len(images)} training images of {images.shape[1:]}")
""",
    files={"workflow/data/sources/moles.py": _SOURCE},
    edits={
        "config.yaml": [
            (
                "  retouch_dir: null ",
                "  moles_dir: null\n  moles_record: null\n  retouch_dir: null ",
            ),
            (
                "\n# key -> how the network is made.",
                "  moles: {title: Moles, source: moles, image_size: 64, lesions: [mole], "
                "labels: [mole], split: kfold 1/4}\n\n# key -> how the network is made.",
            ),
        ]
    },
)

PAGE = TriedChange(
    check="""
import subprocess, sys
from pathlib import Path
from workflow.base.files import write_json
from workflow.config.load import load_raw

given = {"preset": "smoke", "select": {"datasets": ["isic2017"]}, "figures": {}}
write_json(Path("results/smoke/config.json"), load_raw(overrides=given))
subprocess.run(
    [sys.executable, "-m", "workflow.report.make", "results/smoke/config.json"], check=True,
    stdout=subprocess.DEVNULL,
)
page = Path("results/smoke/report/seeds.html").read_text()
assert "This report rests on 1 seed(s)." in page
pages = [file for file in Path("results/smoke/report").glob("*.html")]
assert all('href="seeds.html"' in file.read_text() for file in pages)
print(f"seeds.html, in the navigation of all {len(pages)} pages beside it")
""",
    files={
        "workflow/report/templates/seeds.html": '{% extends "base.html" %}\n{% block content %}\n'
        "<h1>Seeds</h1>\n<p>This report rests on {{ count }} seed(s).</p>\n{% endblock %}\n"
    },
    edits={
        "workflow/report/navigation.py": [
            (
                '    "provenance": NavigationPage(',
                '    "seeds": NavigationPage(\n'
                '        "Seeds", "seeds.html", lambda of: {"count": len(of.config.seeds)}\n'
                "    ),\n"
                '    "provenance": NavigationPage(',
            )
        ]
    },
)

TABLE = TriedChange(
    check="""
from workflow.config import paths
from workflow.config.cells import made_tables, table_cells
from workflow.config.load import load_config
from workflow.tables.make import make_table

config = load_config(overrides={"preset": "everything"})
assert "favourites" in made_tables(config)
make_table(config, "favourites")
assert all(paths.table(config, "favourites", suffix).is_file() for suffix in paths.TABLE_FORMATS)
print(f"table favourites: {len(list(table_cells(config, 'favourites')))} cells in five formats")
""",
    edits={
        "config.yaml": [
            (
                "  controls:\n    caption: Controls,",
                "  favourites:\n    caption: Two.\n    mark: bold\n    columns: *seg_by_vendor\n"
                "    rows:\n      - {title: UNet++, method: unetpp}\n"
                "      - {title: Tang et al., method: tang}\n"
                "  controls:\n    caption: Controls,",
            )
        ]
    },
)

METHOD = TriedChange(
    check="""
import torch
from workflow.config.cells import runs, table_rows
from workflow.config.load import load_config
from workflow.networks.build import build_method

config = load_config(overrides={"preset": "everything"})
mine = [run for run in runs(config) if run.method == "tiny"]
network = build_method(config, "isic2017", "tiny")
size = config.datasets["isic2017"].image_size
logits = network(torch.zeros(1, 3, size, size)).segmentation
assert logits.shape == (1, 2, size, size)
assert [row.title for row in table_rows(config, "VI") if row.group != "Controls"][-1] == "Tiny"
print(f"{len(mine)} runs, a row in Table VI, and logits of {tuple(logits.shape)}")
""",
    files={
        "baselines/tiny.py": '"""One convolution."""\n\nfrom torch import Tensor, nn\n\n'
        "from resformer.prediction import Prediction\n\n\n"
        'class Tiny(nn.Module):\n    """One convolution."""\n\n'
        "    def __init__(self, classes: int) -> None:\n        super().__init__()\n"
        "        self.layer = nn.Conv2d(3, classes, 3, padding=1)\n\n"
        '    def forward(self, image: Tensor) -> Prediction:\n        """Segment images."""\n'
        "        return Prediction(self.layer(image), None)\n\n\n"
        "def build(*, image_size: int, n_seg: int | None, n_cls: int | None) -> Tiny:\n"
        '    """Build it."""\n    return Tiny((n_seg or 0) + 1)\n'
    },
    edits={
        "config.yaml": [
            (
                "  # Controls: what a method",
                "  tiny: {title: Tiny, module: baselines.tiny, tasks: [segmentation], "
                "tables: [VI, VII]}\n\n  # Controls: what a method",
            )
        ]
    },
)

CHANGES = {
    "metric": METRIC,
    "metric with its own formula": FORMULA,
    "optimiser": OPTIMISER,
    "public data source": SOURCE,
    "page of the report": PAGE,
    "table": TABLE,
    "method": METHOD,
}
