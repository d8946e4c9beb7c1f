"""The report's pages of verdicts and of fidelity, and what the overview says of them."""

import re

import pytest

from tests.workflow.report.report_pages import read_pages, results_of, words
from tests.workflow.report.reporting_tree import small_config, small_raw, write_tree
from workflow.base.errors import DataError
from workflow.base.files import write_text
from workflow.config import paths
from workflow.config.cells import runs
from workflow.report.decisions import DOCUMENT, decision_tables, read_decisions, written
from workflow.report.site import build_report
from workflow.results.read import read_results

MISSING = {("isic2017", "vit", 1)}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The pages of a report on phantom data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("demo"))
        config = small_config()
        write_tree(config)
        build_report(config, results_of(config))
        yield read_pages(paths.report(config))


def test_in_a_demo_no_verdict_is_passed(demo):
    assert "no verdict is passed on its printed values" in words(demo["index.html"])
    text = words(demo["verdicts.html"])
    assert "no verdict says anything about the paper" in text
    said = [a["class"] for tag, a in demo["verdicts.html"].tags if "word" in a.get("class", "")]
    assert set(said) == {"word demo"}
    assert len(said) > 15
    assert "say nothing about either" in words(demo["fidelity.html"])


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The pages of a report on real data: counts as the runs left them, a seed missing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("real"))
        data = {**small_raw()["data"], "origin": "local"}
        config = small_config(data=data, preset="paper")
        write_tree(config, missing=MISSING)
        build_report(config, read_results(config, runs(config)))
        yield read_pages(paths.report(config))


def test_verdicts_are_counted_first_and_told_one_by_one(real):
    index, page = words(real["index.html"]), real["verdicts.html"]
    assert re.search(
        r"Printed values ([a-z ]+ \d+ )+Claims of the text ([a-z ]+ \d+ )+Rankings", index
    )
    assert {"verdicts.html#values", "verdicts.html#claims", "verdicts.html#rankings"} <= set(
        real["index.html"].links
    )
    assert "fidelity.html#audit" in real["index.html"].links
    assert "finds 19 conflicts" in index
    text = words(page)
    # Four of each of our two variants in Table IV, and one of each in Table VIII.
    assert "10 are in this run's tables" in text
    assert "On ISIC 2017 the parallel variant gains 3.1 JI and 2.2 DSC over Gende et al." in text
    assert page.links.count("runs/isic2017--resformer_seq.html") == 4
    assert {f"verdicts/{name}.csv" for name in ("values", "claims", "rankings")} <= set(page.links)


def test_the_page_on_fidelity_has_the_decisions_and_the_audit(real):
    text = words(real["fidelity.html"])
    assert "Table V, retouch_topcon, msl_srn, acc" in text
    assert "Pooled pixels are impossible in all 18 rows" in text
    assert "padding to whole windows open masked out of attention" in text
    assert "options.conv_depths" in text, "code is marked as such, without its backticks"
    assert "`" not in text.partition("The whole document")[0]
    assert "HTC-Net's EfficientNet updates its running statistics" in text
    assert text.count("Impossible") >= 2


def test_the_document_is_written_from_the_decisions():
    text = DOCUMENT.read_text(encoding="utf-8")
    decisions = read_decisions()
    assert text == written(decisions), "run `resformer fidelity`"
    tables = decision_tables(decisions)
    assert {"The network", "The protocol"} <= {t.heading for t in tables}
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert sum(len(t.rows) + 2 for t in tables) == len(lines)
    assert not any("|" in cell for table in tables for row in table.rows for cell in row)


def test_a_choice_is_open_where_its_authority_is_a_decision():
    found = 0
    for table in decision_tables(read_decisions()):
        if "authority" in table.columns:
            at = table.columns.index("authority")
            for number, row in enumerate(table.rows):
                decided = re.search(r"\b(decision|inferred)\b", row[at])
                assert bool(decided) == (number in table.open_rows), row[0]
                found += bool(decided)
    assert found > 10


def test_a_row_with_other_columns_is_refused(tmp_path):
    rows = "[{a: c}, {a: c, open: true}, {b: c}]"
    section = f"{{heading: H, columns: [a, b], rows: {rows}}}"
    write_text(tmp_path / "d.yaml", f"{{title: T, intro: I, sections: [{section}]}}")
    with pytest.raises(
        DataError, match="H: found a row of 'b'; expected 'a' and any of 'b', 'open'"
    ):
        decision_tables(read_decisions(tmp_path / "d.yaml"))
