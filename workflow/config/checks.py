"""What one part of the configuration says of another: names must exist, sizes must fit."""

import math
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from workflow.config.cells import chosen_datasets, is_control, runs, table_cells
from workflow.config.datasets import kfold_of, ratio_of
from workflow.config.errors import describe, unknown
from workflow.config.metrics import METRIC_TASK, METRICS, columns_of
from workflow.config.model import Config
from workflow.config.options import settle_options
from workflow.config.sources import SOURCES
from workflow.config.training import OPTIMIZERS, Training, overlaid

# Values of keys of `training` that only methods of these tasks can be trained with.
TASKS_OF_CHOICE = {
    **{name: optimizer.tasks for name, optimizer in OPTIMIZERS.items()},
    "conditional": {"classification"},
    "connectivity": {"segmentation"},
}


def cross_check(config: Config) -> list[str]:
    """Every contradiction between keys, one line each; empty if there is none."""
    checks = (
        _names,
        _columns,
        settle_options,
        _annotated,
        _splits,
        _files,
        _overrides,
        _pretrained,
    )
    problems = [problem for check in checks for problem in check(config)]
    return problems or [
        *_tasks(config),
        *_sizes(config),
        *_weights(config),
        *_protocols(config),
        *_phantoms(config),
        *_something(config),
    ]


def _names(config: Config) -> Iterator[str]:
    """Data sets and methods that tables, figures and `select` name must be defined."""
    known = {"dataset": config.datasets, "method": config.methods}

    def check(where: str, kind: str, name: str | None) -> Iterator[str]:
        if name is not None and name not in known[kind]:
            yield f"{where}: {unknown(name, known[kind])}"

    for name in config.select.datasets or []:
        yield from check("select.datasets", "dataset", name)
    for name in config.select.methods or []:
        yield from check("select.methods", "method", name)
    results = [key for key, table in config.tables.items() if table.kind == "results"]
    for name, method in config.methods.items():
        for key in method.tables:
            if key not in results:
                yield f"methods.{name}.tables: {unknown(key, results)}"
    for key, figure in config.figures.items():
        for name in figure.datasets:
            yield from check(f"figures.{key}.datasets", "dataset", name)
        for name in figure.methods:
            yield from check(f"figures.{key}.methods", "method", name)
    for key, table in config.tables.items():
        for name in table.datasets:
            yield from check(f"tables.{key}.datasets", "dataset", name)
        for name in table.methods_of:
            if name not in config.tables:
                yield f"tables.{key}.methods_of: {unknown(name, config.tables)}"
        for name in table.controls:
            yield from check(f"tables.{key}.controls", "method", name)
            if name in config.methods and not is_control(config, name):
                controls = [other for other in config.methods if is_control(config, other)]
                yield f"tables.{key}.controls: {name!r} is no control. Allowed: {controls}"
        groups = {group.title for group in table.columns}
        for group in table.columns:
            yield from check(f"tables.{key}.columns[{group.title}]", "dataset", group.dataset)
        for index, row in enumerate(table.rows):
            where = f"tables.{key}.rows[{index}] ({row.title})"
            yield from check(f"{where}.dataset", "dataset", row.dataset)
            yield from check(f"{where}.method", "method", row.method)
            for title, name in (row.methods or {}).items():
                if title not in groups:
                    yield f"{where}.methods: {unknown(title, groups)}"
                yield from check(f"{where}.methods.{title}", "method", name)
            for group in table.columns:
                if (row.dataset is None) == (group.dataset is None):
                    yield (
                        f"{where}: the row gives data set {row.dataset} and column group "
                        f"{group.title!r} gives {group.dataset}; exactly one of them must"
                    )


def _annotated(config: Config) -> Iterator[str]:
    """Lesions and labels must be among those that a public data set annotates."""
    for name, dataset in config.datasets.items():
        for key in ("lesions", "labels") if dataset.public else ():
            allowed = getattr(dataset.public, key)
            for value in getattr(dataset, key):
                if value not in allowed:
                    yield f"datasets.{name}.{key}: {unknown(value, allowed)}"
        if dataset.folder and dataset.folder.labels is None:
            for value in set(dataset.labels) - set(dataset.lesions):
                yield (
                    f"datasets.{name}.labels: found {value!r}, which is no lesion; without "
                    "folder.labels (a CSV) a label is the presence of the lesion of its name"
                )


