"""Tables: the printed numbers reproduce the paper; marks, ties, missing and undefined seeds."""

import math
import statistics
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting_tree import (
    PAPER_ROWS,
    fake_results,
    paper_config,
    printed_results_frame,
    printed_rows,
    small_config,
)

from workflow.config_errors import ConfigError
from workflow.reporting.notices import DEMO, SELECTED_ON_TEST
from workflow.reporting.printed import printed_datasets, printed_results
from workflow.reporting.tables import ResultCell, build_table, ranked

# As the paper prints them: method, machine, then the numbers.
TABLE_VIII = """
Sequential
Cls. only|Cirrus|-|-|98.1|97.1|98.6
Cls. only|Spectralis|-|-|97.3|95.8|98.1
Cls. only|Topcon|-|-|97.8|96.3|98.5
Seg. only|Cirrus|73.0|82.5|-|-|-
Seg. only|Spectralis|69.6|79.4|-|-|-
Seg. only|Topcon|64.3|75.5|-|-|-
Both|Cirrus|73.4|83.0|98.9|98.1|99.2
Both|Spectralis|70.4|80.3|97.8|96.8|98.3
Both|Topcon|64.9|76.3|98.0|96.9|98.5
Parallel
Cls. only|Cirrus|-|-|98.6|98.1|98.7
Cls. only|Spectralis|-|-|97.3|95.8|98.0
Cls. only|Topcon|-|-|97.8|95.6|98.4
Seg. only|Cirrus|73.3|83.0|-|-|-
Seg. only|Spectralis|70.6|80.0|-|-|-
Seg. only|Topcon|64.8|76.2|-|-|-
Both|Cirrus|73.9|83.4|99.0|98.3|99.3
Both|Spectralis|71.6|81.4|97.7|96.0|98.6
Both|Topcon|65.7|76.9|97.9|96.9|98.3
"""
TABLE_IX = """
w/o DFE|Cirrus|72.9|82.7|73.2|82.9
w/o DFE|Spectralis|69.9|79.6|70.9|80.4
w/o DFE|Topcon|64.6|76.1|65.1|76.4
w/ DFE|Cirrus|73.4|83.0|73.9|83.4
w/ DFE|Spectralis|70.4|80.3|71.6|81.4
w/ DFE|Topcon|64.9|76.3|65.7|76.9
"""


@pytest.fixture(scope="module")
def paper():
    config = paper_config()
    results = printed_results_frame(config.seeds)
    keys = [*PAPER_ROWS, "VIII", "IX"]
    return {key: build_table(config, key, results, printed_results()) for key in keys}


def grid(table):
    return [
        ["-" if c.state == "not_done" else f"{c.mean:.1f}" for c in row.cells] for row in table.rows
    ]


def marks(table):
    return {
        (i, j): cell.mark
        for i, row in enumerate(table.rows)
        for j, cell in enumerate(row.cells)
        if cell.mark
    }


def expected_marks(numbers, blocks, names):
    """Best and second by sorting the printed decimals of each block, column by column."""
    found = {}
    for block in set(blocks):
        members = [i for i, b in enumerate(blocks) if b == block]
        for j in range(len(numbers[0])):
            values = {i: Decimal(numbers[i][j]) for i in members if numbers[i][j] != "-"}
            if len(values) < 2:
                continue
            for name, value in zip(names, sorted(set(values.values()), reverse=True), strict=False):
                found |= {(i, j): name for i, v in values.items() if v == value}
    return found


@pytest.mark.parametrize("key", PAPER_ROWS)
def test_printed_values_reproduce_tables_of_methods(paper, key):
    table = paper[key]
    printed = {
        (r["dataset"], r["method"], r["metric"]): r["value"]
        for r in printed_rows()
        if r["table"] == key
    }
    columns = [
        (cell.run.dataset, cell.metric) for cell in table.rows[-1].cells
    ]  # ours do every task
    expected = [
        [printed.get((dataset, method, metric), "-") for dataset, metric in columns]
        for method in PAPER_ROWS[key]
    ]
    assert grid(table) == expected
    assert marks(table) == expected_marks(expected, [0] * len(expected), ["best", "second"])
    assert all(c.sd == 0 and c.printed for row in table.rows for c in row.cells if c.values)
    assert all(abs(c.difference) < 1e-9 for row in table.rows for c in row.cells if c.values)


@pytest.mark.parametrize(("key", "text"), [("VIII", TABLE_VIII), ("IX", TABLE_IX)])
def test_printed_values_reproduce_ablation_tables(paper, key, text):
    group, expected, blocks = None, [], []
    for line in text.strip().splitlines():
        if "|" not in line:
            group = line
            continue
        method, machine, *numbers = line.split("|")
        expected.append((group, method, machine, numbers))
        blocks.append((group, machine))
    table = paper[key]
    rows = [(r.group, r.title, r.machine, g) for r, g in zip(table.rows, grid(table), strict=True)]
    assert rows == expected
    assert marks(table) == expected_marks([n for *_, n in expected], blocks, ["best"])
    assert table.stub == ("Method", "Machine", "Recipe, weights")


def test_marks_read_from_the_paper_by_hand(paper):
    ii, v, viii = marks(paper["II"]), marks(paper["V"]), marks(paper["VIII"])
    # Table II, Topcon Spe: Seq. 98.5 is best; He et al. and Par. share 98.3.
    assert {i: m for (i, j), m in ii.items() if j == 8} == {4: "best", 0: "second", 5: "second"}
    # Table V, Topcon Acc: MSL-SRN and Seq. share 98.0; OCTNet and Par. share 97.9.
    assert {i: m for (i, j), m in v.items() if j == 6} == {
        4: "best",
        5: "best",
        3: "second",
        6: "second",
    }
    # Table VIII, Sequential on Topcon, Spe: "Cls. only" and "Both" share 98.5.
    assert {i for (i, j), m in viii.items() if j == 4 and i in (2, 5, 8)} == {2, 8}


def test_header_structure(paper):
    assert [(s.title, s.columns) for s in paper["II"].spans] == [
        ("Cirrus", ("Acc", "Sen", "Spe")),
        ("Spectralis", ("Acc", "Sen", "Spe")),
        ("Topcon", ("Acc", "Sen", "Spe")),
    ]
    assert [(s.title, s.columns) for s in paper["IX"].spans] == [
        ("Sequential", ("JI", "DSC")),
        ("Parallel", ("JI", "DSC")),
    ]
    assert paper["II"].stub == ("Method", "Recipe, weights")
    assert paper["VIII"].width == 8


def test_all_printed_values_are_shown(paper):
    shown = sum(c.printed is not None for t in paper.values() for r in t.rows for c in r.cells)
    assert shown == len(printed_rows()) == len(printed_results()) == 365
    assert printed_datasets()["retouch_topcon"]["image_size"] == "512×885"


def table_iv(config, results):
    return build_table(config, "IV", results, printed_results())


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
        config = small_config(statistics={"spread_ddof": ddof, "decimals": 1})
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
    table = build_table(config, "IX", fake_results(config), printed_results())
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
