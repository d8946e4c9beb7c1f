"""Where the weights of a run lie, its exported files and cards, and what predicts with them."""

from pathlib import Path
from typing import NamedTuple

from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.model import Config


class Link(NamedTuple):
    """A text and the address that it leads to, from the report's folder."""

    text: str
    href: str


class RunUse(NamedTuple):
    """What is to be had of a run; links lead out of the report, into the results beside it.

    Attributes:
        weights: of each seed whose weights were kept.
        exports: of each seed that was exported, the file and its card.
        predict: the command that predicts with all seeds.
        export: the command that exports them.
    """

    weights: tuple[Link, ...] = ()
    exports: tuple[tuple[Link, Link], ...] = ()
    predict: str = ""
    export: str = ""


def run_use(config: Config, run: Run) -> RunUse:
    """What is to be had of a run; nothing of a control."""
    weights, exports = [], []
    for seed in config.seeds:
        file = paths.run(config, *run, seed) / "weights.safetensors"
        if file.is_file():
            weights.append(_link(config, file, f"seed {seed}"))
        exported = config.results / paths.exported(*run, seed)
        card = exported.with_suffix(".md")
        if exported.is_file() and card.is_file():
            exports.append((_link(config, exported, exported.name), _link(config, card, "card")))
    named = f"{config.results.as_posix()} {run.dataset} {run.method}"
    return RunUse(
        tuple(weights),
        tuple(exports),
        f"uv run resformer predict {named} IMAGES --out masks",
        f"uv run resformer export {named}",
    )


def _link(config: Config, file: Path, text: str) -> Link:
    """A link to a file of the results, beside which the report lies."""
    return Link(text, f"../{file.relative_to(config.results).as_posix()}")
