"""The page to look at predictions: each image as the network saw it, what was found, and numbers.

One file beside its pictures, readable from disk; without scripts all but the slider works.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from resformer.trained import TrainedFile
from workflow.base.files import write_text
from workflow.base.templating import environment
from workflow.config.metrics import METRICS, with_unit
from workflow.figures.overlays import class_colours
from workflow.prediction.inputs import RefusedFile
from workflow.prediction.references import ScoredMetric
from workflow.prediction.writing import THUMBS, PredictedImage, shown_slice

TEMPLATES = Path(__file__).with_name("templates")


class ShownPrediction(NamedTuple):
    """An image on the page: addresses of its pictures and its mask, and what is said of it."""

    name: str
    thumb: str
    painted: str
    mask: str
    size: str
    facts: list[tuple[str, str, bool]]
    notes: str


def shown(image: PredictedImage, about: TrainedFile) -> ShownPrediction:
    """What the page says of an image; of a volume, of its slice with most of any lesion."""
    k = shown_slice(image)
    row, height, width = image.rows[k], *image.read.size
    size = f"{width} × {height}"
    if image.read.volume:
        size += f", {len(image.rows)} slices; shown: slice {k}"
    name, painted = quote(image.name), bool(about.lesions)
    return ShownPrediction(
        image.name,
        f"{THUMBS}/{name}.webp",
        f"{THUMBS}/{name}_painted.webp" if painted else "",
        quote(row.get("mask", "")),
        size,
        _facts(row, image.total, about),
        row["notes"],
    )


def _facts(
    row: Mapping[str, Any], total: Mapping[str, Any] | None, about: TrainedFile
) -> list[tuple[str, str, bool]]:
    facts = []
    for lesion in about.lesions:
        if total is None:
            facts.append((lesion, f"{row[f'pixels_{lesion}']:,} pixels", False))
        else:
            length = total.get(f"mm3_{lesion}")
            voxels = f"{total[f'voxels_{lesion}']:,} voxels"
            facts.append((lesion, f"{length} mm³" if length else voxels, False))
    for label in about.labels:
        share, there = float(row[f"probability_{label}"]), bool(row[f"called_{label}"])
        facts.append((label.replace("_", " "), f"{100 * share:.1f} %", there))
    return facts


def write_page(
    folder: Path,
    about: TrainedFile,
    members: Sequence[str],
    images: Sequence[ShownPrediction],
    refused: Sequence[RefusedFile],
    scores: Sequence[ScoredMetric],
) -> None:
    """Write the page of a folder of predictions."""
    colours = ["#{:02x}{:02x}{:02x}".format(*one) for one in class_colours(about.lesions)]
    text = (
        environment(TEMPLATES)
        .get_template("predictions.html")
        .render(
            title=about.title,
            members=members,
            images=images,
            volumes="slices" in " ".join(image.size for image in images),
            refused=refused,
            scores=scores,
            titles={name: with_unit(name) for name in METRICS},
            lesions=list(zip(about.lesions, colours, strict=True)),
            notices=about.card.get("notices", []),
        )
    )
    write_text(folder / "index.html", text)
