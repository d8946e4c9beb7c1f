"""What a finished preset consists of, file by file, and whether each is what was written.

`deliverables` are what a user takes away, or would train anew for: `snakemake` makes them again
where one was deleted. What else is checked are the data and the states that they were made from.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from workflow.base.digests import Condition, condition, make_again, recorded_digests
from workflow.base.files import read_json
from workflow.base.workers import each, usable_threads
from workflow.config import cells, paths
from workflow.config.model import Config
from workflow.figures import plots

SPLITS = ("train", "val", "test")
ARRAYS = ("images.npy", "masks.npy", "labels.npy", "index.parquet")
STEPS = ("inventory.csv", "inputs.csv", "split.csv", "manifest.json", "identity.txt", "gates.json")
VERDICTS = ("values", "claims", "rankings", "audit")


class Checked(NamedTuple):
    """A file of a preset; `unknown` is one of which nothing was recorded when it was written."""

    path: Path
    condition: Condition


def deliverables(config: Config) -> list[Path]:
    """The files of runs, tables, figures and verdicts that a whole preset has."""
    return [*_of_runs(config), *_of_report(config), *verdict_files(config)]


def verdict_files(config: Config) -> list[Path]:
    """The files of the verdicts."""
    folder = paths.verdicts(config)
    return [folder / f"{name}.{suffix}" for name in VERDICTS for suffix in ("csv", "md")]


def checked(config: Config) -> list[Checked]:
    """Every file of a preset and how it is, those that are bad first."""
    report, folder = paths.report(config), paths.verdicts(config)
    listed = {**recorded_digests(report), **recorded_digests(folder), **_raw(config)}
    files = [
        config.results / "config.json",
        *_of_data(config),
        *deliverables(config),
        *_of_states(config),
        *(_files(report) if report.is_dir() else [report]),
        *listed,
    ]

    def check(file: Path) -> Checked:
        return Checked(file, condition(file, listed.get(file)))

    wanted = list(dict.fromkeys(files))
    found = list(each(check, wanted, usable_threads(config.data.threads)))
    order = ("damaged", "missing", "unknown", "good")
    return sorted(found, key=lambda one: order.index(one.condition))


def advice(config: Config, one: Checked) -> str:
    """What to do about a file that is damaged or missing; empty for any other."""
    if one.condition not in ("damaged", "missing"):
        return ""
    report, states = paths.report(config), config.results / "state"
    target = report if report in one.path.parents else one.path
    if one.path == config.results / "config.json":
        return "the next `snakemake` writes it anew"
    if states in one.path.parents:
        return "the run that it is of starts anew"
    if config.results / "raw" in one.path.parents:
        return f"delete {config.results / 'raw'}: the next `snakemake` paints it again"
    return ("delete it: " if one.condition == "damaged" else "") + make_again(target)


def _of_runs(config: Config) -> Iterator[Path]:
    for run in cells.runs(config):
        trained = config.methods[run.method].module is not None
        for seed in config.seeds:
            folder, tested = paths.run(config, *run, seed), paths.evaluation(config, *run, seed)
            yield folder / "run.json"
            if trained:
                yield folder / "history.csv"
            if trained and config.training.keep_weights:
                yield folder / "weights.safetensors"
            yield tested / "counts.parquet"
            yield tested / "masks.npz"


def _of_report(config: Config) -> Iterator[Path]:
    for key in cells.made_tables(config):
        yield from (paths.table(config, key, suffix) for suffix in paths.TABLE_FORMATS)
    for key in cells.made_figures(config):
        yield from (paths.figure(config, key, suffix) for suffix in ("pdf", "png"))
    for key in plots.made_plots(config):
        yield from (paths.plot(config, key, suffix) for suffix in ("pdf", "png"))


def _of_data(config: Config) -> Iterator[Path]:
    for dataset in cells.chosen_datasets(config):
        folder, source = paths.prepared(config, dataset), config.raw_source(dataset)
        yield paths.listing(config, source)
        if config.fetches(source):
            yield paths.downloaded(config, source)
        yield from (folder / name for name in STEPS)
        yield from (folder / split / name for split in SPLITS for name in ARRAYS)
    for dataset, method in cells.runs(config):
        yield from paths.all_superpixels(config, dataset, method)
        yield from paths.all_pretraining(config, dataset, method, config.seeds)


def _of_states(config: Config) -> Iterator[Path]:
    """What runs that have not ended have saved; the reports before are checked by the next."""
    for file in _files(config.results / "state"):
        if file.name.startswith("state") and "report" not in file.relative_to(config.results).parts:
            yield file


def _raw(config: Config) -> dict[Path, str]:
    """Phantom raw file -> the digest that its list has of it; a user's own are not the preset's."""
    found: dict[Path, str] = {}
    if not config.demo:
        return found
    for source in {config.raw_source(dataset) for dataset in cells.chosen_datasets(config)}:
        listing = paths.listing(config, source)
        if source in config.datasets or condition(listing) not in ("good", "unknown"):
            continue
        given, unpacked = paths.raw_roots(config, source)
        for name, entry in read_json(listing)["files"].items():
            label, _, inside = name.partition("/")
            found[(given if label == "given" else unpacked) / inside] = entry["sha256"]
    return found


def _files(folder: Path) -> Iterable[Path]:
    return sorted(f for f in folder.rglob("[!.]*") if f.is_file())
