"""Where everything that the DAG writes lies: one place for rules, steps and report to agree on.

All paths are relative to the repository root and begin with `results/<preset>/`.
"""

from pathlib import Path

from workflow.config import Config


def prepared(config: Config, dataset: str) -> Path:
    """Folder of a data set's inventory, split, manifest and prepared arrays."""
    return config.results / "data" / dataset


def run(config: Config, dataset: str, method: str, seed: int | str) -> Path:
    """Folder of one training run: weights.safetensors, history.csv, run.json."""
    return config.results / "runs" / dataset / method / f"seed{seed}"


def superpixels(config: Config, dataset: str, method: str, count: int | str) -> Path:
    """The label maps of one number of superpixels, of the training images."""
    folder = config.results / "pretraining" / dataset / method
    return folder / "superpixels" / f"{count}.npz"


def all_superpixels(config: Config, dataset: str, method: str) -> list[Path]:
    """The label maps of every number of superpixels that a pretraining may choose."""
    settings = config.methods[method].pretraining
    counts = settings.superpixels if settings else []
    return [superpixels(config, dataset, method, count) for count in counts]


def pretraining(config: Config, dataset: str, method: str, seed: int | str) -> Path:
    """Folder of what a run of a pretrained method starts from: weights.safetensors, policy.json."""
    return config.results / "pretraining" / dataset / method / f"seed{seed}"


def all_pretraining(config: Config, dataset: str, method: str, seeds: list[int]) -> list[Path]:
    """What the runs of some seeds start from; no files where the method is not pretrained."""
    if config.methods[method].pretraining is None:
        return []
    folders = [pretraining(config, dataset, method, seed) for seed in seeds]
    names = ("weights.safetensors", "policy.json")
    return [folder / name for folder in folders for name in names]


def evaluation(config: Config, dataset: str, method: str, seed: int | str) -> Path:
    """Folder of one run's test results: counts.parquet, masks.npz."""
    return config.results / "evaluation" / dataset / method / f"seed{seed}"


def table(config: Config, key: str, suffix: str) -> Path:
    """One table in one format (csv, md, tex or html)."""
    return config.results / "tables" / f"table_{key}.{suffix}"


def figure(config: Config, key: str, suffix: str) -> Path:
    """One figure in one format (pdf or png)."""
    return config.results / "figures" / f"figure_{key}.{suffix}"


def report(config: Config) -> Path:
    """The folder of the HTML report; open its index.html."""
    return config.results / "report"
