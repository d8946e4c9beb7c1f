"""What decides a result, as a short hash: the values that reach the computation, and its code.

Snakemake compares these hashes (a rule's `params`) with those of the last run. Code is hashed as
its syntax tree without docstrings, so a comment or a formatting change re-trains nothing, and a
changed helper module, which Snakemake alone would not notice, does.
"""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from workflow.base.errors import ConfigError
from workflow.base.files import sha256
from workflow.base.syntax import Code, Parsed
from workflow.config import cells
from workflow.config.model import Config
from workflow.config.notices import notices
from workflow.config.sources import SOURCES
from workflow.running import raw_files

ROOT = Path(__file__).parents[2]
PACKAGES = ("workflow", "resformer", "baselines")
# What carries values to the computation, or keeps them: the values are hashed themselves, and a
# run that is resumed gives the same bits.
NOT_HASHED = (
    "workflow.base",
    "workflow.config",
    "workflow.running",
    "workflow.training.profiling",
    "workflow.training.state",
    "workflow.training.together",
)
# What stands among these and decides a result nevertheless.
HASHED = ("workflow.config.metrics",)
_PARSED = Parsed()
# Folders of what tables and report are made from beside code.
ASSETS = ("results/published", "tables/templates", "report/templates")
# Keys of `evaluation` that decide what is counted; the others decide what is made of the counts.
MEASURED = {"resolution", "boundary"}
# Keys of `training` that choose where and in what portions a run is computed, not what.
NOT_RESULT = {
    "device",
    "images_on",
    "threads",
    "seeds_per_job",
    "seeds_at_once",
    "save_seconds",
    "profile",
    "keep_weights",
    "log",
}


def data_fingerprint(config: Config, dataset: str, step: str) -> str:
    """Of a data step (inventory, split, prepare, gates) of one data set, its inputs aside."""
    definition = config.datasets[dataset]
    source = f"workflow.data.sources.{definition.source}"
    record = config.record(definition.source)
    meaning = {"source", "vendor", "folder", "lesions", "labels", "slice_step"}
    keys, values, modules = {
        "inventory": (
            meaning,
            [_text(record) if config.data.origin == "local" else None],
            ["workflow.data.inventory", source],
        ),
        "split": (
            {"lesions", "labels", "split"},
            # A committed split may be edited without its name changing.
            [_text(definition.split), config.data.val_volumes, config.data.test_volumes],
            ["workflow.data.split"],
        ),
        "prepare": (
            meaning | {"image_size", "intensity", "split"},
            [config.data.resize.model_dump(), config.data.origin],
            ["workflow.data.prepare", source],
        ),
        "gates": (
            {"image_size", "lesions", "labels", "split"},
            [_text(definition.duplicates)],
            ["workflow.data.gates"],
        ),
    }[step]
    return digest([definition.model_dump(include=keys), values], *modules)


def raw_fingerprint(config: Config, source: str) -> str:
    """Of the list of a source's raw files: the state of the user's files, and how they are read."""
    record = config.archives_record(source)
    known = _text(record) if config.data.origin == "local" else None
    return digest([raw_files.state(config, source), known], "workflow.data.listing")


def download_fingerprint(config: Config, source: str) -> str:
    """Of the downloads of a source: which files they must be, wherever they come from."""
    return digest(_text(config.archives_record(source)))


def _text(file: str | None) -> str | None:
    """The content of a file that a key names; None where it names none."""
    path = Path(file) if file else None
    return path.read_text(encoding="utf-8") if path and path.is_file() else None


def phantom_fingerprint(config: Config, source: str) -> str:
    """Of the phantom raw files of one source."""
    wanted = config.data.phantom.model_dump(include={"seed", source})
    return digest(wanted, SOURCES[source].phantoms.partition(":")[0])


def run_fingerprint(config: Config, dataset: str, method: str) -> str:
    """Of a training run, seed aside: protocol, network, data set definition, code."""
    entry = config.methods[method]
    if entry.module is None:
        return control_fingerprint(config, dataset, method)
    values = {
        "training": config.training_for(dataset, method).model_dump(exclude=NOT_RESULT),
        "validation_batch_size": config.evaluation.batch_size,
        "dataset": _definition(config, dataset),
        "method": [entry.module, entry.network_options, entry.tasks],
        "pretrained": _content(entry.pretrained),
        "pretraining": pretraining_fingerprint(config, dataset, method)
        if entry.pretraining
        else None,
    }
    return digest(values, "workflow.training.train", entry.module)


def superpixels_fingerprint(config: Config, dataset: str, method: str) -> str:
    """Of the superpixels of training images, their number aside."""
    settings = config.methods[method].pretraining
    wanted = settings.model_dump(include={"images", "compactness"}) if settings else None
    values = [wanted, _definition(config, dataset)]
    return digest(values, "workflow.training.pretraining.superpixels")


def pretraining_fingerprint(config: Config, dataset: str, method: str) -> str:
    """Of a pretraining, seed aside: budget, network, data set definition, code."""
    entry = config.methods[method]
    values = {
        "budget": entry.pretraining.model_dump() if entry.pretraining else None,
        "computing": config.training_for(dataset, method).model_dump(
            include={"precision", "determinism"}
        ),
        "dataset": _definition(config, dataset),
        "method": [entry.module, entry.network_options],
    }
    return digest(values, "workflow.training.pretraining.pretrain", str(entry.module))


