"""Simulated papers: no false alarm on clean ones, and every error that rounding cannot explain."""

import re
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.synthetic_papers import (
    beyond_rounding,
    clean_tables,
    misprint,
    run,
    simulate,
    true_claims,
)
from workflow.audit.cells import PrintedCell
from workflow.audit.engine import find_problems
from workflow.audit.paper import Paper


def test_errors_are_found_and_clean_papers_pass():
    score = simulate(200, seed=20170)
    assert (score.papers, score.alarms) == (200, 0)
    assert score.beyond >= 150
    assert score.found >= 0.99 * score.beyond
    assert score.restored >= 0.99 * score.found
    assert score.within_found == 0
    assert score.beyond + score.within == 200


@pytest.mark.parametrize("rows", [(1, 1), (2, 3)])
def test_few_rows_suffice(rows):
    score = simulate(60, seed=5, rows=rows)
    assert score.alarms == score.within_found == 0
    assert score.found == score.beyond > 20


def test_the_same_seed_gives_the_same_papers():
    first, second = (clean_tables(np.random.default_rng(3), 4) for _ in range(2))
    assert first == second
    assert len(first) == (4 + 1) * 5
    assert {cell.table for cell in first} == {"A", "B"}


def test_clean_papers_make_claims_of_every_kind_and_none_is_an_alarm():
    rng, kinds = np.random.default_rng(1), set()
    for _ in range(40):
        cells = clean_tables(rng, 5)
        claims = true_claims(rng, cells)
        assert find_problems(Paper(cells, claims=claims)) == []
        kinds |= {claim.kind for claim in claims}
        false = [replace(c, left=c.right, right=c.left) for c in claims if c.kind == "above"]
        problems = find_problems(Paper(cells, claims=tuple(false)))
        assert {one.id for p in problems for one in p.claims} == {one.id for one in false}
    assert kinds == {"value", "above", "significant", "margin", "words"}


def test_a_misprint_is_another_percentage():
    rng = np.random.default_rng(0)
    for text in ("98.4", "5.5", "100.0"):
        for _ in range(50):
            changed = misprint(rng, text)
            assert changed != text
            assert re.fullmatch(r"\d+\.\d", changed)
            assert 0 <= float(changed) <= 100


def cells_of(**rows):
    """Rows as method -> (acc, sen, spe) or (ji, dsc)."""
    return tuple(
        PrintedCell("A", "data", method, task, metric, value)
        for method, values in rows.items()
        for task, metrics in [
            ("classification", ("acc", "sen", "spe"))
            if len(values) == 3
            else ("segmentation", ("ji", "dsc"))
        ]
        for metric, value in zip(metrics, values, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "beyond"),
    # p of the other row is 0.475 to 0.525: 60 and 80 make 69.5 to 70.5, and rounding adds 0.1.
    [("69.4", False), ("70.6", False), ("69.3", True), ("70.7", True), ("59.0", True)],
)
def test_the_bound_of_an_accuracy(text, beyond):
    cells = cells_of(one=("72.0", "70.0", "74.0"), two=("70.0", "60.0", "80.0"))
    assert beyond_rounding(cells, cells[3], text) is beyond


@pytest.mark.parametrize(
    ("text", "beyond"),
    # Pooling gives 2 · 60.05 / 1.6005 = 75.04; the DSC may print as 0.05 more, and as 60.0 less.
    [("75.0", False), ("75.1", True), ("60.0", False), ("59.9", False), ("59.8", True)],
)
def test_the_bounds_of_a_dsc(text, beyond):
    cells = cells_of(one=("60.0", "70.0"))
    assert beyond_rounding(cells, cells[1], text) is beyond


def test_any_change_of_a_copy_is_beyond():
    cells = clean_tables(np.random.default_rng(1), 2)
    copy = next(cell for cell in cells if cell.table == "B")
    assert beyond_rounding(cells, copy, f"{float(copy.text) + 0.1:.1f}")


def test_the_command_prints_the_rates():
    text = run(["10", "--seed", "4"])
    assert text.startswith("10 clean papers: 0 with a false alarm.\n")
    assert re.search(r"\d+ errors beyond the rounding bound: \d+ found \(100\.0 %\)", text)
