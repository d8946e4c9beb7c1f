"""The whole configuration of one preset as one typed object: what every other room is given."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from workflow.config.datasets import Data, Dataset
from workflow.config.sections import (
    Evaluation,
    Figure,
    Key,
    Method,
    Report,
    Seeds,
    Select,
    Statistics,
    Table,
)
from workflow.config.sources import SOURCES
from workflow.config.training import Section, Training, overlaid


class Config(Section):
    """The whole configuration of one preset, resolved."""

    preset: Key
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
    presets: dict[Key, dict[str, Any]] = {}

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

    def record(self, source: str) -> str | None:
        """The file with what is on record of a public source's raw files, if one is named."""
        return getattr(self.data, f"{source}_record", None)

    def archives_record(self, source: str) -> str | None:
        """The record of a source that has the checksums of its archives, if one is named."""
        about = SOURCES.get(source)
        return self.record(source) if about and not about.volumes else None

    def fetches(self, source: str) -> bool:
        """Whether a source's archives are downloaded, because nobody gave them."""
        about = SOURCES.get(source)
        return bool(about and about.downloaded and not self.demo and not self.given_dir(source))

    def address(self, source: str) -> str:
        """Where the archives of a source are downloaded from."""
        return getattr(self.data, f"{source}_url")

    def phantom_sizes(self, source: str) -> dict[str, Any]:
        """How many phantoms of a source are written, and how large."""
        return getattr(self.data.phantom, source).model_dump()

    def given_dir(self, source: str) -> str | None:
        """The folder of raw files that the configuration or the environment names, if any."""
        return getattr(self.data, f"{source}_dir") or os.environ.get(f"{source.upper()}_DIR")
