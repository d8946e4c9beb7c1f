"""What the report says of each data set: sizes, splits, prevalence, gates, duplicates, samples.

All of it is read from what the data steps left: the manifest, and what the gates found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflow.audit.paper import published_paper
from workflow.audit.prevalence import (
    Implied,
    classification_rows,
    implied_prevalence,
)
from workflow.base.digests import read_recorded_json, reading
from workflow.config import paths
from workflow.config.cells import chosen_datasets
from workflow.config.datasets import Dataset
from workflow.config.model import Config
from workflow.data.split import SPLITS
from workflow.report.content import slug
from workflow.report.samples import Sample, write_samples
from workflow.results.printed import dataset_notes
from workflow.tables.datasets import native_sizes

# Native sizes: more than these are told by their smallest and largest.
SIZES_LISTED = 3
# Data sets of more groups (volumes) than these only have them counted.
GROUPS_LISTED = 100


@dataclass(frozen=True)
class DatasetEntry:
    """One prepared data set, ready for its part of the page.

    Attributes:
        key: the data set's key in the configuration.
        found: what the gates wrote, or nothing if they have not passed.
        implied: the share of positive labels that the paper's rows allow, if it has any.
        notes: what of the paper's description cannot be.
        samples: pictures, written already.
        groups: split -> the groups in it; nothing where they are too many to be listed.
    """

    key: str
    definition: Dataset
    manifest: Mapping[str, Any]
    found: Mapping[str, Any]
    implied: Implied | None
    notes: list[str]
    samples: list[Sample]
    groups: Mapping[str, list[str]]

    @property
    def unit(self) -> str:
        """What is kept on one side of a split."""
        if self.definition.split == "slices":
            return "slice"
        if self.definition.volumes:
            return "volume"
        return "group" if self.definition.by_volume else "image"

    @property
    def sizes(self) -> str:
        """Native sizes: the commonest, or the range where there are many."""
        many = len(self.manifest["original_sizes"]) > SIZES_LISTED
        if many and self.found:
            (w, h), (wide, high) = (self.found["sizes"][k] for k in ("smallest", "largest"))
            return f"{w}×{h} to {wide}×{high}, {self.found['sizes']['distinct']} different ones"
        return native_sizes(self.manifest)


def dataset_entries(
    config: Config, manifests: Mapping[str, Mapping[str, Any]], samples: Path
) -> list[DatasetEntry]:
    """Every prepared data set that some run needs; writes its sample pictures to a folder."""
    printed = classification_rows(published_paper().cells)
    entries = []
    for name in chosen_datasets(config):
        if name not in manifests:
            continue
        gates = paths.gates(config, name)
        entries.append(
            DatasetEntry(
                key=name,
                definition=config.datasets[name],
                manifest=manifests[name],
                found=read_recorded_json(gates) if gates.is_file() else {},
                implied=implied_prevalence(printed[name]) if name in printed else None,
                notes=dataset_notes().get(name, []),
                samples=write_samples(config, name, samples, slug(name)),
                groups=_groups(config, name),
            )
        )
    return entries


def _groups(config: Config, dataset: str) -> dict[str, list[str]]:
    folder, found = paths.prepared(config, dataset), {}
    for split in SPLITS:
        index = folder / split / "index.parquet"
        if index.is_file():
            with reading(index):
                groups = pd.read_parquet(index, columns=["group"])["group"]
            found[split] = sorted(groups.astype(str).unique())
    return found if sum(map(len, found.values())) <= GROUPS_LISTED else {}