def control_fingerprint(config: Config, dataset: str, method: str) -> str:
    """Of the predictions of a control, seed aside."""
    measured = config.evaluation.model_dump(include=MEASURED)
    values = [config.methods[method].control, _definition(config, dataset), measured]
    return digest(values, "workflow.evaluation.controls")


def _definition(config: Config, dataset: str) -> dict[str, Any]:
    """What a data set means to a network; its arrays are an input of every run."""
    keys = {"source", "vendor", "image_size", "lesions", "labels"}
    return config.datasets[dataset].model_dump(include=keys)


def evaluation_fingerprint(config: Config, dataset: str, method: str) -> str:
    """Of a run's counts and scores."""
    module = config.methods[method].module
    assert module is not None  # a control has predictions, and no network to evaluate
    values = [
        config.training_for(dataset, method).normalize,
        config.evaluation.model_dump(include=MEASURED),
    ]
    return digest(values, "workflow.evaluation.evaluate", module)


def table_fingerprint(config: Config, key: str) -> str:
    """Of a table, the counts or records it reads aside."""
    return digest([config.tables[key].caption, *_table_values(config, key)], "workflow.tables.make")


def _table_values(config: Config, key: str) -> list[Any]:
    """What decides the numbers of a table and how they are named; its caption says nothing more."""
    runs = cells.table_runs(config, key)
    return [
        config.tables[key].model_dump(exclude={"caption"}),
        [row.model_dump() for row in cells.table_rows(config, key)],
        [titles(config, *run) for run in runs],
        [
            (config.methods[run.method].recipe, config.methods[run.method].pretrained)
            for run in runs
        ],
        cells.dataset_rows(config, key),
        config.evaluation.model_dump(exclude={"batch_size"}),
        config.statistics.model_dump(),
        notices(config, runs),
        config.seeds,
        assets(),
    ]


def verdicts_fingerprint(config: Config) -> str:
    """Of the verdicts: they rest on what the tables rest on."""
    tables = [_table_values(config, key) for key in cells.made_tables(config)]
    return digest(tables, "workflow.tables.make", "workflow.verdicts.make")


def figure_fingerprint(config: Config, key: str) -> str:
    """Of a figure, the masks it reads aside."""
    runs = cells.figure_runs(config, key)
    shown = [titles(config, *run) for run in runs]
    values = [config.figures[key].model_dump(), shown, notices(config, runs), config.seeds]
    return digest(values, "workflow.figures.make")


def report_fingerprint(config: Config) -> str:
    """Of the report: it shows the whole configuration, so all of it counts."""
    values = [
        config.model_dump(exclude={"presets"}),
        assets(),
        _text(str(ROOT / "workflow/report/decisions.yaml")),
    ]
    return digest(values, "workflow.report.make")


def assets() -> list[str]:
    """Hashes of what reporting reads beside its code: its templates and the printed numbers."""
    folders = (ROOT / "workflow" / name for name in ASSETS)
    return [sha256(file) for folder in folders for file in sorted(folder.glob("*.*"))]


def _content(pretrained: str) -> str:
    """The hash of a file of weights, which may change under its name; else the name itself."""
    file = Path(pretrained)
    return sha256(file) if file.is_file() else pretrained


def titles(config: Config, dataset: str, method: str) -> tuple[str, str]:
    """How a run is named on paper."""
    return config.datasets[dataset].title, config.methods[method].title


def digest(values: Any, *modules: str) -> str:
    """A short hash of plain values and of the code of some modules."""
    code = [code_hash(module) for module in modules]
    canonical = json.dumps([values, code], sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@cache
def code_hash(module: str) -> str:
    """Hash of a module and of everything in this repository that it rests on."""
    trees = {name: code.tree for name in sorted(closure(module)) if (code := _read(name))}
    _PARSED.keep()
    return hashlib.sha256(json.dumps(trees).encode()).hexdigest()


def closure(module: str) -> set[str]:
    """The modules of this repository that a module imports, itself included, up to plumbing."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found and not _is_carrier(name) and (code := _read(name)) is not None:
            found.add(name)
            waiting.extend(n for n in code.imports if n.partition(".")[0] in PACKAGES)
    return found


def _is_carrier(module: str) -> bool:
    """Whether a module only carries values; a package's modules do what it does."""
    return module not in HASHED and any(f"{module}.".startswith(f"{n}.") for n in NOT_HASHED)


@cache
def _read(module: str) -> Code | None:
    """A module's code; None if there is no such module."""
    stem = ROOT / module.replace(".", "/")
    candidates = (stem.with_suffix(".py"), stem / "__init__.py")
    file = next((file for file in candidates if file.is_file()), None)
    try:
        return _PARSED[file.read_text(encoding="utf-8")] if file else None
    except SyntaxError as error:
        raise ConfigError(
            f"{file}, line {error.lineno}: not valid Python: {error.msg}, found "
            f"{(error.text or '').strip()!r}; correct it"
        ) from None
