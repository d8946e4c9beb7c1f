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
