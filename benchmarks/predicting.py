"""Prediction held against evaluation, and against a plain loop: `python -m benchmarks.predicting`.

    python -m benchmarks.predicting results/isic256 isic2017 resformer_par

Predicts the raw test images of an evaluated run with `resformer predict` and its references, as
somebody would who has only the files, and prints every score beside the workflow's: they have to be
the same to the last digit, or the exit code is 1. Then it prints images a second of prediction, and
of a plain loop that reads, resizes, predicts and writes one image after the other on as many
threads, in turns; both on the processor.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import load_file

from workflow.base.files import csv_text, write_text
from workflow.data.sources.source import Source, open_source
from workflow.metrics.metrics import metrics
from workflow.metrics.saved import read_counts
from workflow.networks.device import available_cpus
from workflow.prediction.inputs import InputImage, find_inputs
from workflow.prediction.members import EnsembleMember, find_members, find_runs
from workflow.prediction.predict import predict
from workflow.prediction.references import find_references
from workflow.prediction.request import Wanted, evaluation_of


def main() -> int:
    """Print the comparison; the exit code is 1 if a score differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predicting", description=__doc__)
    parser.add_argument("words", nargs=3, metavar="RUN", help="results, data set, method")
    parser.add_argument("--speed-only", action="store_true", help="leave the scores out")
    parser.add_argument("--images", type=int, default=64, help="of the speeds; default: 64")
    parser.add_argument("--rounds", type=int, default=3, help="of the speeds; default: 3")
    given = parser.parse_args()
    (run, *_), _ = find_runs(given.words)
    (member, *_), _ = find_members(given.words, [run.seed])
    index = pq.read_table(run.results / "data" / run.run.dataset / "test" / "index.parquet")
    rows = index.to_pylist()
    source = open_source(run.config, run.run.dataset)
    files = {row["id"]: raw_files(source, row["group"]) for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        differing = 0
        if not given.speed_only:
            differing = scores(run.counts, member, rows, files, Path(folder))
        images = [files[row["id"]][0] for row in rows][: given.images]
        speeds(member, images, given.rounds, Path(folder))
    return int(differing > 0)


def raw_files(source: Source, group: str) -> tuple[Path, ...]:
    """The raw image of a group, and its mask if it has one."""
    return source.rows(group)[0]["files"]


def scores(
    counts: Path,
    member: EnsembleMember,
    rows: list[dict[str, object]],
    files: dict[str, tuple[Path, ...]],
    folder: Path,
) -> int:
    """Print every score of prediction beside the workflow's; how many differ."""
    masks, labels = folder / "masks", folder / "labels.csv"
    masks.mkdir()
    for row in rows:
        image, *mask = files[str(row["id"])]
        if row["score_segmentation"] and mask:
            (masks / f"{image.stem}{mask[0].suffix}").symlink_to(mask[0].absolute())
    names = member.about.labels
    called = [{"id": r["id"], **{n: r[f"label_{n}"] for n in names}} for r in rows
              if r["score_classification"]]  # fmt: skip
    write_text(labels, csv_text(("id", *names), called))
    evaluation = evaluation_of(member)
    images, _ = find_inputs([str(files[str(row["id"])][0]) for row in rows])
    outcome = predict(
        [member],
        images,
        Wanted(folder / "out", "cpu", evaluation.batch_size),
        references=find_references([masks, labels], member.about, evaluation),
        say=lambda line: print(line, flush=True),
    )
    expected = metrics(read_counts(counts), evaluation)
    differing = 0
    print(f"{len(rows)} test images, {len(outcome.refused)} refused")
    for one in outcome.scores:
        value, n = expected[one.name]
        same = value == one.value and n == one.n
        differing += not same
        print(f"{one.name:6} predicted {one.value!r:22} workflow {value!r:22} n {one.n} {n} "
              f"{'the same' if same else 'DIFFERS'}")  # fmt: skip
    return differing


def speeds(member: EnsembleMember, images: list[Path], rounds: int, folder: Path) -> None:
    """Print images a second of prediction and of a plain loop, in turns."""
    given = [InputImage(file.stem, file, "picture") for file in images]
    found: dict[str, list[float]] = {"resformer predict": [], "plain loop": []}
    for turn in range(rounds):
        wanted = Wanted(folder / f"turn{turn}", "cpu", evaluation_of(member).batch_size)
        outcome = predict([member], given, wanted, say=lambda _: None)
        found["resformer predict"].append(len(images) / outcome.seconds)
        found["plain loop"].append(len(images) / plain(member, images, folder / f"plain{turn}"))
    for name, rates in found.items():
        each = ", ".join(f"{rate:.1f}" for rate in rates)
        print(f"{name:18} {np.median(rates):6.1f} images/s (median of {each})")
    ratio = np.median(found["resformer predict"]) / np.median(found["plain loop"])
    print(
        f"{ratio:.2f} times a plain loop, {len(images)} images on {available_cpus()} "
        "threads; both write masks, prediction also tables, small pictures and a page"
    )


def plain(member: EnsembleMember, images: list[Path], folder: Path) -> float:
    """Seconds of a loop as one writes it in ten minutes."""
    folder.mkdir()
    network = member.about.build()
    network.load_state_dict(load_file(member.weights))
    network.eval()
    torch.set_num_threads(available_cpus())
    size = member.about.preparation.image_size
    start = time.perf_counter()
    for file in images:
        picture = Image.open(file).convert("RGB")
        small = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
        pixels = torch.from_numpy(small.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            mask = network(pixels).segmentation.argmax(1)[0].to(torch.uint8).numpy()
        resized = Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST)
        resized.save(folder / f"{file.stem}.png")
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
