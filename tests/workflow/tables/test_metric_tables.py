"""Tables of any metric: units, best where it is so, tests where there are any, all formats."""

import csv
import io
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.workflow.report.reporting_tree import small_config, small_raw, write_tree
from workflow.config import paths
from workflow.config.cells import runs, table_runs
from workflow.config.metrics import METRICS
from workflow.metrics.counts_file import write_counts_file
from workflow.metrics.metrics import metrics
from workflow.metrics.saved import read_counts
from workflow.tables import standings
from workflow.tables.formats import to_html, to_markdown
from workflow.tables.latex import to_latex
from workflow.tables.make import load_table, make_table
from workflow.tables.text import footnotes, show
from workflow.tables.tidy import RESULT_COLUMNS, to_csv
from workflow.tables.views import interval, views

ASKED = ["hd95", "asd", "avd", "auc", "ece", "ji_65", "dsc"]
COLUMNS = [
    {"title": "Cirrus", "dataset": "retouch_cirrus", "metrics": ASKED},
    {"title": "ISIC", "dataset": "isic2017", "metrics": ["hd95", "ece"]},
]
SHARED = {"kind": "metrics", "caption": "Any.", "mark": "color", "methods_of": ["IV", "VIII"]}
PLAIN = [{"title": "Cirrus", "dataset": "retouch_cirrus", "metrics": ["avd", "ji_65"]}]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A finished run whose distances are measured: the method's place in the file, and the seed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("metrics"))
        raw = small_raw()
        raw["tables"] |= {
            "any": {**SHARED, "columns": COLUMNS},
            "plain": {**SHARED, "columns": PLAIN},
            "lesions": {**SHARED, "kind": "classes", "columns": [{**PLAIN[0], "metrics": ["asd"]}]},
        }
        raw["evaluation"]["boundary"] = True
        config = small_config(tables=raw["tables"], evaluation=raw["evaluation"])
        write_tree(config)
        for run in runs(config):
            for seed in config.seeds:
                file = paths.evaluation(config, *run, seed) / "counts.parquet"
                rows = pq.read_table(file)
                number = 1.0 + list(config.methods).index(run.method) + seed / 4
                for name, value in (("hd95", 10 * number), ("asd", number)):
                    of_masks = np.array(rows["task"].to_pylist()) == "segmentation"
                    column = pd.array(np.where(of_masks, value, np.nan), "float32")
                    place = rows.column_names.index(name)
                    rows = rows.set_column(place, rows.schema.field(name), [column.to_numpy()])
                write_counts_file(file, [rows])
        yield config


def cells_of(table):
    return {(*cell.run, cell.metric): cell for cell in table.result_cells if cell.run}


def test_every_number_is_the_metric_itself(tree):
    cells = cells_of(load_table(tree, "any"))
    filled = [cell for cell in cells.values() if cell.state == "value"]
    assert {cell.metric for cell in filled} == set(ASKED)
    for cell in filled:
        for seed, value in cell.values.items():
            counts = read_counts(paths.evaluation(tree, *cell.run, seed) / "counts.parquet")
            expected = metrics(counts, tree.evaluation, also=ASKED)[cell.metric][0]
            assert value == pytest.approx(expected)
        assert cell.printed is cell.verdict is None


def test_columns_name_their_units_where_not_all_are_per_cent(tree):
    table = load_table(tree, "any")
    assert [span.columns for span in table.spans] == [
        ("HD95 (px)", "ASD (px)", "AVD (%)", "AUC (%)", "ECE (%)", "Thresholded JI (%)", "DSC (%)"),
        ("HD95 (px)", "ECE (%)"),
    ]
    assert footnotes(table)[0] == "Mean ± SD over seeds 0, 1."
    plain = load_table(tree, "plain")
    assert plain.spans[0].columns == ("AVD", "Thresholded JI")
    assert footnotes(plain)[0] == "Mean ± SD over seeds 0, 1, per cent."
    assert load_table(tree, "lesions").spans[0].title == "Cirrus, ASD (px)"


def test_the_best_is_the_smallest_where_that_is_so(tree):
    table = load_table(tree, "any")
    for column in {one.column for one in table.sets}:
        cells = [row.cells[column] for row in table.rows if row.cells[column].mean is not None]
        (best,) = {cell.mean for cell in cells if cell.mark == "best"}
        extreme = max if METRICS[cells[0].metric].higher_is_better else min
        assert best == pytest.approx(extreme(cell.mean for cell in cells))
    hd95 = cells_of(table)["retouch_cirrus", "resformer_seq", "hd95"]
    assert (hd95.mark, show(hd95, table).text) == ("best", "11.2")


def test_only_what_is_tested_has_intervals_and_standings(tree):
    table = load_table(tree, "any")
    tested = {cell.metric for cell in table.result_cells if cell.estimate is not None}
    assert tested == {"avd", "ji_65", "dsc"}
    assert {cell.metric for cell in table.result_cells if cell.standing is not None} == tested
    titles = {block.title for block in standings.blocks(table)}
    assert all(re.search(r"AVD|Thresholded JI|DSC", title) for title in titles)
    assert "marked by the means alone: HD95, ASD, AUC, ECE." in " ".join(footnotes(table))
    assert "in pixels of the resolution" in " ".join(footnotes(table))
    assert not [view for view in views(table) if view.key in ("printed", "difference")]


def test_the_place_by_the_tests_is_that_of_the_smallest_too(tree):
    table = load_table(tree, "any")
    for metric in ("avd", "dsc"):
        standing = {c.mean: c.standing.place for c in table.result_cells if c.standing
                    and c.metric == metric and c.run.dataset == "retouch_cirrus"}  # fmt: skip
        order = sorted(standing, reverse=METRICS[metric].higher_is_better)
        assert [standing[mean] for mean in order] == sorted(standing.values())


def test_decimals_are_the_metrics_own(tree):
    table = load_table(tree, "any")
    cells = cells_of(table)
    avd = cells["retouch_cirrus", "unetpp", "avd"]
    assert re.fullmatch(r"\d+\.\d\d", show(avd, table).text)
    assert re.fullmatch(r"-?\d+\.\d\d to \d+\.\d\d", interval(avd, table))
    assert re.fullmatch(r"\d+\.\d", show(cells["retouch_cirrus", "unetpp", "dsc"], table).text)


def test_all_formats_have_it_and_lines_name_the_unit(tree):
    make_table(tree, "any")
    assert all(paths.table(tree, "any", suffix).is_file() for suffix in paths.TABLE_FORMATS)
    table = load_table(tree, "any")
    for text in (to_html(table), to_markdown(table), to_latex(table).replace(r"\%", "%")):
        assert "HD95 (px)" in text
        assert "ECE (%)" in text
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    units = {line["metric"]: line["unit"] for line in lines}
    assert units == {name: METRICS[name].unit for name in ASKED}
    read = pq.read_table(paths.table(tree, "any", "parquet"))
    assert read.column_names == [*RESULT_COLUMNS, "unit"]
    # Where all is per cent, the lines are those that they always were.
    assert "unit" not in to_csv(load_table(tree, "plain")).splitlines()[0]


def test_it_adds_no_run(tree):
    results = {run for key in ("IV", "VIII") for run in table_runs(tree, key)}
    assert set(table_runs(tree, "any")) <= results
