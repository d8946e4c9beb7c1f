"""The model card of a trained network: what it is, what it learnt from, how good it is, its limits.

It is made from what an exported file says of itself, so card and file cannot differ.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from resformer.trained import TrainedFile
from workflow.base.markdown import escaped, head, row
from workflow.base.wording import known, millions
from workflow.config.metrics import METRICS, with_unit

WITHOUT_LICENCE = (
    "The images are the trainer's own; whoever passes the weights on has to know their terms."
)
PHANTOM = "Phantom images that this project painted; they are as free as its code (MIT)."


def card(about: TrainedFile, file: str) -> str:
    """The card of an exported file, as Markdown."""
    facts = about.card
    warned = [f"> **{escaped(text)}**\n" for text in facts.get("notices", [])]
    parts = [
        f"# {escaped(about.title)}",
        *warned,
        "**Not for clinical use.** It was made to reproduce a paper's experiment; nothing is known "
        "of it on images from elsewhere.",
        "## What it is",
        "\n".join(_what(about)),
        "## What it learnt from",
        "\n".join(_data(about)),
        "## How good it is",
        "\n".join(_scores(facts)),
        "## Limits",
        "\n".join(_limits(about)),
        "## How it is used",
        f"```\nresformer predict {file} IMAGES --out masks\n```\n\nor, with torch and safetensors "
        f"alone:\n\n```python\n{_lines(about, file)}\n```",
        "## Where it comes from",
        "\n".join(_provenance(facts.get("provenance", {}))),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _lines(about: TrainedFile, file: str) -> str:
    """How a file is used without the workflow, as lines of Python."""
    size, mode = about.preparation.image_size, "RGB" if about.preparation.color else "L"
    return "\n".join(
        [
            "import numpy, resformer, torch",
            "from PIL import Image",
            "",
            f'network = resformer.load("{file}")',
            f'image = Image.open("image.png").convert("{mode}").resize(({size}, {size}), 2)',
            f"pixels = torch.from_numpy(numpy.array(image)).view({size}, {size}, -1)",
            f"batch = pixels.permute(2, 0, 1)[None].expand(1, 3, {size}, {size}).float()",
            "with torch.inference_mode():",
            "    masks, labels, _ = network(batch / network.about.preparation.scale)",
        ]
    )


def _what(about: TrainedFile) -> Iterator[str]:
    preparation = about.preparation
    yield f"- Network: `{about.module}`, options `{dict(about.options) or 'none'}`"
    if parameters := about.card.get("provenance", {}).get("parameters"):
        yield f"- Parameters: {millions(parameters)}"
    colour = "colour" if preparation.color else "grey"
    yield f"- Takes {colour} images of {preparation.image_size}×{preparation.image_size} pixels"
    if about.lesions:
        named = [f"{value} {escaped(name)}" for value, name in enumerate(about.lesions, 1)]
        yield f"- Gives masks: 0 background, {', '.join(named)}"
    if about.labels:
        named = ", ".join(map(escaped, about.labels))
        rule = (
            "the largest"
            if about.decision == "argmax"
            else (f"{about.decision} above {about.threshold:g}")
        )
        yield f"- Gives labels: {named}; present: {rule}"


def _data(about: TrainedFile) -> Iterator[str]:
    facts = about.card
    yield f"- Data: {escaped(known(facts.get('origin')))}, `{known(facts.get('dataset'))}`"
    for name, split in facts.get("data", {}).items():
        yield f"- {name}: {split['images']} images in {split['groups']} groups"
    licence = facts.get("licence") or WITHOUT_LICENCE
    yield f"- Licence of the data: {PHANTOM if facts.get('origin') == 'phantom' else licence}"
    training: Mapping[str, Any] = facts.get("configuration", {}).get("training", {})
    if training:
        yield (
            f"- Protocol: {training.get('epochs')} epochs at most, batches of "
            f"{training.get('batch_size')}, {training.get('optimizer')} at "
            f"{training.get('learning_rate')}; the whole of it is in the file's metadata"
        )


def _scores(facts: Mapping[str, Any]) -> Iterator[str]:
    """A table of the scores on the test images; which rules they follow below it."""
    scores = facts.get("scores", [])
    if not scores:
        yield "It was not evaluated."
        return
    level = f"{100 * scores[0]['level']:g} %"
    several = facts.get("seeds", 1) > 1
    titles = ["On the test images", f"Seed {facts['seed']}", f"{level} interval"]
    titles += [f"Mean of {facts['seeds']} seeds", f"{level} interval"] if several else []
    yield from head(titles, numbers=len(titles) - 1)
    for score in scores:
        if score["metric"] not in METRICS:
            continue
        cells = [with_unit(score["metric"]), _number(score["value"]), _between(score["interval"])]
        if several:
            cells += [_number(score["mean"]), _between(score["mean_interval"])]
        yield row(cells)
    evaluation = facts["evaluation"]
    yield ""
    yield (
        f"Masks by rule `{evaluation['rule']}` at resolution `{evaluation['resolution']}`; "
        "intervals are over the test images' groups, and over seeds where there are several."
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _between(ends: list[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}"


def _limits(about: TrainedFile) -> Iterator[str]:
    yield "- Not a medical device, and not for diagnosis."
    size = about.preparation.image_size
    yield (
        f"- Every image is squeezed to {size}×{size} pixels; what is smaller than a pixel there is "
        "not seen."
    )
    yield (
        "- It answers to any image, also to one of another kind than it learnt from, and does not "
        "say so."
    )
    if about.labels:
        yield "- Probabilities are not calibrated, unless the table above says how well they are."


def _provenance(found: Mapping[str, Any]) -> Iterator[str]:
    for key, value in found.items():
        if key != "initialisation" and value is not None:
            yield f"- {key}: `{value}`"
