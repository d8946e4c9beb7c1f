"""What a prepared data set must satisfy before anything trains on it, and what it holds.

`check` looks at the arrays that training will read, not at the raw files: that groups stay whole,
that no image occurs on two sides, that everything can be learnt, and that masks and labels agree.
All that is wrong is told at once. What passes is written to `gates.json`, with the prevalence of
every class and the test images that also occur in training or validation.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow.base.digests import reading, record_json
from workflow.base.errors import DataError
from workflow.config import cells, paths
from workflow.config.datasets import Dataset
from workflow.config.model import Config
from workflow.data.arrays import NO_MASK, load_arrays
from workflow.data.duplicates import (
    Duplicates,
    find_duplicates,
    listed_pairs,
    read_known,
)
from workflow.data.plausible import RawFacts, cause_of_empty, told_levels, told_lost
from workflow.data.split import SPLITS

# Where every image is of a lesion; more empty masks than this share are not an accident.
MOST_EMPTY = 0.01
NAMED = 10  # examples in a line
LISTED = 100  # pairs in a message


@dataclass
class Gate:
    """One check: what is wrong, a line each, or else what was found."""

    name: str
    detail: str = ""
    failures: list[str] = field(default_factory=list)


def check(config: Config, dataset: str, say: Callable[[str], None] = print) -> None:
    """Write gates.json of a prepared data set.

    Args:
        config: the configuration.
        dataset: key of the data set, whose arrays exist.
        say: takes each line of a summary.

    Raises:
        DataError: listing everything that is wrong, a line each; nothing is written then. If the
            arrays do not belong together, the other checks cannot be made and are left out.
    """
    definition = config.datasets[dataset]
    known_file = definition.duplicates
    known = read_known(Path(known_file)) if known_file else {}
    parts = {name: _read_index(config, dataset, name) for name in SPLITS}
    whole = _whole(config, dataset, parts)
    _conclude(dataset, [whole], say)
    table = pd.concat([part.assign(split=name) for name, part in parts.items()], ignore_index=True)
    table = table.join(_read_masks(config, dataset))
    prevalence = {name: _prevalence(definition, table[table["split"] == name]) for name in SPLITS}
    say(f"{dataset}: what each split holds\n{_as_text(prevalence)}")
    images = [image for name in SPLITS for image in _images(config, dataset, name)]
    found = find_duplicates(images, table["group"].tolist())
    duplicates = listed_pairs(
        table, images, found, known, by_file=not definition.volumes, where=known_file
    )
    crossing = [entry for entry in duplicates if entry["split_a"] != entry["split_b"]]
    groups, leaks = _groups_apart(definition, table)
    facts = RawFacts.read(paths.raw_facts(config, dataset))
    for line in facts.ignored:
        say(f"{dataset}: {line}")
    agreement, lost = _masks_and_labels(definition, table, facts)
    masks, empty = _masks_valid(definition, table, facts)
    masks.failures += _masks_to_learn_from(config, dataset, table)
    levels = Gate("grey levels", *told_levels(dataset, table["id"].tolist(), images))
    gates = [
        levels,
        groups,
        _no_copies(dataset, known_file, crossing, duplicates, found),
        _learnable(definition, table),
        masks,
        agreement,
    ]
    _conclude(dataset, gates, say)
    sides = [(entry[x], entry[f"split_{x}"]) for entry in crossing for x in "ab"]
    report = {
        "dataset": dataset,
        "split": definition.split,
        "prevalence": prevalence,
        "sizes": _sizes(table),
        "duplicates": duplicates,
        "dropped": sorted({image for image, split in sides if split == "test"}),
        "leaks": leaks,
        "empty_masks": empty,
        **lost,
        **({"ignored": [*facts.ignored]} if facts.known else {}),
        "gates": [
            {"name": gate.name, "passed": True, "detail": gate.detail} for gate in (whole, *gates)
        ],
    }
    record_json(paths.gates(config, dataset), report)


def _conclude(dataset: str, gates: list[Gate], say: Callable[[str], None]) -> None:
    """Say how each gate ended, and raise what failed."""
    for gate in gates:
        say(f"{dataset}: {gate.name}: {'FAILED' if gate.failures else f'passed: {gate.detail}'}")
    lines = [f"{dataset}: {gate.name}: {line}" for gate in gates for line in gate.failures]
    if lines:
        raise DataError("\n".join(lines))


def _read_index(config: Config, dataset: str, split: str) -> pd.DataFrame:
    with reading(paths.prepared(config, dataset) / split / "index.parquet") as file:
        return pd.read_parquet(file)


def _images(config: Config, dataset: str, split: str) -> np.ndarray:
    """The images of a split, still on disk; plain, because a memmap's rows are slow to make."""
    return np.asarray(load_arrays(config, dataset, split).images)