def _splits(config: Config) -> Iterator[str]:
    """A split must be a rule that fits the source, or a file."""
    for name, dataset in config.datasets.items():
        official = dataset.public is not None and dataset.public.parts is not None
        allowed = ["kfold I/K", *(["official"] if official else [])]
        if dataset.by_volume:
            allowed += ["balanced", "slices"]
        fold = kfold_of(dataset.split)
        if fold is not None:
            if not (fold[0] <= fold[1] and fold[1] >= 3):
                yield (
                    f"datasets.{name}.split: found {dataset.split!r}; in kfold I/K, K is at least "
                    "3 (one fold tests, one validates) and I is 1 to K"
                )
        elif (ratio := ratio_of(dataset.split)) is not None:
            if not (min(ratio) > 0 and math.isclose(sum(ratio), 1, abs_tol=1e-6)):
                yield (
                    f"datasets.{name}.split: found {dataset.split!r}; the shares of train, val and "
                    "test are each above 0 and add up to 1, such as 0.7/0.1/0.2"
                )
        elif dataset.split not in allowed and not Path(dataset.split).is_file():
            yield (
                f"datasets.{name}.split: found {dataset.split!r}; allowed: {', '.join(allowed)}, "
                "or the path of a CSV file with columns id, split, or a ratio of train, val and "
                "test (0.7/0.1/0.2)"
            )


def _files(config: Config) -> Iterator[str]:
    """Files that the configuration names must be there before hours are spent."""
    named = {
        **{f"data.{name}_record": config.record(name) for name in SOURCES},
        **{f"datasets.{name}.duplicates": d.duplicates for name, d in config.datasets.items()},
    }
    for key, file in named.items():
        if file is not None and not Path(file).is_file():
            yield f"{key}: found {file!r}, and there is no such file; name one, or null"
    for name, dataset in config.datasets.items():
        if dataset.folder and name in SOURCES:
            yield f"datasets.{name}: {name} is the name of a public source; call yours otherwise"
    if config.results == Path(config.data.store):
        yield (
            f"data.store: found {config.data.store!r}, where preset {config.preset} writes; name "
            "another folder"
        )


def _overrides(config: Config) -> Iterator[str]:
    """The partial protocols of data sets and methods must be keys of `training`."""
    layers = [(f"datasets.{k}.training", entry.training) for k, entry in config.datasets.items()]
    for name, method in config.methods.items():
        layers.append((f"methods.{name}.training", method.training))
        if method.native:
            layers.append((f"methods.{name}.native.training", method.native.training))
    for where, layer in layers:
        try:
            overlaid(config.training, layer)
        except ValidationError as error:
            yield describe(error, Training, where)


def _pretrained(config: Config) -> Iterator[str]:
    for name, method in config.methods.items():
        given = method.pretrained
        if method.pretraining and given != "none":
            yield (
                f"methods.{name}.pretrained: found {given!r}, but {name} starts from its own "
                "`pretraining`; expected none, or set pretraining to null"
            )
            continue
        known = given == "none" or given.startswith("hub:") or Path(given).is_file()
        if not known:
            yield (
                f"methods.{name}.pretrained: found {given!r}, and there is no such file; expected "
                "none, the path of a .safetensors or .pth file, or hub: and a name of timm's hub"
            )


def _tasks(config: Config) -> Iterator[str]:
    for key, table in config.tables.items():
        if table.kind == "datasets":
            if not table.datasets:
                yield f"tables.{key}: a data set summary needs `datasets`"
            continue
        if table.controls and table.kind != "results":
            yield f"tables.{key}.controls: goes with kind results only, and this is {table.kind}"
        if not (table.rows or table.methods_of) or not table.columns:
            rows = "`rows`" if table.kind == "results" else "`methods_of` (or `rows`)"
            yield f"tables.{key}: a {table.kind} table needs {rows} and `columns`"
    for key, figure in config.figures.items():
        for name in figure.methods:
            if "segmentation" not in config.methods[name].tasks:
                yield f"figures.{key}.methods: {name!r} does not segment, so it has no picture"


