"""A page of samples: prepared images of every split with the outlines of their masks.

One file that loads nothing else, to be looked at once before training.
"""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd
from PIL import Image

from workflow.config import paths
from workflow.data.arrays import NO_MASK, load_arrays
from workflow.data.inspection.look import Look
from workflow.data.inspection.summary import facts, gate_lines
from workflow.data.split import SPLITS

COLOURS = (
    (255, 221, 0),
    (0, 220, 255),
    (255, 64, 200),
    (64, 255, 96),
    (255, 128, 0),
    (150, 130, 255),
)
PER_SPLIT = 12
# Side of a picture in pixels, about: prepared images are shown at a whole multiple.
SIDE = 256
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em;
  color: #1a1a1a; background: #fff; }
table { border-collapse: collapse; } th, td { text-align: left; vertical-align: top;
  padding: .15em 1em .15em 0; } th { font-weight: 600; white-space: nowrap; }
.samples { display: grid; gap: 1em; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); }
figure { margin: 0; } img { width: 100%; image-rendering: pixelated; }
figcaption { font-size: 13px; overflow-wrap: anywhere; }
.mark { display: inline-block; width: .9em; height: .9em; border: 1px solid #555; }
.refused { color: #a00; }
"""


def page_of(found: Look) -> str:
    """The page of one data set as HTML."""
    title = f"{found.definition.title}: a first look"
    lists = [
        _list("Refused: nothing can be trained on this", found.failures, "refused"),
        _list("Before training", found.warnings, ""),
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f"<style>{STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}</h1>",
            _table([*facts(found), *gate_lines(found)]),
            *lists,
            _legend(found.definition.lesions),
            *(_samples(found, split) for split in SPLITS),
            "</main></body></html>\n",
        ]
    )


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An image with a line along the inner edge of every lesion of its mask.

    Args:
        image: uint8 `[H, W]` or `[H, W, 3]`.
        mask: uint8 `[H, W]`; 255 everywhere where there is none.

    Returns:
        uint8 `[n H, n W, 3]`, with n so that a side has about `SIDE` pixels.
    """
    scale = max(1, round(SIDE / image.shape[0]))
    rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    large = rgb.repeat(scale, axis=0).repeat(scale, axis=1).copy()
    classes = mask.repeat(scale, axis=0).repeat(scale, axis=1)
    padded = np.pad(classes, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    edge = np.logical_or.reduce([other != classes for other in neighbours])
    for k in np.unique(classes[edge]):
        if 0 < k < NO_MASK:
            large[edge & (classes == k)] = COLOURS[(int(k) - 1) % len(COLOURS)]
    return large


def chosen(count: int) -> list[int]:
    """Rows of a split that are shown, from all over it."""
    return sorted({round(x) for x in np.linspace(0, count - 1, min(count, PER_SPLIT))})


def _samples(found: Look, split: str) -> str:
    arrays = load_arrays(found.config, found.dataset, split)
    index = pd.read_parquet(paths.prepared(found.config, found.dataset) / split / "index.parquet")
    labels, figures = found.definition.labels, []
    for row in chosen(len(index)):
        entry, mask = index.iloc[row], np.asarray(arrays.masks[row])
        present = [name for name in labels if entry[f"label_{name}"]]
        words = [
            f"<strong>{escape(str(entry['id']))}</strong>",
            *([f"group {escape(str(entry['group']))}"] if entry["group"] != entry["id"] else []),
            f"{entry['width']}×{entry['height']}",
            escape(", ".join(present) or "no label"),
            "no mask" if mask.flat[0] == NO_MASK else f"{100 * (mask > 0).mean():.2g} % lesion",
        ]
        picture = _png(outlined(np.asarray(arrays.images[row]), mask))
        alt = escape(f"{entry['id']} with the outlines of its mask")
        figures.append(
            f'<figure><img src="{picture}" alt="{alt}">'
            f"<figcaption>{'; '.join(words)}</figcaption></figure>"
        )
    title = f"<h2>{split}: {len(index)} images</h2>"
    return f'{title}<div class="samples">{"".join(figures)}</div>'


def _png(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = (f"<tr><th scope=row>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows)
    return f"<table>{''.join(cells)}</table>"


def _list(title: str, lines: Sequence[str], kind: str) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<h2>{title}</h2><ul class="{kind}">{items}</ul>'


def _legend(lesions: Sequence[str]) -> str:
    marks = (
        f'<span class="mark" style="background: rgb{COLOURS[k % len(COLOURS)]}"></span> '
        f"{escape(name)}"
        for k, name in enumerate(lesions)
    )
    return f"<p>Outlines, on images as they are trained on: {', '.join(marks)}.</p>"
