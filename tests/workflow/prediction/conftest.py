"""Runs of a small network on tiny phantom data, evaluated: what prediction is held against."""

from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.conftest import ROOT, TINY
from workflow.base.files import write_json
from workflow.config import paths
from workflow.config.load import load_config
from workflow.config.model import Config
from workflow.evaluation.evaluate import evaluate_seeds
from workflow.networks.build import build_method

METHOD = "resformer_seq"
DATASETS = ("isic2017", "retouch_spectralis")
SEEDS = (0, 1)


class TrainedTree(NamedTuple):
    """A working folder with evaluated runs of `METHOD`, for reading only."""

    root: Path
    config: Config

    def run(self, dataset: str, seed: int = 0) -> Path:
        return self.root / paths.run(self.config, dataset, METHOD, seed)

    def evaluated(self, dataset: str, seed: int = 0) -> Path:
        return self.root / paths.evaluation(self.config, dataset, METHOD, seed)

    def prepared(self, dataset: str) -> Path:
        return self.root / paths.prepared(self.config, dataset)

    def raw(self, pattern: str) -> list[Path]:
        return sorted((self.root / self.config.results / "raw").glob(pattern))


def opinionated(network: nn.Module) -> nn.Module:
    """A network whose random weights give more than one class: its last layer has no bias."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in ("segmentation.head.bias", "classification.fc2.bias"):
                parameter.zero_()
            elif name == "segmentation.head.weight":
                parameter -= parameter.mean(dim=1, keepdim=True)
    return network


def recorded(config: Config, dataset: str, seed: int) -> dict[str, object]:
    """As much of a run.json as prediction reads."""
    return {
        "dataset": dataset,
        "method": METHOD,
        "preset": config.preset,
        "origin": config.data.origin,
        "commit": "0" * 40,
        "seed": seed,
        "data_hash": "1" * 64,
        "configuration": {
            "training": config.training_for(dataset, METHOD).model_dump(mode="json"),
            "method": config.methods[METHOD].model_dump(mode="json"),
            "dataset": config.datasets[dataset].model_dump(mode="json"),
        },
    }


@pytest.fixture(scope="session")
def trained(tiny_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedTree:
    root = tmp_path_factory.mktemp("trained")
    small = {"methods": {METHOD: {"options": {"conv_depths": [1, 1, 1, 1]}}}}
    config = load_config(ROOT / "config.yaml", {**TINY, **small, "seeds": list(SEEDS)})
    (root / config.results).mkdir(parents=True)
    for name in ("raw", "data"):
        (root / config.results / name).symlink_to(tiny_tree / config.results / name)
    write_json(root / config.results / "config.json", config.model_dump(mode="json"))
    with chdir(root):
        for dataset in DATASETS:
            for seed in SEEDS:
                torch.manual_seed(seed)
                network = opinionated(build_method(config, dataset, METHOD))
                folder = paths.run(config, dataset, METHOD, seed)
                folder.mkdir(parents=True)
                save_file(network.state_dict(), folder / "weights.safetensors")
                write_json(folder / "run.json", recorded(config, dataset, seed))
            evaluate_seeds(config, dataset, METHOD, *map(str, SEEDS))
    return TrainedTree(root, config)