def _columns(config: Config) -> Iterator[str]:
    """Column groups must hold what tables of their kind have."""
    for key, table in config.tables.items():
        names = columns_of(table.kind)
        for i, group in enumerate(table.columns if names else []):
            for j, metric in enumerate(group.metrics):
                where = f"tables.{key}.columns.{i}.metrics.{j}: found {metric!r}"
                needed = METRICS[metric].needs if metric in METRICS else None
                if metric not in names:
                    *some, last = map(repr, names)
                    yield (f"{where}; a table of kind {table.kind} has {', '.join(some)} or {last}")
                elif table.enabled and needed and not getattr(config.evaluation, needed):
                    yield (
                        f"{where}, which is measured only with evaluation.{needed}: true; set it, "
                        "or leave the column out"
                    )
            if table.kind in ("classes", "rules") and group.dataset is None:
                yield (
                    f"tables.{key}.columns.{i}: there is no `dataset`; a table of kind "
                    f"{table.kind} needs one in each column group"
                )


def _sizes(config: Config) -> Iterator[str]:
    for dataset, method in runs(config):
        size, sizes = config.datasets[dataset].image_size, config.methods[method].sizes
        if size % sizes.multiple_of or size < sizes.minimum:
            step = f"multiples of {sizes.multiple_of}, " if sizes.multiple_of > 1 else ""
            yield (
                f"datasets.{dataset}.image_size: found {size}, which {method} cannot take; "
                f"allowed: {step}at least {sizes.minimum}"
            )


def _weights(config: Config) -> Iterator[str]:
    for dataset, method in runs(config):
        weights = config.training_for(dataset, method).loss.class_weights
        labels = config.datasets[dataset].labels
        if isinstance(weights, list) and len(weights) != len(labels):
            yield (
                f"training.loss.class_weights for {dataset}: found {len(weights)} weights; "
                f"expected one for each of its labels: {', '.join(labels)}"
            )


def _protocols(config: Config) -> Iterator[str]:
    """Some choices of the protocol are for a task, and so for methods that do it."""
    for dataset, method in runs(config):
        training, tasks = config.training_for(dataset, method), config.methods[method].tasks
        sides = config.methods[method].network_options.get("side_outputs")
        if training.loss.segmentation_form == "connectivity" and not sides:
            yield (
                f"training.loss.segmentation_form for {method}: found connectivity, which is a "
                "loss of RetiFluidNet's side outputs; set options: {side_outputs: true}"
            )
        for key, value in (
            ("optimizer", training.optimizer),
            ("loss.classification_form", training.loss.classification_form),
            ("loss.segmentation_form", training.loss.segmentation_form),
        ):
            needed = TASKS_OF_CHOICE.get(value, set())
            if needed - set(tasks):
                yield (
                    f"training.{key} for {method}: found {value}, which is for "
                    f"{' and '.join(sorted(needed))}; {method} does {' and '.join(tasks)}"
                )


def _phantoms(config: Config) -> Iterator[str]:
    """Where data is to be phantoms, the sources of all runs must have some."""
    for name in chosen_datasets(config) if config.demo else ():
        public = config.datasets[name].public
        if public and not public.phantoms:
            yield (
                f"data.origin: found phantom, but there are no phantoms of {public.title}, which "
                f"{name} is made from; set it to local, or leave {name} out by `select`"
            )


def _something(config: Config) -> Iterator[str]:
    """A configuration that makes no table cell at all is a mistake, most likely in `select`."""
    made = any(
        cell.metric in METRIC_TASK for key in config.tables for cell in table_cells(config, key)
    )
    if not made:
        yield "select: no table has a cell left; choose data sets and methods that tables name"