def _whole(config: Config, dataset: str, parts: dict[str, pd.DataFrame]) -> Gate:
    """Each split has images, and its index and arrays belong together."""
    gate, definition = Gate("arrays and index"), config.datasets[dataset]
    square = (definition.image_size, definition.image_size)
    for name, index in parts.items():
        arrays, count = load_arrays(config, dataset, name), len(index)
        labels = index[[f"label_{label}" for label in definition.labels]].to_numpy()
        for file, array, shape in (
            ("images", arrays.images, (count, *square, *([3] if definition.color else []))),
            ("masks", arrays.masks, (count, *square)),
            ("labels", arrays.labels, labels.shape),
        ):
            if array.dtype != np.uint8 or array.shape != shape:
                gate.failures.append(
                    f"{arrays.folder}/{file}.npy: found {array.dtype} {array.shape}, expected "
                    f"uint8 {shape} by index.parquet and the configuration; prepare it again"
                )
            elif file == "labels" and not np.array_equal(array, labels):
                gate.failures.append(
                    f"{arrays.folder}/labels.npy: differs from index.parquet; prepare it again"
                )
        if not np.isin(labels, (0, 1)).all():
            gate.failures.append(
                f"{arrays.folder}/index.parquet: a label is neither 0 nor 1; mend the raw labels"
            )
        if not count:
            gate.failures.append(f"{name} has no image; give it some in the split")
    ids = pd.concat(list(parts.values()))["id"]
    twice = ids[ids.duplicated()].unique().tolist()
    if twice:
        gate.failures.append(f"ids occur twice: {_named(twice)}; each image needs an id of its own")
    gate.detail = f"{len(ids)} images of {square[0]}×{square[1]} px, ids all different"
    return gate


def _read_masks(config: Config, dataset: str) -> pd.DataFrame:
    """Per image of all splits: `blank` (no mask), `stray` (a value it may not hold, or -1), and
    `pixels_<lesion>`.
    """
    lesions, rows = config.datasets[dataset].lesions, []
    for split in SPLITS:
        for mask in np.asarray(load_arrays(config, dataset, split).masks):
            counts = np.bincount(mask.ravel(), minlength=NO_MASK + 1)
            beyond = np.flatnonzero(counts[len(lesions) + 1 :]) + len(lesions) + 1
            blank = counts[NO_MASK] == mask.size
            stray = -1 if blank or not len(beyond) else beyond[0]
            rows.append((blank, stray, *(0 if blank else n for n in counts[1 : len(lesions) + 1])))
    return pd.DataFrame(rows, columns=["blank", "stray", *(f"pixels_{x}" for x in lesions)])


def _prevalence(definition: Dataset, rows: pd.DataFrame) -> dict[str, Any]:
    """Counts of one split; shares are null where nothing is scored, or no mask is there."""
    labels = rows[[f"label_{label}" for label in definition.labels]]
    scored = labels[rows["score_classification"].to_numpy(bool)]
    masked = rows[~rows["blank"]]
    pixels = len(masked) * definition.image_size**2
    return {
        "images": len(rows),
        "groups": int(rows["group"].nunique()),
        "masks": len(masked),
        "positive": {label: int(rows[f"label_{label}"].sum()) for label in definition.labels},
        "positive_share": float(scored.to_numpy().mean()) if len(scored) else None,
        "lesion_pixels": {
            x: float(masked[f"pixels_{x}"].sum() / pixels) if pixels else None
            for x in definition.lesions
        },
    }


