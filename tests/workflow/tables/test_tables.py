"""Tables of results: marks, ties, missing and undefined seeds, intervals, tests, verdicts."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workflow.report.reporting_tree import (
    fake_results,
    paper_config,
    results_of_groups,
    small_config,
    small_raw,
    values_only,
)
from workflow.base.errors import ConfigError
from workflow.config.cells import table_runs
from workflow.config.notices import DEMO, SELECTED_ON_TEST
from workflow.metrics.against import CANNOT_TELL
from workflow.metrics.statistics import rank, rank_together
from workflow.results.printed import printed_results
from workflow.results.result_cells import ResultCell
from workflow.tables.build import build_table
from workflow.tables.comparisons import ranked


def marks(table):
    return {
        (i, j): cell.mark
        for i, row in enumerate(table.rows)
        for j, cell in enumerate(row.cells)
        if cell.mark
    }


def table_iv(config, results):
    return build_table(config, "IV", values_only(config, results), printed_results())


def test_mean_and_spread_follow_the_configuration():
    values = {0: 70.0, 1: 73.0}
    frame = pd.DataFrame(
        [("isic2017", "unetpp", seed, "ji", value, 9) for seed, value in values.items()],
        columns=["dataset", "method", "seed", "metric", "value", "n"],
    )
    for ddof, expected in (
        (1, statistics.stdev(values.values())),
        (0, statistics.pstdev(values.values())),
    ):
        config = small_config(statistics={**small_raw()["statistics"], "spread_ddof": ddof})
        cell = table_iv(config, frame).rows[2].cells[0]
        assert cell.mean == 71.5
        assert cell.sd == pytest.approx(expected)


def test_missing_and_undefined_seeds_are_kept_in_the_cell():
    config = small_config(seeds=[3, 5, 8])
    results = fake_results(config, missing={("isic2017", "unetpp", 5)})
    undefined = (results["method"] == "unetpp") & (results["seed"] == 8)
    results.loc[undefined & (results["metric"] == "ji"), "value"] = math.nan
    results.loc[(results["method"] == "vit") & (results["metric"] == "sen"), "value"] = math.nan
    rows = table_iv(config, results).rows
    ji, dsc = rows[2].cells[:2]
    assert (ji.state, ji.values, ji.missing, ji.undefined) == ("value", {3: 53.0}, (5,), (8,))
    assert (ji.mean, ji.sd, ji.expected) == (53.0, None, 3)
    assert (dict(dsc.values), dsc.missing) == ({3: 53.0, 8: 58.0}, (5,))
    sen = rows[3].cells[3]
    assert (sen.state, sen.mean, sen.undefined) == ("undefined", None, (3, 5, 8))
    assert sen.mark is None
    nothing = table_iv(config, results.iloc[:0]).rows[0].cells[0]
    assert (nothing.state, nothing.missing, nothing.mark) == ("missing", (3, 5, 8), None)


def test_seeds_that_were_not_asked_for_are_ignored():
    config = small_config()
    results = fake_results(small_config(seeds=[0, 1, 2, 3]))
    assert dict(table_iv(config, results).rows[0].cells[0].values) == {0: 50.0, 1: 51.0}


def test_a_doubled_result_is_refused():
    config = small_config()
    results = fake_results(config)
    with pytest.raises(ValueError, match="seed 0, is there twice"):
        table_iv(config, pd.concat([results, results.iloc[:1]]))


def test_select_drops_rows_and_columns_with_nothing_left():
    config = small_config(select={"datasets": None, "methods": ["unetpp"]})
    table = table_iv(config, fake_results(config))
    assert [row.title for row in table.rows] == ["UNet++"]
    assert [span.title for span in table.spans] == ["Segmentation"]
    assert marks(table) == {}, "one method alone is compared with nothing"
    config = small_config(select={"datasets": ["retouch_cirrus"], "methods": None})
    with pytest.raises(ConfigError, match=r"tables\.IV: no cell is left"):
        table_iv(config, fake_results(config))


def test_a_cell_left_out_by_select_keeps_its_printed_value():
    config = paper_config(select={"methods": ["resformer_seq", "resformer_par_no_dfe"]})
    table = build_table(config, "IX", values_only(config, fake_results(config)), printed_results())
    sequential, parallel = table.rows[0].cells[0], table.rows[0].cells[2]
    assert (sequential.state, sequential.printed) == ("not_run", "72.9")
    assert (parallel.state, parallel.run.method) == ("value", "resformer_par_no_dfe")


def test_notices_say_what_is_known():
    config = small_config()
    assert table_iv(config, fake_results(config)).notices == (DEMO,)
    raw = config.training.model_dump()
    leaking = small_config(training={**raw, "validation": "test"})
    assert table_iv(leaking, fake_results(leaking)).notices == (DEMO, SELECTED_ON_TEST)
    assert paper_config().demo is False
    methods = {name: m.model_dump() for name, m in config.methods.items()}
    methods["vit"]["training"] = {"validation": "test"}
    partly = small_config(methods=methods)
    assert table_iv(partly, fake_results(partly)).notices == (
        DEMO,
        f"{SELECTED_ON_TEST} (only vit on isic2017)",
    )


@given(st.dictionaries(st.integers(0, 30), st.integers(0, 6), min_size=2, max_size=12))
def test_ranks_are_dense_and_ties_share_them(tenths):
    # Sums of tenths in different orders differ in the last bit; such means are ties.
    means = {
        i: math.fsum([v / 10]) if i % 2 else (v / 10 + 0.3 - 0.2 - 0.1) for i, v in tenths.items()
    }
    distinct = sorted(set(tenths.values()), reverse=True)
    assert ranked(means) == {i: distinct.index(v) for i, v in tenths.items()}


def test_one_mean_has_no_rank():
    assert ranked({4: 50.0}) == ranked({}) == {}


def test_marks_are_decided_on_unrounded_means():
    config = small_config(seeds=[0])
    results = fake_results(config)
    ji = results["metric"] == "ji"
    for method, value in (("unetpp", 50.04), ("resformer_seq", 50.01), ("resformer_par", 49.99)):
        results.loc[ji & (results["method"] == method), "value"] = value
    table = table_iv(config, results)
    assert {i: m for (i, j), m in marks(table).items() if j == 0} == {2: "best", 0: "second"}
    assert all(isinstance(cell, ResultCell) for row in table.rows for cell in row.cells)


# ---- what is claimed of the numbers


def seeds_and_groups(mean, spread=1.0, groups=4, seeds=5, seed=0):
    """Numbers of five seeds in four groups that all methods find equally hard."""
    noise = np.random.default_rng(seed).normal(0, spread, (seeds, groups))
    return mean + np.linspace(-6, 6, groups) + noise


def compared(**means):
    """Table III of preset paper, of some methods on Cirrus alone."""
    config = paper_config(select={"datasets": ["retouch_cirrus"], "methods": list(means)})
    numbers = {
        ("retouch_cirrus", method, metric): seeds_and_groups(mean, seed=i)
        for i, (method, mean) in enumerate(means.items())
        for metric in ("ji", "dsc")
    }
    return config, build_table(config, "III", results_of_groups(config, numbers), printed_results())


def test_a_cell_carries_its_interval_groups_and_verdict():
    _, table = compared(he=69.1, resformer_par=60)
    near, far = (row.cells[0] for row in table.rows)
    assert near.estimate.low < near.mean < near.estimate.high
    assert near.estimate.value == pytest.approx(near.mean)
    assert near.estimate.sd == pytest.approx(near.sd)
    assert (near.groups, near.printed, near.verdict) == (4, "69.1", CANNOT_TELL)
    assert (far.printed, far.verdict) == ("73.9", "differs")


def test_of_one_seed_and_one_group_nothing_is_testable():
    config = paper_config(seeds=[0], select={"methods": ["he"]})
    results = results_of_groups(config, {("retouch_cirrus", "he", "ji"): [[70.0]]})
    cell = build_table(config, "III", results, printed_results()).rows[0].cells[0]
    assert (cell.mean, cell.estimate.low, cell.verdict) == (70.0, None, "not testable")


def test_in_a_demo_verdicts_say_so():
    config = small_config()
    cells = table_iv(config, fake_results(config)).result_cells
    assert {cell.verdict for cell in cells if cell.printed} == {"demo"}
    assert {cell.verdict for cell in cells if not cell.printed} == {None}


def test_each_method_is_set_against_the_best_other():
    _, table = compared(he=70, gende=60, resformer_par=71)
    he, gende, par = (row.cells[0] for row in table.rows)
    assert [c.versus.method for c in (he, gende, par)] == ["resformer_par", "resformer_par", "he"]
    for cell, other in ((he, par), (gende, par), (par, he)):
        found = cell.versus.difference
        assert found.value == pytest.approx(cell.mean - other.mean)
        assert found.low < found.value < found.high
        assert found.detectable > 0
    first, second = par.versus.difference, he.versus.difference
    assert (first.low, first.high) == (-second.high, -second.low)
    assert par.versus.p == he.versus.p > 0.05 > gende.versus.p
    assert [c.mark for c in (he, gende, par)] == ["second", None, "best"]
    assert [c.alike for c in (he, gende, par)] == [True, False, False]
    assert [c.standing.place for c in (he, gende, par)] == [2, 3, 1]
    assert [(c.standing.first, c.standing.last) for c in (he, gende, par)] == [
        (1, 2), (3, 3), (1, 2),
    ]  # fmt: skip


def test_all_tests_of_a_table_are_one_family():
    """A difference that its own column would tell apart is not, beside many columns of nothing."""
    config = paper_config()
    numbers = {
        (dataset, method, metric): seeds_and_groups(70, seed=100 * i + j)
        for i, (dataset, method) in enumerate(table_runs(config, "III"))
        for j, metric in enumerate(("ji", "dsc"))
    }
    results = results_of_groups(config, numbers)
    table = build_table(config, "III", results, printed_results())
    columns = {
        number: {
            row.cells[one.column].run.method: results.ratios[row.cells[one.column].run][
                row.cells[one.column].metric
            ]
            for row in table.rows
        }
        for number, one in enumerate(table.sets)
    }
    together = rank_together(columns, results.design)
    assert len(columns) == 6
    for number, one in enumerate(table.sets):
        for row in table.rows:
            cell = row.cells[one.column]
            assert cell.standing == together[number].standings[cell.run.method]
        alone = rank(columns[number], results.design)
        corrected = [together[number].standings[m].p for m in list(columns[number])]
        own = [alone.standings[m].p for m in list(columns[number])]
        assert all(a is None or a >= b for a, b in zip(corrected, own, strict=True))
        assert one.resolvable == together[number].resolvable


def test_methods_without_results_are_not_ranked():
    config = paper_config(select={"datasets": ["retouch_cirrus"]})
    numbers = {
        ("retouch_cirrus", method, "ji"): seeds_and_groups(mean)
        for method, mean in (("he", 70), ("tang", 71))
    }
    table = build_table(config, "III", results_of_groups(config, numbers), printed_results())
    placed = {row.cells[0].run.method for row in table.rows if row.cells[0].standing is not None}
    assert placed == {"he", "tang"}
    assert [one.title for one in table.sets] == ["JI"]
    missing = table.rows[1].cells[0]
    assert (missing.state, missing.estimate, missing.verdict) == ("missing", None, "not testable")


def test_rows_on_several_data_sets_are_marked_and_not_tested():
    raw = paper_config().tables["VIII"].model_dump()
    config = paper_config(tables={"VIII": {**raw, "compare_within": []}})
    numbers = {
        (*run, metric): seeds_and_groups(70, seed=i)
        for i, run in enumerate(table_runs(config, "VIII"))
        for metric in ("ji", "dsc", "acc", "sen", "spe")
    }
    table = build_table(config, "VIII", results_of_groups(config, numbers), printed_results())
    assert {one.resolvable for one in table.sets} == {None}
    assert sum(cell.mark == "best" for cell in table.result_cells) == 5
    assert all(cell.standing is None for cell in table.result_cells)
    assert all(cell.estimate for cell in table.result_cells if cell.values)


def test_a_table_without_marks_compares_nothing():
    config = paper_config(select={"datasets": ["isic2017"]})
    numbers = {
        (*run, "ji"): seeds_and_groups(70, seed=i)
        for i, run in enumerate(table_runs(config, "controls"))
    }
    table = build_table(config, "controls", results_of_groups(config, numbers), printed_results())
    assert table.sets == ()
    assert all(cell.estimate for cell in table.result_cells if cell.values)
