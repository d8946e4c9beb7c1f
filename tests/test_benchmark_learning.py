"""`benchmarks.learning`: what it trains, what it writes, and that it goes on where it ended."""

import csv

import pytest
import torch
from torch import nn

from benchmarks import learning
from resformer import model
from resformer.prediction import Prediction
from tests.resformer.one_batch import fixed_batch
from workflow.config.load import load_config
from workflow.data.images import DeviceImages
from workflow.training.loop import Splits

SIZE = 32


@pytest.fixture
def small(monkeypatch):
    """Four images in place of ISIC 2017, and batches of two."""
    images, masks, labels = fixed_batch(SIZE)
    split = DeviceImages((255 * images).byte(), (masks > 0).byte(), labels, scale=255.0)
    monkeypatch.setattr(learning, "splits", lambda *_: Splits(split, split))
    config = learning.learning_config

    def two_images(size, method, options, training):
        return config(size, method, options, {**training, "batch_size": 2, "precision": "float32"})

    monkeypatch.setattr(learning, "learning_config", two_images)


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["learning", *map(str, arguments)])
    assert learning.main() == 0


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_it_trains_by_the_unified_protocol():
    config = learning.learning_config(96, "resformer_seq", {"cls_norm": "none"}, {"max_steps": 7})
    paper = load_config(overrides={"preset": "paper"})
    for method in ("resformer_seq", "tang"):
        ours, theirs = (c.training_for("isic2017", method) for c in (config, paper))
        changed = {"epochs": ours.epochs, "max_steps": 7, "threads": 1}
        assert ours == theirs.model_copy(update=changed)
    assert config.methods["resformer_seq"].network_options == {
        "mode": "sequential",
        "cls_norm": "none",
    }
    assert config.datasets["isic2017"].image_size == 96
    assert {m for m in paper.methods if not m.startswith(("resformer", "control"))} | {
        "resformer_seq",
        "resformer_par",
    } == set(learning.METHODS)


def test_compare_writes_a_line_per_run_and_goes_on(small, monkeypatch, tmp_path, capsys):
    file = tmp_path / "new" / "compare.csv"
    variants = ("a: {cls_norm: none, conv_depths: [1, 1, 1, 1]}", "b: {conv_depths: [1, 1, 1, 1]}")
    common = ("--methods", "resformer_par", "--steps", 3, "--size", SIZE)
    run(monkeypatch, "compare", file, *common, "--seeds", 0, "--variants", variants[0])
    (first,) = rows_of(file)
    assert (first["variant"], first["steps"]) == ("a", "3")
    assert 0 < float(first["last_five"]) <= float(first["largest"])
    assert 0 <= float(first["val_ji"]) <= 100
    run(monkeypatch, "compare", file, *common, "--seeds", 0, 1, "--variants", *variants)
    rows = rows_of(file)
    assert rows[0] == first
    assert [(r["variant"], r["seed"]) for r in rows] == [
        ("a", "0"),
        ("b", "0"),
        ("a", "1"),
        ("b", "1"),
    ]
    assert "| resformer_par | b | 2 |" in capsys.readouterr().out


def test_curves_has_a_line_per_step_and_the_figure_is_small(small, monkeypatch, tmp_path, capsys):
    now, before, picture = (tmp_path / name for name in ("now.csv", "before.csv", "l.webp"))
    for file in (now, before):
        run(monkeypatch, "curves", file, "--methods", "gende", "--steps", 3, "--size", SIZE)
    rows = rows_of(now)
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    for row in rows:
        parts = 0.25 * float(row["classification"]) + float(row["segmentation"])
        assert float(row["loss"]) == pytest.approx(parts, rel=1e-3)
    assert "| gende | " in capsys.readouterr().out
    run(monkeypatch, "figure", now, "--before", before, "--into", picture)
    assert 5_000 < picture.stat().st_size < 200_000


def test_a_head_that_is_redrawn_is_drawn_as_a_convolution():
    torch.manual_seed(0)
    network = model.build(image_size=32, n_seg=1, n_cls=None, conv_depths=(1, 1, 1, 1))
    learning.redraw_head(network)
    head = network.segmentation.head
    assert head.weight.std().item() == pytest.approx(1, rel=0.2)
    assert not head.bias.any()


def test_label_scores_by_hand():
    class Fixed(nn.Module):
        def forward(self, images):
            rows = images[:, 0, 0, 0].round().long()
            return Prediction(None, torch.tensor([[1.0, -3], [-2, -3], [3, -3], [-1, -3]])[rows])

    pixels = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 2, 2).contiguous()
    labels = torch.tensor([[1.0, 1], [1, 0], [0, 1], [0, 0]])
    images = DeviceImages(pixels, torch.zeros(4, 2, 2, dtype=torch.uint8), labels, scale=1.0)
    found = learning.label_scores(Fixed(), images, torch.float32)
    # First label: one of two found, one of two left alone; of four pairs one is in order. The
    # second says no whatever it sees.
    assert found["balanced"] == pytest.approx(0)
    assert found["auc"] == pytest.approx((25 + 50) / 2)


def test_variants_are_read_from_the_command_line():
    assert learning.variant_of("plain") == learning.Variant("plain", {}, saturated=False)
    read = learning.variant_of("old, none: {saturated: true, cls_norm: none}")
    assert read == learning.Variant("old, none", {"cls_norm": "none"}, saturated=True)


def test_images_that_are_not_there_are_an_error_that_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("ISIC2017_DIR", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    for name in ("workflow", "config.yaml"):
        (tmp_path / name).symlink_to(learning.ROOT / name)
    monkeypatch.setattr("sys.argv", ["learning", "curves", "c.csv", "--methods", "octnet"])
    with pytest.raises(SystemExit, match=r"error: .*nowhere"):
        learning.main()
