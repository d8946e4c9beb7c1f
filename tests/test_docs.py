"""What the documents show works as it stands there: a method is added as a reader would add it."""

import csv
import json
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.workspace import ROOT, copy_tree, environment, snakemake
from workflow.__main__ import COMMANDS, parser_of

# Commands that write files of the tree; a test names them where a file is not what they write.
FOR_THE_REPOSITORY = {"architecture", "networks", "schema"}
SMALL = (
    "--config",
    "preset=smoke",
    "select={datasets: [isic2017], methods: [tiny, unetpp, control_oracle, control_prior]}",
)


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with the example's file and entry, in which a small run was made."""
    folder = copy_tree(tmp_path_factory.mktemp("added"))
    (source,), (entry,) = (
        blocks("adding-a-method.md", "python"),
        blocks("adding-a-method.md", "yaml"),
    )
    assert source.count("\n") <= 60
    (folder / "baselines" / "tiny.py").write_text(source)
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("\nmethods:\n", f"\nmethods:\n{entry}", 1))
    done = snakemake(folder, *SMALL)
    assert done.returncode == 0, done.stdout[-4000:]
    return folder


def test_an_added_method_is_trained_and_scored_in_its_table(added: Path) -> None:
    assert (added / "results/smoke/runs/isic2017/tiny/seed0/weights.safetensors").is_file()
    with (added / "results/smoke/tables/table_IV.csv").open() as stream:
        cells = [line for line in csv.DictReader(stream) if line["method"] == "tiny"]
    assert [cell["metric"] for cell in cells] == ["ji", "dsc", "acc", "sen", "spe"]
    assert all(cell["state"] == "value" and float(cell["mean"]) >= 0 for cell in cells)
    assert {(cell["row"], cell["setup"]) for cell in cells} == {("Tiny", "unified, random")}


def test_an_added_method_is_in_the_report(added: Path) -> None:
    report = added / "results/smoke/report"
    assert "Tiny" in (report / "tables/IV.html").read_text()
    assert "Tiny on ISIC 2017" in (report / "runs/isic2017--tiny.html").read_text()
    assert "Between the controls" in (report / "index.html").read_text()


def test_the_contract_holds_for_an_added_method_unasked(added: Path) -> None:
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-q", "tests/baselines", "-k", "tiny"],
        cwd=added,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert tested.returncode == 0, tested.stdout[-4000:]
    passed = re.search(r"(\d+) passed", tested.stdout)
    assert passed is not None
    assert int(passed.group(1)) >= 15


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with the example of docs/data.md and small images to go with it."""
    folder = copy_tree(tmp_path_factory.mktemp("own"))
    (overlay,) = blocks("data.md", "yaml")
    (folder / "polyps.yaml").write_text(overlay)
    draw_polyps(folder / "data" / "polyps")
    small = ["datasets={polyps: {image_size: 32}}", "training={max_steps: 2}", "seeds=[0]"]
    done = snakemake(folder, "--configfile", "polyps.yaml", "--config", *small)
    assert done.returncode == 0, done.stdout[-4000:]
    return folder


def draw_polyps(folder: Path) -> None:
    """Twenty images of ten patients, a disc in each, and their masks and labels."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:40, 0:48]
    lines = ["id,adenoma,patient"]
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for k in range(20):
        disc = (y - random.integers(10, 30)) ** 2 + (x - random.integers(10, 38)) ** 2 < 60
        pixels = random.integers(0, 255, (40, 48, 3), np.uint8) // 2
        pixels[disc] += 100
        Image.fromarray(pixels).save(folder / "images" / f"polyp{k:02d}.png")
        mask = np.where(disc, 255, 0).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"polyp{k:02d}_mask.png")
        lines.append(f"polyp{k:02d},{k % 2},patient{k // 2}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def test_images_of_ones_own_need_configuration_alone(own: Path) -> None:
    results = own / "results" / "polyps"
    with (results / "tables/table_polyps.csv").open() as stream:
        cells = {(c["method"], c["metric"]): c["state"] for c in csv.DictReader(stream)}
    assert cells["resformer_par", "dsc"] == cells["unetpp", "ji"] == "value"
    assert cells["efficientnet", "acc"] == "value"
    found = json.loads((results / "data/polyps/gates.json").read_text())
    counts = {name: split["images"] for name, split in found["prevalence"].items()}
    assert counts == {"train": 12, "val": 4, "test": 4}
    assert {name: split["groups"] for name, split in found["prevalence"].items()} == {
        "train": 6, "val": 2, "test": 2,
    }  # fmt: skip
    page = (results / "report" / "data.html").read_text()
    assert "Polyps" in page
    assert "by group" in " ".join(page.split())


def test_every_command_line_of_the_documents_is_taken() -> None:
    """Those of `resformer`, and that each command stands somewhere."""
    texts = [file.read_text(encoding="utf-8") for file in (ROOT / "docs").glob("*.md")]
    lines = re.findall(
        r"uv run resformer ([^`\n]+)", "\n".join([*texts, (ROOT / "README.md").read_text()])
    )
    shown = set()
    for line in lines:
        name, *arguments = shlex.split(line, comments=True)
        if name != "--help":
            parser_of(name).parse_args(arguments)  # raises UsageError
            shown.add(name)
    assert shown == set(COMMANDS) - FOR_THE_REPOSITORY
    for name, command in COMMANDS.items():
        example = import_module(command.module).__doc__ or ""
        for line in re.findall(rf"^    resformer {name}(.*)$", example, re.MULTILINE):
            parser_of(name).parse_args(shlex.split(line))


def test_every_link_of_the_documents_leads_somewhere() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} names {target}"