def _as_text(prevalence: dict[str, dict[str, Any]]) -> str:
    """The prevalence table as aligned text."""
    rows = [
        {
            "split": split,
            **{key: str(part[key]) for key in ("images", "groups", "masks")},
            **{label: str(count) for label, count in part["positive"].items()},
            "positive": _percent(part["positive_share"]),
            **{f"{x} pixels": _percent(share) for x, share in part["lesion_pixels"].items()},
        }
        for split, part in prevalence.items()
    ]
    return pd.DataFrame(rows).to_string(index=False)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _sizes(table: pd.DataFrame) -> dict[str, Any]:
    """Sizes of the raw images as [width, height], by area."""
    sizes = sorted({*zip(table["width"].tolist(), table["height"].tolist(), strict=True)})
    sizes.sort(key=lambda size: size[0] * size[1])
    return {"smallest": [*sizes[0]], "largest": [*sizes[-1]], "distinct": len(sizes)}


def _groups_apart(definition: Dataset, table: pd.DataFrame) -> tuple[Gate, dict[str, Any] | None]:
    """No group lies in two splits, unless the split is there to measure what that does."""
    gate = Gate("groups in one split")
    splits = table.groupby("group", sort=False)["split"].unique()
    shared = splits[splits.map(len) > 1]
    gate.detail = f"{len(splits)} groups, {len(shared)} of them in more than one split"
    if definition.split == "slices":
        return gate, {"groups": len(shared), "of": len(splits)}
    if len(shared):
        names = [f"{group} ({', '.join(found)})" for group, found in shared.items()]
        gate.failures.append(
            f"in more than one split: {_named(names)}; give each group to one split"
        )
    return gate, None


def _no_copies(
    dataset: str,
    known_file: str | None,
    crossing: list[dict[str, Any]],
    duplicates: list[dict[str, Any]],
    found: Duplicates,
) -> Gate:
    """No image lies in two splits that is not known to."""
    gate = Gate("no image in two splits")
    place = known_file or f"a CSV (image_a, image_b) that datasets.{dataset}.duplicates names"
    unknown = [x for x in crossing if x["kind"] == "identical" and not x["known"]]
    for entry in unknown[:LISTED]:
        gate.failures.append(
            f"{entry['a']} ({entry['split_a']}) and {entry['b']} ({entry['split_b']}) are the same "
            f"image; leave one out of the split, or list the pair in {place}"
        )
    if len(unknown) > LISTED:
        gate.failures.append(f"and {len(unknown) - LISTED} more pairs")
    near = [x for x in crossing if x["kind"] == "near"]
    unlisted = [
        f"{x['a']} ({x['split_a']}) and {x['b']} ({x['split_b']})" for x in near if not x["known"]
    ]
    gate.detail = (
        f"{len(duplicates)} pairs alike, {sum(x['known'] for x in duplicates)} of them known; "
        f"across splits {len(crossing) - len(near)} identical and {len(near)} near"
        + (f", not known: {_named(unlisted)}" if unlisted else "")
        + f"; {len(found.flat)} images too flat to compare"
    )
    return gate


def _learnable(definition: Dataset, table: pd.DataFrame) -> Gate:
    """Every label and every lesion occurs in training.

    A label without negative training images is only noted: a set of nothing but lesions is odd,
    but scores on it still mean what they say.
    """
    gate, train = Gate("everything occurs in training"), table[table["split"] == "train"]
    absent = [label for label in definition.labels if not train[f"label_{label}"].any()]
    always = [label for label in definition.labels if train[f"label_{label}"].all()]
    for label in absent:
        gate.failures.append(f"no training image has label {label!r}; choose another split")
    masked = train[~train["blank"]]
    for lesion in definition.lesions if len(masked) else ():
        if not masked[f"pixels_{lesion}"].any():
            gate.failures.append(f"no training mask holds lesion {lesion!r}; choose another split")
    gate.detail = f"{len(definition.labels)} labels; lesions in {len(masked)} training masks"
    if always:
        gate.detail += f"; every training image has label {_named(always)}"
    return gate


