"""Which trained networks predict: found by a run's folder, a preset, or an exported file.

Several seeds of a run, or several files, are the members of an ensemble. What is known of a network
is one `TrainedFile`, whether it comes from the metadata of an exported file or from what its run
wrote down, so that all that follows asks neither.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from resformer.trained import Preparation, TrainedFile, read_about
from workflow.base.digests import read_recorded_json
from workflow.base.errors import ConfigError, DataError, UsageError
from workflow.config.cells import Run
from workflow.config.datasets import Dataset
from workflow.config.errors import unknown
from workflow.config.model import Config
from workflow.config.sections import Method
from workflow.config.training import Training
from workflow.running.step import read_config

SUFFIX = ".safetensors"
WEIGHTS, RECORD, CONFIG = "weights.safetensors", "run.json", "config.json"
FORMS = (
    "give a file that `resformer export` wrote, a run's folder (results/NAME/runs/DATASET/METHOD/"
    "seed0), or a folder of results with a data set and a method (results/NAME DATASET METHOD)"
)


class EnsembleMember(NamedTuple):
    """A trained network.

    Attributes:
        name: what it is called beside the others.
        weights: the file with its weights.
        about: what is known of it.
    """

    name: str
    weights: Path
    about: TrainedFile


class TrainedRun(NamedTuple):
    """A run of training that has ended, wherever its results lie.

    Attributes:
        results: the folder of its preset's results.
        config: the configuration that lies there.
        run: its data set and method.
        seed: its seed.
        facts: what its run.json says.
    """

    results: Path
    config: Config
    run: Run
    seed: int
    facts: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where its weights and its record lie."""
        return self.results / "runs" / Path(*self.run) / f"seed{self.seed}"

    @property
    def counts(self) -> Path:
        """What its evaluation counted, if it was evaluated."""
        folder = self.results / "evaluation" / Path(*self.run) / f"seed{self.seed}"
        return folder / "counts.parquet"


def find_members(
    words: Sequence[str], seeds: Sequence[int] | None = None
) -> tuple[list[EnsembleMember], list[str]]:
    """The networks that the first words of a command line name, and the words after them.

    Args:
        words: RUN, or several exported files, then anything else.
        seeds: of a run with several seeds those that are meant; None is all.

    Raises:
        UsageError: the words name no network.
        DataError: a file or a run cannot be used.
    """
    files = _leading_files(words)
    if files:
        if seeds:
            raise UsageError("--seed: goes with runs; an exported file holds one seed")
        return [_of_file(Path(file)) for file in files], list(words[len(files) :])
    runs, rest = find_runs(words, seeds)
    return [
        EnsembleMember(f"seed {run.seed}", weights_of(run), about_run(run)) for run in runs
    ], rest


def _leading_files(words: Sequence[str]) -> list[str]:
    files: list[str] = []
    for word in words:
        if not word.endswith(SUFFIX) or (Path(word).with_name(RECORD)).is_file():
            break
        files.append(word)
    return files


def _of_file(file: Path) -> EnsembleMember:
    try:
        return EnsembleMember(file.name.removesuffix(SUFFIX), file, read_about(file))
    except (ValueError, FileNotFoundError) as error:
        raise DataError(str(error)) from error


def find_runs(
    words: Sequence[str], seeds: Sequence[int] | None = None
) -> tuple[list[TrainedRun], list[str]]:
    """The runs that the first words of a command line name, and the words after them.

    Raises:
        UsageError: the words name no run.
        DataError: a run's record cannot be used, or the run failed.
    """
    if not words:
        raise UsageError(f"RUN: missing; {FORMS}")
    path = Path(words[0])
    if path.name == WEIGHTS:
        path = path.parent
    if (path / RECORD).is_file():
        return _chosen([path], seeds), list(words[1:])
    if found := _seed_folders(path):
        return _chosen(found, seeds), list(words[1:])
    results = path if (path / CONFIG).is_file() else Path("results") / path
    if not (results / CONFIG).is_file():
        raise UsageError(f"RUN: found {words[0]}, which is no trained network; {FORMS}")
    return _chosen(_of_preset(results, words[1:3]), seeds), list(words[3:])


def _of_preset(results: Path, names: Sequence[str]) -> list[Path]:
    """The folders of the seeds of a data set and method of a preset."""
    runs = sorted(results.glob(f"runs/*/*/seed*/{RECORD}"))
    datasets = {file.parents[2].name for file in runs}
    if len(names) < 2:
        raise UsageError(
            f"RUN: {results} has runs of {', '.join(sorted(datasets)) or 'nothing'}; name a data "
            "set and a method after it"
        )
    dataset, method = names
    if dataset not in datasets:
        raise UsageError(f"RUN: {results}: data set: {unknown(dataset, datasets)}")
    methods = {file.parents[1].name for file in runs if file.parents[2].name == dataset}
    if method not in methods:
        raise UsageError(f"RUN: {results}: method: {unknown(method, methods)}")
    return _seed_folders(results / "runs" / dataset / method)


