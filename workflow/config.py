"""The typed configuration: what `config.yaml` may say, checked before any job starts.

`load_config` merges four layers (the file, the chosen preset, `--configfile`, `--config`) and
validates the result. Every error names the key, the value found and what is allowed. Nothing here
imports torch: the DAG is built from this module, so it has to load at once.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from workflow.config_errors import ConfigError, describe, merge

Task = Literal["segmentation", "classification"]
Metric = Literal["ji", "dsc", "acc", "sen", "spe"]
METRIC_TASK: dict[str, Task] = {
    "ji": "segmentation",
    "dsc": "segmentation",
    "acc": "classification",
    "sen": "classification",
    "spe": "classification",
}

# What each source annotates, and so what `lesions` and `labels` may name.
LESIONS = {"retouch": ("irf", "srf", "ped"), "isic2017": ("lesion",)}
LABELS = {
    "retouch": ("irf", "srf", "ped", "no_fluid"),
    "isic2017": ("melanoma", "seborrheic_keratosis", "nevus"),
}

# Keys become rule names, folders and words of shell commands.
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("each value may occur once")
    return values


Names = Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)]
Seeds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_distinct)]


class Section(BaseModel):
    """A group of keys: unknown ones are refused, values cannot change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Select(Section):
    """Which data sets and methods to make; null is all."""

    datasets: list[str] | None = None
    methods: list[str] | None = None


class PhantomRetouch(Section):
    """Size of the phantom OCT sets, per vendor."""

    volumes: Annotated[int, Field(ge=4, le=24)]
    scale: Annotated[float, Field(ge=0.1, le=1)]


class PhantomIsic(Section):
    """Size of the phantom dermoscopy archives."""

    train: Annotated[int, Field(ge=6)]
    val: Annotated[int, Field(ge=6)]
    test: Annotated[int, Field(ge=6)]
    size: tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]]


class Phantom(Section):
    """What the workflow writes itself where no real data is at hand."""

    seed: Annotated[int, Field(ge=0)]
    retouch: PhantomRetouch
    isic2017: PhantomIsic


class Data(Section):
    """Where raw data comes from."""

    origin: Literal["local", "phantom"]
    retouch_dir: str | None
    isic2017_dir: str | None
    val_volumes: Positive
    test_volumes: Positive
    phantom: Phantom


class Augmentation(Section):
    """Random rotation and flips (paper, section IV)."""

    rotation: Annotated[float, Field(ge=0, le=180)]
    horizontal_flip: Share
    vertical_flip: Share


class Loss(Section):
    """L = lambda1 * weighted multi-label CE + lambda2 * Dice (paper, section III-C)."""

    classification: Annotated[float, Field(ge=0)]
    segmentation: Annotated[float, Field(ge=0)]
    class_weights: Literal["inverse_prevalence", "none"] | list[Annotated[float, Field(gt=0)]]
    dice_smooth: Annotated[float, Field(gt=0)]
    focal: Annotated[float, Field(ge=0)]
    focal_gamma: Annotated[float, Field(ge=0)]


class Training(Section):
    """The common protocol (paper, section IV)."""

    epochs: Positive
    max_steps: Positive | None
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0)]
    betas: tuple[Beta, Beta]
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["polynomial", "cosine", "constant"]
    power: Annotated[float, Field(gt=0)]
    warmup: Share
    gradient_clip: Annotated[float, Field(gt=0)] | None
    normalize: Literal["unit", "none"]
    augmentation: Augmentation
    loss: Loss
    checkpoint: Literal["loss", "ji"]
    validation: Literal["val", "test"]
    precision: Literal["auto", "bf16", "float32"]
    determinism: Literal["strict", "fast"]
    device: Literal["auto", "cpu", "cuda"]
    threads: Positive
    seeds_per_job: Positive


class Dataset(Section):
    """One data set of the paper."""

    title: str
    source: Literal["retouch", "isic2017"]
    vendor: Literal["Cirrus", "Spectralis", "Topcon"] | None = None
    image_size: Positive
    lesions: Names
    labels: Names
    split: str
    slice_step: Positive
    training: dict[str, Any] = {}

    @model_validator(mode="after")
    def _vendor_fits_source(self) -> Self:
        if (self.vendor is not None) != (self.source == "retouch"):
            raise ValueError("`vendor` goes with source retouch, and only with it")
        return self


class Sizes(Section):
    """Which square input sizes a network can take."""

    multiple_of: Positive
    minimum: Positive


class Method(Section):
    """One compared method: the module whose `build` makes the network, and its options."""

    title: str
    module: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+$")]
    options: dict[str, Any] = {}
    tasks: Annotated[list[Task], Field(min_length=1)]
    sizes: Sizes
    training: dict[str, Any] = {}


class ColumnGroup(Section):
    """Columns of a table under one title: one column per metric."""

    title: str
    dataset: str | None = None
    metrics: Annotated[list[Metric], Field(min_length=1)]


class Row(Section):
    """A row of a table; `methods` (column group title -> method) where the column chooses."""

    title: str
    group: str | None = None
    dataset: str | None = None
    method: str | None = None
    methods: dict[str, str] | None = None

    @model_validator(mode="after")
    def _one_kind_of_method(self) -> Self:
        if (self.method is None) == (self.methods is None):
            raise ValueError("a row needs either `method` or `methods`, and not both")
        return self


