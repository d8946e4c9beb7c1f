"""What was found in a data set, in a few lines for the terminal."""

from collections import Counter

import numpy as np

from workflow.data.inspection.look import Look, levels_of, mask_shares
from workflow.data.split import SPLITS

SIZES_LISTED = 3


def facts(found: Look) -> list[tuple[str, str]]:
    """Names of facts with what was found: counts, sizes, splits, classes, groups and levels."""
    table, definition = found.inventory, found.definition
    levels = levels_of(found)
    splits = {name: table[table["split"] == name] for name in SPLITS}
    rows = [
        ("images", f"{len(table)}, {int(table['has_mask'].sum())} of them with a mask"),
        ("sizes", _sizes(found)),
        ("groups", _groups(found)),
        ("split", f"{definition.split}: " + ", ".join(f"{n} {len(t)}" for n, t in splits.items())),
    ]
    for label in definition.labels:
        held = ", ".join(
            f"{name} {int(part[f'label_{label}'].sum())}" for name, part in splits.items()
        )
        total = int(table[f"label_{label}"].sum())
        rows.append((f"label {label}", f"{total} of {len(table)} images; {held}"))
    for lesion, shares in mask_shares(found).items():
        some = [share for share in shares if share > 0]
        typical = f"; {100 * float(np.median(some)):.2g} % of the pixels there" if some else ""
        rows.append((f"lesion {lesion}", f"in {len(some)} of {len(shares)} masks{typical}"))
    rows.append(
        ("levels", f"{min(levels)} to {max(levels)} of 256 in an image of {definition.image_size}")
    )
    return rows


def _sizes(found: Look) -> str:
    pairs = zip(found.inventory["width"], found.inventory["height"], strict=True)
    sizes = Counter(f"{width}×{height}" for width, height in pairs)
    shown = ", ".join(f"{size} ({count})" for size, count in sizes.most_common(SIZES_LISTED))
    more = f" and {len(sizes) - SIZES_LISTED} other sizes" if len(sizes) > SIZES_LISTED else ""
    return f"{shown}{more}; trained at {found.definition.image_size}×{found.definition.image_size}"


def _groups(found: Look) -> str:
    sizes = found.inventory.groupby("group").size()
    if not found.definition.by_volume:
        return "each image by itself"
    return f"{len(sizes)}, of {sizes.min()} to {sizes.max()} images"


def as_text(found: Look) -> str:
    """The summary: facts, the gates, and what to know before training."""
    rows = [*facts(found), *gate_lines(found)]
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{found.dataset}: {found.definition.title}"]
    lines += [f"  {name:<{width}}{text}" for name, text in rows]
    for title, what in (("warnings", found.warnings), ("refused", found.failures)):
        if what:
            lines += [f"  {title}:", *(f"    - {line}" for line in what)]
    if not found.failures:
        lines.append("  Every gate is passed: this can be trained on.")
    return "\n".join(lines) + "\n"


def gate_lines(found: Look) -> list[tuple[str, str]]:
    """Gates that were passed with what they found, and files that are ignored."""
    passed = [(gate["name"], gate["detail"]) for gate in found.gates.get("gates", [])]
    return [*passed, *(("ignored", line) for line in found.gates.get("ignored", []))]
