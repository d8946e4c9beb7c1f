"""ISIC 2017 from a web server to gates, as a user with internet gets it: on the real images.

The 256-pixel copies are packed into archives of the official layout and served by this machine.
"""

import csv
import hashlib
import json
import os
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.workflow.data.fetching.http_server import Answer, Script, serving
from tests.workspace import ROOT, copy_tree, snakemake

IMAGES = ROOT.parent / "shared" / "data" / "isic2017_256"
PARTS = ("Training", "Validation", "Test_v2")


def pack(folder: Path) -> dict[str, str]:
    """Write the archives and tables of the copies; returns name -> MD5."""
    folder.mkdir()
    for part in PARTS:
        for kind in ("Data", "Part1_GroundTruth"):
            source = IMAGES / f"ISIC-2017_{part}_{kind}"
            with zipfile.ZipFile(folder / f"{source.name}.zip", "w") as archive:
                archive.writestr(f"{source.name}/ATTRIBUTION.txt", "CC0 1.0")
                for file in sorted(source.glob("*.*")) if source.is_dir() else ():
                    archive.write(file, f"{source.name}/{file.name}")
                    if kind == "Data":  # the official archives hold these too; they are not masks
                        name = f"{source.name}/{file.stem}_superpixels.png"
                        archive.writestr(name, b"not looked at")
        table = f"ISIC-2017_{part}_Part3_GroundTruth.csv"
        (folder / table).write_bytes((IMAGES / table).read_bytes())
    return {f.name: hashlib.md5(f.read_bytes()).hexdigest() for f in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Script, str]:
    """A tree whose data steps ran against the server, what was asked of it, and what was said."""
    if not IMAGES.is_dir() and not os.environ.get("RESFORMER_TEST_EVERYTHING"):
        pytest.skip(f"the real images are not at hand (looked for {IMAGES.name} beside the tree)")
    folder, served = copy_tree(tmp_path_factory.mktemp("net")), tmp_path_factory.mktemp("web") / "w"
    record = yaml.safe_load((ROOT / "workflow/data/records/isic2017_256.yaml").read_text())
    record["files"] = pack(served)
    (folder / "record.yaml").write_text(yaml.safe_dump(record))
    script = Script()
    # A day as it may be: one archive comes in two pieces, one only at the second attempt.
    script.first["ISIC-2017_Validation_Data.zip"].append(Answer(cut=100_000))
    script.first["ISIC-2017_Test_v2_Data.zip"].append(Answer(status=503))
    with serving(served, script) as url:
        done = snakemake(folder, *arguments(url), ISIC2017_DIR="")
    assert done.returncode == 0, done.stdout[-4000:]
    return folder, script, done.stdout


def arguments(url: str) -> list[str]:
    return [
        "--config",
        "preset=isic256",
        f"data={{isic2017_url: '{url}', isic2017_record: record.yaml}}",
        "--",
        "results/isic256/data/isic2017/gates.json",
    ]


def test_counts_come_out_right_for_what_is_there(made: tuple[Path, Script, str]) -> None:
    data = made[0] / "results/isic256/data/isic2017"
    with (data / "inventory.csv").open() as stream:
        inventory = list(csv.DictReader(stream))
    assert Counter(row["part"] for row in inventory) == {"train": 1700, "val": 150, "test": 600}
    assert Counter(row["part"] for row in inventory if row["has_mask"] == "True") == {
        "train": 1700,
        "val": 150,
    }
    known = {row["image_id"]: row for row in csv.DictReader((IMAGES / "manifest.csv").open())}
    for row in inventory:
        assert row["sha256"] == known[row["id"]]["image_sha256"]
        for label in ("melanoma", "seborrheic_keratosis", "nevus"):
            assert row[f"label_{label}"] == known[row["id"]][label]


def test_the_gates_found_every_pair_that_is_on_record(made: tuple[Path, Script, str]) -> None:
    found = json.loads((made[0] / "results/isic256/data/isic2017/gates.json").read_text())
    with (ROOT / "workflow/data/records/isic2017_duplicates.csv").open() as stream:
        pairs = {frozenset((r["image_a"], r["image_b"])) for r in csv.DictReader(stream)}
    split = ROOT / "workflow/data/splits/isic2017_256.csv"
    with split.open() as stream:
        used = {row["id"] for row in csv.DictReader(stream)}
    listed = {frozenset((d["a"], d["b"])): d for d in found["duplicates"]}
    assert set(listed) == {pair for pair in pairs if pair <= used}
    assert all(entry["known"] for entry in listed.values())
    assert found["dropped"] == []  # the split leaves out what is in training and test
    images = {name: split["images"] for name, split in found["prevalence"].items()}
    assert images == {"train": 1514, "val": 181, "test": 750}
    assert all(gate["passed"] for gate in found["gates"])


def test_each_byte_was_fetched_once(made: tuple[Path, Script, str]) -> None:
    requests = Counter(r.name for r in made[1].requests)
    kinds = ("Data.zip", "Part1_GroundTruth.zip", "Part3_GroundTruth.csv")
    names = {f"ISIC-2017_{part}_{kind}" for part in PARTS for kind in kinds}
    assert set(requests) == names
    resumed = [r.start for r in made[1].requests if r.name == "ISIC-2017_Validation_Data.zip"]
    assert max(resumed) > 0


def test_a_second_run_fetches_and_makes_nothing(made: tuple[Path, Script, str]) -> None:
    again = snakemake(made[0], *arguments("http://127.0.0.1:9/"), ISIC2017_DIR="")
    assert "Nothing to be done" in again.stdout


def test_another_preset_finds_the_files_in_the_store(made: tuple[Path, Script, str]) -> None:
    words = [word.replace("isic256", "released") for word in arguments("http://127.0.0.1:9/")]
    words[-1] = "results/released/data/isic2017_downloaded.txt"
    done = snakemake(made[0], *words, ISIC2017_DIR="")
    assert done.returncode == 0, done.stdout[-4000:]
    assert (made[0] / words[-1]).read_text().count("ISIC-2017_") == 9