def _masks_valid(
    definition: Dataset, table: pd.DataFrame, facts: RawFacts
) -> tuple[Gate, dict[str, Any] | None]:
    """Masks hold only classes, and has_mask says which are there.

    Where labels are not lesions, a mask without any is counted; a source in which every image shows
    a lesion may hold few.
    """
    gate, top = Gate("masks hold classes"), len(definition.lesions)
    strays = table[table["stray"] >= 0]
    if len(strays):
        names = [f"{x} ({value})" for x, value in zip(strays["id"], strays["stray"], strict=True)]
        gate.failures.append(
            f"found a value above {top} in {_named(names)}; masks hold 0 to {top}, or "
            f"{NO_MASK} everywhere where there is none"
        )
    wrong = table["id"][table["has_mask"].astype(bool) == table["blank"]].tolist()
    if wrong:
        gate.failures.append(f"has_mask does not fit the mask of {_named(wrong)}; prepare it again")
    masked = table[~table["blank"]]
    gate.detail = f"{len(masked)} of {len(table)} images have a mask"
    bare = table["id"][table["blank"] & (table["split"] == "test")].tolist()
    if bare:
        gate.detail += f", {len(bare)} test images have none to be scored with: {_named(bare)}"
    if set(definition.labels) & set(definition.lesions):
        return gate, None
    pixels = masked[[f"pixels_{lesion}" for lesion in definition.lesions]]
    empty = masked["id"][~pixels.any(axis=1)].tolist()
    gate.detail += f", {len(empty)} of them an empty one"
    if empty and facts.known:
        gate.detail += f": {cause_of_empty(facts, empty)}"
    public = definition.public
    if public and public.lesion_everywhere and len(empty) > MOST_EMPTY * len(masked):
        gate.failures.append(
            f"{len(empty)} of {len(masked)} masks are empty, such as {_named(empty)}; at most "
            f"{MOST_EMPTY:.0%} may be: {cause_of_empty(facts, empty)}"
        )
    return gate, {"images": len(empty), "of": len(masked), "ids": empty}


def _masks_to_learn_from(config: Config, dataset: str, table: pd.DataFrame) -> list[str]:
    """What to say where images to train on have no mask, and a method would segment."""
    learnt = table[table["split"] != "test"]
    without = learnt["id"][learnt["blank"]].tolist()
    methods = [
        run.method
        for run in cells.runs(config)
        if run.dataset == dataset
        and config.methods[run.method].module is not None
        and "segmentation" in config.methods[run.method].tasks
    ]
    if not methods or not without:
        return []
    return [
        f"{len(without)} of {len(learnt)} images to train and validate on have no mask: "
        f"{_named(without)}; {_named(methods)} would segment. Add the masks, leave these images out"
        " of the split (a CSV that datasets.*.split names), or select methods that only classify"
    ]


def _masks_and_labels(
    definition: Dataset, table: pd.DataFrame, facts: RawFacts
) -> tuple[Gate, dict[str, Any]]:
    """Where a label has the name of a lesion, an image whose mask holds it has the label.

    The other way round it may fail: a lesion can be too small for the prepared mask, or the mask
    empty in its file.
    """
    gate, masked = Gate("masks and labels agree"), table[~table["blank"]]
    absent: dict[str, list[str]] = {}
    labelled: dict[str, int] = {}
    for name in (label for label in definition.labels if label in definition.lesions):
        positive, drawn = masked[f"label_{name}"] == 1, masked[f"pixels_{name}"] > 0
        unlabelled = masked["id"][drawn & ~positive].tolist()
        if unlabelled:
            gate.failures.append(
                f"the mask holds {name}, but its label is 0: {_named(unlabelled)}; mend the labels"
            )
        absent[name] = masked["id"][positive & ~drawn].tolist()
        labelled[name] = int(positive.sum())
    gate.detail, lost = told_lost(facts, absent, labelled)
    return gate, lost


def _named(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = [*names]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