class Table(Section):
    """A results table (II-IX), or the data set summary (I)."""

    kind: Literal["results", "datasets"] = "results"
    enabled: bool = True
    caption: str
    mark: Literal["color", "bold"] | None = None
    compare_within: list[Literal["group", "dataset"]] = []
    datasets: list[str] = []
    columns: list[ColumnGroup] = []
    rows: list[Row] = []


class Figure(Section):
    """A qualitative figure (5-8)."""

    enabled: bool = True
    caption: str
    palette: Literal["classes", "errors"]
    datasets: Names
    methods: Names
    cases_per_dataset: Positive


class Evaluation(Section):
    """How test images are scored."""

    batch_size: Positive
    decision: Literal["sigmoid", "softmax"]
    threshold: Share


class Statistics(Section):
    """How seeds are summarised."""

    spread_ddof: Annotated[int, Field(ge=0, le=1)]
    decimals: Annotated[int, Field(ge=0, le=4)]


class Config(Section):
    """The whole configuration of one preset, resolved."""

    preset: str
    notice: str | None
    seeds: Seeds
    select: Select
    data: Data
    datasets: Annotated[dict[Key, Dataset], Field(min_length=1)]
    methods: Annotated[dict[Key, Method], Field(min_length=1)]
    training: Training
    evaluation: Evaluation
    statistics: Statistics
    tables: dict[Key, Table]
    figures: dict[Key, Figure]
    presets: dict[str, dict[str, Any]] = {}

    @property
    def results(self) -> Path:
        """The folder this preset writes to."""
        return Path("results") / self.preset

    @property
    def demo(self) -> bool:
        """True where the numbers come from phantom data and mean nothing beside the paper's."""
        return self.data.origin == "phantom"

    def chosen(self, dataset: str, method: str) -> bool:
        """Whether `select` keeps this (data set, method)."""
        datasets, methods = self.select.datasets, self.select.methods
        return (datasets is None or dataset in datasets) and (methods is None or method in methods)

    def training_for(self, dataset: str, method: str) -> Training:
        """The training protocol of one run: common, then the data set's, then the method's keys."""
        of_dataset = overlaid(self.training, self.datasets[dataset].training)
        return overlaid(of_dataset, self.methods[method].training)

    def given_dir(self, source: str) -> str | None:
        """The folder of raw files that the configuration or the environment names, if any."""
        return getattr(self.data, f"{source}_dir") or os.environ.get(f"{source.upper()}_DIR")

    def raw_dir(self, source: str) -> Path:
        """The folder with the raw files of `retouch` or `isic2017`.

        Raises:
            ConfigError: origin is local and neither the key nor the variable is set.
        """
        if self.data.origin == "phantom":
            return self.results / "raw" / source
        given = self.given_dir(source)
        if not given:
            raise ConfigError(
                f"data.{source}_dir is not set, and neither is ${source.upper()}_DIR: preset "
                f"`{self.preset}` reads real data. Set one of them to the folder that holds the "
                f"{source} files (docs/data.md says which), or run preset=demo, which needs none."
            )
        return Path(given)


def overlaid(training: Training, layer: dict[str, Any]) -> Training:
    """The protocol with some of its keys replaced."""
    return Training.model_validate(merge(training.model_dump(), layer))


def load_config(
    path: str | Path = "config.yaml", overrides: dict[str, Any] | None = None
) -> Config:
    """Merge file, preset and overrides, and validate the result.

    Args:
        path: the configuration file.
        overrides: nested keys that win over file and preset (what `--configfile` and `--config`
            gave); the string `null` stands for None, as on Snakemake's command line.

    Returns:
        The resolved configuration.

    Raises:
        ConfigError: naming each offending key, the value found and what is allowed.
    """
    return resolve(load_raw(path, overrides), str(path))


def load_raw(
    path: str | Path = "config.yaml", overrides: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The merged but unvalidated layers, as plain data.

    Raises:
        ConfigError: the file is missing or is not a mapping, or the preset is unknown.
    """
    path = Path(path)
    given: dict[str, Any] = _typed(overrides or {})
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; run from the repository root")
    try:
        base = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(base, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(base).__name__}")
    presets = base.get("presets", {})
    preset = given.get("preset", base.get("preset"))
    if not isinstance(preset, str) or preset not in presets:
        raise ConfigError(f"preset: found {preset!r}; allowed: {', '.join(presets)}")
    return merge(merge(base, presets[preset]), given)


def resolve(raw: dict[str, Any], where: str = "configuration") -> Config:
    """Validate merged layers: first each key, then what keys say of each other.

    Raises:
        ConfigError: as for `load_config`.
    """
    from workflow.config_checks import cross_check

    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(describe(error, Config, where)) from None
    problems = cross_check(config)
    if problems:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in dict.fromkeys(problems)))
    return config


def _typed(value: Any, as_yaml: bool = False) -> Any:
    """Snakemake's `--config` hands YAML scalars over as strings; give them back their meaning.

    Most keys have a type that does it when they are validated. None has no such type, and neither
    have a method's `options`, where the string "false" would count as true.
    """
    if isinstance(value, dict):
        return {key: _typed(item, as_yaml or key == "options") for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item, as_yaml) for item in value]
    if value in ("null", "None"):
        return None
    return yaml.safe_load(value) if as_yaml and isinstance(value, str) else value
