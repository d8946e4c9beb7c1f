"""A run as one file that can be carried away, and its card.

The file has the weights, and in its metadata all that is known of them: `resformer.load` builds the
network from it without the workflow, and `resformer predict` needs nothing else.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from resformer.trained import save
from workflow.base.digests import intact, read_recorded_json
from workflow.base.errors import DataError
from workflow.base.files import replacing, write_text
from workflow.config import paths
from workflow.config.notices import notices
from workflow.config.sections import Evaluation
from workflow.metrics.intervals import Design, MeanEstimate, estimate
from workflow.metrics.metrics import metrics, ratios
from workflow.metrics.saved import Counts, read_counts
from workflow.prediction.card import card
from workflow.prediction.members import TrainedRun, about_run, weights_of
from workflow.results.read import design

# Of what run.json says: what made the weights, and no name of a machine.
PROVENANCE = (
    "preset", "origin", "commit", "fingerprint", "data_hash", "split", "lock_sha256", "recipe",
    "versions", "initialisation", "parameters", "steps", "best_epoch", "best_validation",
    "finished", "weights_sha256",
)  # fmt: skip


def export(run: TrainedRun, file: Path) -> list[Path]:
    """Write a run as one file, and its card beside it.

    Args:
        run: a run that has ended.
        file: the file to write; its suffix is .safetensors.

    Returns:
        The files that were written.

    Raises:
        DataError: the run cannot be used, or its network is outside of this project.
    """
    about = replace(about_run(run), card=_known(run))
    weights = load_file(intact(weights_of(run)))
    try:
        about.build().load_state_dict(weights)
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{run.folder}: cannot be exported: {error}") from error
    with replacing(file) as temporary:
        save(temporary, weights, about)
        temporary.chmod(0o644)  # safetensors lets nobody else read it
    text = file.with_suffix(".md")
    write_text(text, card(about, file.name))
    return [file, text]


def _known(run: TrainedRun) -> dict[str, Any]:
    """What is on record of a run, as plain JSON."""
    config, (dataset, method) = run.config, run.run
    public = config.datasets[dataset].public
    manifest = run.results / "data" / dataset / "manifest.json"
    return {
        "evaluation": config.evaluation.model_dump(mode="json"),
        "dataset": dataset,
        "method": method,
        "seed": run.seed,
        "seeds": len(_counted(run)),
        "notices": list(notices(config, [run.run])),
        "licence": (public.licence or public.how_to_get.partition(":")[0]) if public else "",
        "origin": "phantom" if config.demo else public.title if public else "a folder of images",
        "data": read_recorded_json(manifest)["splits"] if manifest.is_file() else {},
        "scores": _scores(run),
        "configuration": run.facts.get("configuration", {}),
        "provenance": {key: run.facts[key] for key in PROVENANCE if key in run.facts},
    }


def _counted(run: TrainedRun) -> dict[int, Counts]:
    """What was counted of the test images, of each seed that was evaluated."""
    evaluation, dropped = run.config.evaluation, list[str]()
    if evaluation.drop_duplicates:
        gates = run.results / "data" / run.run.dataset / "gates.json"
        dropped = read_recorded_json(gates)["dropped"]
    found = {}
    for seed in run.config.seeds:
        file = run._replace(seed=seed).counts
        if file.is_file():
            counts = read_counts(file, dropped)
            if counts != (None, None):
                found[seed] = counts
    return found


def _scores(run: TrainedRun) -> list[dict[str, Any]]:
    """Its scores on the test images: of this seed, and the mean over all seeds, with intervals."""
    counted, chosen = _counted(run), design(run.config)
    evaluation = run.config.evaluation
    if run.seed not in counted:
        return []
    own = {run.seed: counted[run.seed]}
    single, over = _estimates(own, evaluation, chosen), _estimates(counted, evaluation, chosen)
    return [
        {
            "metric": name,
            "value": value,
            "n": n,
            "interval": _interval(single.get(name)),
            "mean": over[name].value if name in over else None,
            "mean_interval": _interval(over.get(name)),
            "level": chosen.level,
        }
        for name, (value, n) in metrics(counted[run.seed], evaluation).items()
    ]


def _estimates(
    counted: dict[int, Counts], evaluation: Evaluation, chosen: Design
) -> dict[str, MeanEstimate]:
    found = {name: estimate(of, chosen) for name, of in ratios(counted, evaluation).items()}
    return {name: one for name, one in found.items() if one is not None}


def _interval(found: MeanEstimate | None) -> list[float] | None:
    if found is None or found.low is None or found.high is None:
        return None
    return [found.low, found.high]


def file_of(run: TrainedRun, file: Path | None, several: bool) -> Path:
    """The file of a run: with its seed in the name where several are written.

    Args:
        run: a run that has ended.
        file: the file that was asked for; None puts it beside the run's results.
        several: whether other seeds are written too.
    """
    if file is None:
        return run.results / paths.exported(*run.run, run.seed)
    return file.with_stem(f"{file.stem}-seed{run.seed}") if several else file
