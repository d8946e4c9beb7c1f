"""Results made by hand for the tests of verdicts, and ways to find one verdict."""

import numpy as np

from tests.workflow.report.reporting_tree import paper_config, printed_rows
from workflow.config.cells import Run
from workflow.metrics.ratios import Ratios
from workflow.results.printed import PrintedKey
from workflow.results.read import Results, design
from workflow.verdicts.judge import judge
from workflow.verdicts.values import value_verdicts

CONFIG = paper_config()
DATASETS = ("retouch_cirrus", "retouch_spectralis", "retouch_topcon", "isic2017")
CELL = ("retouch_cirrus", "he", "acc", "II")
ISIC_MTL = ("he", "gende", "hervella", "tang", "resformer_seq", "resformer_par")


def ratios(level, sd=0.01, seeds=5, groups=12, key=0):
    """A metric around `level` per cent, whose groups and seeds vary by `sd` points."""
    draw = np.random.default_rng(key).standard_normal
    of_groups, of_seeds = draw((1, groups, 1)), draw((seeds, 1, 1))
    noise = (of_groups - of_groups.mean()) + (of_seeds - of_seeds.mean() if seeds > 1 else 0)
    values = level + sd * (noise + 0.3 * draw((seeds, groups, 1)))
    names = tuple(f"g{k}" for k in range(groups))
    return Ratios(values / 100, np.ones_like(values), tuple(range(seeds)), names)


def made(levels, config=CONFIG, **noise):
    """Results from (data set, method, metric) -> level, or the ratios themselves."""
    found = {}
    for key, ((dataset, method, metric), level) in enumerate(levels.items()):
        value = level if isinstance(level, Ratios) else ratios(level, key=key, **noise)
        found.setdefault(Run(dataset, method), {})[metric] = value
    return Results(None, found, design(config))


def as_printed():
    """The printed numbers as if each seed had measured them, about."""
    return {(r["dataset"], r["method"], r["metric"]): float(r["value"]) for r in printed_rows()}


def value_of(results, dataset, method, metric, table, config=CONFIG):
    key = PrintedKey(table, dataset, method, metric)
    (found,) = (v for v in value_verdicts(config, results) if v.key == key)
    return found


def claim_of(results, name, config=CONFIG):
    (found,) = (v for v in judge(config, results).claims if v.claim.id == name)
    return found


def ranking_of(results, table, dataset, metric, config=CONFIG, **where):
    (found,) = (
        v
        for v in judge(config, results).rankings
        if (v.block.table, v.block.dataset, v.block.metric) == (table, dataset, metric)
        and all(getattr(v.block, name) == value for name, value in where.items())
    )
    return found
