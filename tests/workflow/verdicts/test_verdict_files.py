"""The files of verdicts: a line for each, escaped, whole or not at all; and those of a demo."""

import csv
import io

import pytest

from tests.workflow.report.reporting_tree import (
    paper_config,
    small_config,
    small_raw,
)
from tests.workflow.verdicts.verdict_cases import (
    CONFIG,
    as_printed,
    made,
)
from workflow.audit.paper import published_paper
from workflow.config import paths
from workflow.config.model import Config
from workflow.config.notices import DEMO
from workflow.verdicts.formats import files
from workflow.verdicts.judge import judge
from workflow.verdicts.make import write_verdicts
from workflow.verdicts.sheets import sheets


class TestDemo:
    def test_every_verdict_reads_demo_and_nothing_is_compared_with_the_paper(self):
        config = small_config()
        levels = {("isic2017", m, "ji"): 70.0 for m in ("resformer_seq", "resformer_par")}
        found = judge(config, made(levels, config))
        assert found.values
        assert found.claims
        assert found.rankings
        assert all(set(words) == {"demo"} for words in found.counts.values())
        assert all(v.difference is None for v in found.values)
        assert all(v.agreement is None for v in found.rankings)
        assert {one.stated for v in found.claims for one in v.comparisons} <= {"demo", None}
        for name, text in files(config, found).items():
            assert DEMO in text, name
        told = [line.verdict for s in sheets(config, found) for g in s.groups for line in g.lines]
        assert set(told) == {"demo"}


class TestFiles:
    def test_one_line_for_each_with_preset_and_notice(self, golden):
        config = paper_config(notice="mind the <gap>")
        noticed = files(config, judge(config, made(as_printed(), config)))
        for name, text in noticed.items():
            if ".csv" in name:
                lines = list(csv.DictReader(io.StringIO(text)))
                assert {row["notice"] for row in lines} == {"mind the <gap>"}
        found = files(CONFIG, golden)
        rows = {n: list(csv.DictReader(io.StringIO(t))) for n, t in found.items() if ".csv" in n}
        assert len(rows["values.csv"]) == 365
        assert len(rows["rankings.csv"]) == len(golden.rankings)
        assert {row["claim"] for row in rows["claims.csv"]} == {
            claim.id for claim in published_paper().claims
        }
        assert len(rows["audit.csv"]) == 19
        for lines in rows.values():
            assert {(row["preset"], row["notice"]) for row in lines} == {("paper", "")}
        (cell,) = (
            row
            for row in rows["values.csv"]
            if (row["table"], row["method"], row["dataset"], row["metric"])
            == ("II", "he", "retouch_cirrus", "acc")
        )
        assert (cell["printed"], cell["verdict"], cell["seeds"]) == ("98.4", "reproduced", "5")
        assert float(cell["low"]) < float(cell["mean"]) < float(cell["high"])

    def test_markdown_counts_names_and_explains(self, golden):
        found = files(CONFIG, golden)
        assert "**reproduced 365.**" in found["values.md"]
        assert "## Table II\n" in found["values.md"]
        assert "lies within ±2 points" in found["values.md"]
        assert "±2 is effectively ±1.95" in found["values.md"]
        assert "±1: 365" in found["values.md"], "how many would be reproduced at other margins"
        assert (
            "the printed value is a mean over seeds that vary as this run's do"
            in (found["values.md"])
        )
        assert "95 % interval" in found["rankings.md"]
        assert "stated 3.6: size differs" in found["claims.md"]
        assert "direction holds, size differs 1" in found["claims.md"]
        assert "pairwise comparison" in found["rankings.md"]
        assert "not testable" in found["claims.md"]
        for name in ("values", "claims", "rankings"):
            rows = [line for line in found[f"{name}.md"].splitlines() if line.startswith("|")]
            widths = {line.replace("\\|", "").count("|") for line in rows}
            assert len(widths) == 1, name

    def test_titles_are_escaped(self):
        raw = small_raw()
        evil = "a|b <i>*c*"
        raw["methods"]["resformer_seq"]["title"] = evil
        raw["datasets"]["isic2017"]["title"] = evil
        config = Config.model_validate(raw)
        found = files(config, judge(config, made({}, config)))
        assert "a\\|b &lt;i&gt;\\*c\\*" in found["values.md"]
        assert all("<i>" not in text for name, text in found.items() if name.endswith(".md"))

    def test_files_replace_those_before_or_leave_them(self, tmp_path, monkeypatch, golden):
        monkeypatch.chdir(tmp_path)
        write_verdicts(CONFIG, golden)
        folder = paths.verdicts(CONFIG)
        assert len(list(folder.iterdir())) == 8
        (folder / "stale.md").write_text("old")
        monkeypatch.setattr("workflow.verdicts.make.files", lambda *_: {"a.md": 1 / 0})
        with pytest.raises(ZeroDivisionError):
            write_verdicts(CONFIG, golden)
        assert (folder / "stale.md").read_text() == "old"
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        write_verdicts(CONFIG, golden)
        assert {file.name for file in folder.iterdir()} == set(files(CONFIG, golden))
        hidden = [p.name for p in folder.parent.iterdir() if p.name.startswith(".")]
        assert hidden == [".verdicts.sha256"]
