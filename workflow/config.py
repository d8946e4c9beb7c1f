"""The typed configuration: what `config.yaml` may say, checked before any job starts.

`load_config` merges four layers (the file, the chosen preset, `--configfile`, `--config`) and
validates the result. Every error names the key, the value found and what is allowed. Nothing here
imports torch: the DAG is built from this module, so it has to load at once.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from workflow.config_data import Data, Dataset
from workflow.config_errors import ConfigError, describe, merge
from workflow.config_sections import (
    Evaluation,
    Figure,
    Key,
    Method,
    Report,
    Row,
    Seeds,
    Select,
    Statistics,
    Table,
)
from workflow.files import read_yaml
from workflow.protocol import Section, Training, overlaid


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
    report: Report
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
        return overlaid(of_dataset, self.methods[method].protocol)

    def raw_source(self, dataset: str) -> str:
        """Which raw files a data set is made from: a public source, or its own folders."""
        source = self.datasets[dataset].source
        return dataset if source == "folder" else source

    def given_dir(self, source: str) -> str | None:
        """The folder of raw files that the configuration or the environment names, if any."""
        return getattr(self.data, f"{source}_dir") or os.environ.get(f"{source.upper()}_DIR")


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
        base = read_yaml(path)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(base, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(base).__name__}")
    presets = merge(base.get("presets", {}), given.get("presets", {}))
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
    _add_rows(config)
    problems = cross_check(config)
    if problems:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in dict.fromkeys(problems)))
    return config


def _add_rows(config: Config) -> None:
    """Give each method that names tables a row in them, below their own, if it has none yet."""
    for name, method in config.methods.items():
        for key in set(method.tables) & set(config.tables):
            rows = config.tables[key].rows
            if all(row.method != name for row in rows):
                rows.append(Row(title=method.title, method=name))


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
