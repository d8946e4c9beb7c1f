"""What knowing nothing scores: `python -m workflow.evaluation.controls CONFIG DATASET...`.

Two controls that any network has to beat before its Dice means anything: one that calls every
pixel background, and one that draws each pixel's class with its share of the training pixels.
Prints them beside the saved runs of each data set.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from workflow.cells import runs
from workflow.config import Config
from workflow.data.arrays import NO_MASK, load_arrays
from workflow.evaluation.counts import pixel_counts
from workflow.evaluation.metrics import collect, segmentation_metrics
from workflow.step import run_step


def controls(config: Config, dataset: str, seed: int = 0) -> dict[str, dict[str, float]]:
    """control -> metric -> per cent, on the test images of a data set that have a mask."""
    lesions = config.datasets[dataset].lesions
    training = load_arrays(config, dataset, "train").masks
    reference = np.array(load_arrays(config, dataset, "test").masks)
    reference = reference[reference[:, 0, 0] != NO_MASK]
    known = training[training[:, 0, 0] != NO_MASK]
    share = np.bincount(known.ravel(), minlength=len(lesions) + 1) / known.size
    drawn = np.random.default_rng(seed).choice(len(share), size=reference.shape, p=share)
    guesses = {"all background": np.zeros_like(reference), "class prior": drawn}
    return {name: _scores(guess, reference, lesions) for name, guess in guesses.items()}


def _scores(guess: np.ndarray, reference: np.ndarray, lesions: list[str]) -> dict[str, float]:
    counted = pixel_counts(torch.from_numpy(guess), torch.from_numpy(reference), len(lesions))
    table = pd.DataFrame(counted.reshape(-1, 4).numpy(), columns=["tp", "fp", "fn", "tn"])
    table["name"] = np.tile(lesions, len(reference))
    return {metric: value for metric, (value, _) in segmentation_metrics(table).items()}


def show(config: Config, *datasets: str) -> None:
    """Print the controls and every saved run of the given data sets (all, if none is given)."""
    lines = [("data set", "method", "seed", "JI", "DSC")]
    for dataset in datasets or dict.fromkeys(run.dataset for run in runs(config)):
        for name, scores in controls(config, dataset).items():
            lines.append((dataset, name, "-", f"{scores['ji']:.1f}", f"{scores['dsc']:.1f}"))
        found = collect(config, [run for run in runs(config) if run.dataset == dataset])
        table = found.pivot_table(index=["method", "seed"], columns="metric", values="value")
        for (method, seed), row in table.iterrows():  # pyright: ignore[reportGeneralTypeIssues]
            if not np.isnan(row.get("dsc", np.nan)):
                lines.append((dataset, method, str(seed), f"{row['ji']:.1f}", f"{row['dsc']:.1f}"))
    for line in lines:
        sys.stdout.write("{:<20}{:<26}{:>4}{:>7}{:>7}\n".format(*line))


if __name__ == "__main__":
    run_step(show, Path(sys.argv[1]), *sys.argv[2:])