def _seed_folders(folder: Path) -> list[Path]:
    """The folders of the seeds of a method that have ended, in their order."""
    found = [file.parent for file in folder.glob(f"seed*/{RECORD}")]
    numbered = {int(one.name.removeprefix("seed")): one for one in found if one.name[4:].isdigit()}
    return [numbered[seed] for seed in sorted(numbered)]


def _chosen(folders: list[Path], seeds: Sequence[int] | None) -> list[TrainedRun]:
    runs = [read_run(folder) for folder in folders]
    there = [run.seed for run in runs]
    missing = [seed for seed in seeds or () if seed not in there]
    if missing:
        raise UsageError(
            f"--seed: found {missing[0]}; {folders[0].parent} has {', '.join(map(str, there))}"
        )
    chosen = [run for run in runs if not seeds or run.seed in seeds]
    failed = [run for run in chosen if run.facts.get("failure")]
    if failed:
        raise DataError(
            f"{failed[0].folder}: this run failed in training "
            f"({failed[0].facts['failure'].get('message', 'no reason on record')}); choose other "
            "seeds with --seed"
        )
    return chosen


def read_run(folder: Path) -> TrainedRun:
    """A run by its folder, results/NAME/runs/DATASET/METHOD/seedK.

    Raises:
        DataError: there is no record, or no configuration where the preset's results lie.
    """
    folder = Path(folder)
    around = folder.absolute()
    results = folder.parents[3] if len(folder.parents) > 4 else around.parents[3]
    if not (results / CONFIG).is_file():
        raise DataError(
            f"{folder}: found no {CONFIG} four folders above, so how its images were prepared is "
            "not known; to carry a run away, `resformer export` it where it was trained"
        )
    try:
        facts = read_recorded_json(folder / RECORD)
        config = read_config(results / CONFIG)
        seed, run = int(facts["seed"]), Run(facts["dataset"], facts["method"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise DataError(f"{folder / RECORD}: cannot be used ({error}); train it again") from error
    return TrainedRun(results, config, run, seed, facts)


def weights_of(run: TrainedRun) -> Path:
    """The weights of a run.

    Raises:
        DataError: they were not kept.
    """
    file = run.folder / WEIGHTS
    if not file.is_file():
        raise DataError(
            f"{file}: no such file; its preset deletes weights once a run is evaluated. Train it "
            "again with --config 'training={keep_weights: true}'"
        )
    return file


def about_run(run: TrainedRun) -> TrainedFile:
    """What is known of the network of a run, from what the run wrote down.

    Raises:
        DataError: this version of the code does not know its keys.
    """
    asked = run.facts.get("configuration", {})
    try:
        dataset = Dataset.model_validate(asked["dataset"])
        method = Method.model_validate(asked["method"])
        training = Training.model_validate(asked["training"])
    except (KeyError, ValidationError) as error:
        raise DataError(
            f"{run.folder / RECORD}: its configuration is of another version of the code ({error});"
            " use the version that trained it, or train it again"
        ) from error
    assert method.module is not None  # a control leaves no weights
    evaluation = run.config.evaluation
    return TrainedFile(
        title=f"{method.title} on {dataset.title}, seed {run.seed}",
        module=method.module,
        options=method.network_options,
        lesions=tuple(dataset.lesions) if "segmentation" in method.tasks else (),
        labels=tuple(dataset.labels) if "classification" in method.tasks else (),
        preparation=_preparation(run.config, dataset, training),
        decision=evaluation.decision,
        threshold=evaluation.threshold,
        precision=training.precision,
        mixes_labels=training.loss.classification_form == "conditional",
        card={"evaluation": evaluation.model_dump(mode="json")},
    )


def _preparation(config: Config, dataset: Dataset, training: Training) -> Preparation:
    resize, motions = config.data.resize, training.augmentation
    drawn = {"horizontal": motions.horizontal_flip, "vertical": motions.vertical_flip}
    return Preparation(
        image_size=dataset.image_size,
        color=dataset.color,
        scale=255.0 if training.normalize == "unit" else 1.0,
        images=resize.images,
        masks=resize.masks,
        # As the source of its raw files reads them.
        reduced=dataset.public is not None and not dataset.volumes,
        intensity=dataset.intensity,
        mask_values=tuple(dataset.folder.mask_values) if dataset.folder else (),
        flips=tuple(name for name, share in drawn.items() if share > 0),
    )
