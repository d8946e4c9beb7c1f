"""Verdicts on values, claims and rankings: each kind, from results made by hand, and the files."""

import json
import re

import numpy as np
import pytest

from tests.workflow.report.reporting_tree import (
    paper_config,
    printed_results_frame,
)
from tests.workflow.verdicts.verdict_cases import (
    CELL,
    CONFIG,
    DATASETS,
    ISIC_MTL,
    as_printed,
    made,
    ranking_of,
    ratios,
    value_of,
)
from workflow.config import paths
from workflow.metrics.against import CANNOT_TELL, ONE_SEED
from workflow.results.missing import LEFT_OUT, NO_INTERVAL
from workflow.results.printed import PrintedKey, printed_results
from workflow.results.read import Results
from workflow.tables.build import build_table
from workflow.verdicts.claims import ABOUT_DATA, NO_NUMBERS
from workflow.verdicts.formats import files
from workflow.verdicts.judge import judge
from workflow.verdicts.rankings import BY_CHANCE
from workflow.verdicts.values import value_verdicts

WITHOUT_RESULTS = ("data", "words")


class TestPrintedNumbersAsResults:
    def test_every_printed_value_is_reproduced(self, golden):
        assert {v.key for v in golden.values} == set(printed_results())
        assert golden.counts["values"] == {"reproduced": 365}
        assert max(abs(v.difference) for v in golden.values) < 0.1
        assert not any(v.remark for v in golden.values)

    def test_what_the_cells_say_of_a_comparison_our_results_say_too(self, golden):
        assert len(golden.claims) == 50
        for found in golden.claims:
            if found.claim.kind == "data":
                assert (found.verdict, found.remark) == ("not testable", ABOUT_DATA)
            elif found.claim.kind == "words":
                assert (found.verdict, found.remark) == ("not testable", NO_NUMBERS)
            elif found.claim.kind in ("above", "significant"):
                wanted = "does not hold" if found.audit == "contradicted" else "holds"
                if found.claim.id == "multi-task-seq-classification":
                    wanted = "not resolvable"  # its cells contradict it by being equal
                assert found.verdict == wanted, found.claim.id
            elif found.claim.kind == "value":
                assert found.verdict == "holds"

    def test_a_gain_has_its_size_and_its_direction(self, golden):
        gains = {v.claim.id: v for v in golden.claims if v.claim.kind == "margin"}
        # The direction is as claimed; the size is off by 1.0 here, by 0.6 there.
        off = {name for name, v in gains.items() if v.comparisons[0].stated != "reproduced"}
        assert off == {"mtl-topcon-gain"}, "the others are off by less than a point"
        assert gains["mtl-topcon-gain"].comparisons[0].stated == "differs"
        assert all(v.direction == "holds" for v in gains.values())
        words = {name: v.verdict for name, v in gains.items()}
        assert words.pop("mtl-topcon-gain") == "direction holds, size differs"
        assert set(words.values()) == {"holds"}
        assert gains["mtl-topcon-gain"].audit == "contradicted"

    def test_every_ranking_survives_but_ties(self, golden):
        ranked = [v for v in golden.rankings if not v.pairwise]
        pairs = [v for v in golden.rankings if v.pairwise]
        assert (len(ranked), len(pairs)) == (40, 42)
        assert {v.verdict for v in ranked} == {"survives"}
        assert all(v.p <= 0.05 for v in ranked)
        assert {v.verdict for v in pairs} == {"pairs agree", "not testable"}
        assert all(len(v.printed) == 2 and v.p is None for v in pairs)
        printed = printed_results()
        for found in pairs:
            numbers = {
                printed[PrintedKey(found.block.table, found.block.dataset, m, found.block.metric)]
                for m in found.printed
            }
            assert (len(numbers) == 1) == (found.verdict == "not testable")

    def test_every_comparison_of_the_text_has_two_sides(self, golden):
        for found in golden.claims:
            for one in found.comparisons:
                assert one.left in one.comparison.left
                if found.claim.kind != "value":
                    assert one.right in one.comparison.right
                    assert one.of >= 1

    def test_the_audit_comes_along(self, golden):
        assert len(golden.audit.findings) == 19


class TestValues:
    @pytest.mark.parametrize(
        ("found", "verdict"),
        [
            (ratios(98.4), "reproduced"),
            (ratios(99.3), "reproduced"),
            (ratios(95.9), "differs"),
            (ratios(97.8, sd=3.0), CANNOT_TELL),
        ],
    )
    def test_each_verdict(self, found, verdict):
        value = value_of(made({CELL[:3]: found}), *CELL)
        assert value.printed == "98.4"
        assert value.verdict == verdict
        assert value.difference == pytest.approx(found.values().mean() - 98.4)

    def test_what_is_supported_and_what_it_would_take_stand_beside_it(self):
        vague = value_of(made({CELL[:3]: ratios(97.8, sd=3.0)}), *CELL)
        assert vague.against.supports > 2
        assert vague.could_tell.endswith(" off") or vague.could_tell.endswith(" groups")
        sure = value_of(made({CELL[:3]: ratios(98.4)}), *CELL)
        assert sure.against.supports < 0.2
        assert sure.could_tell == ""
        isic = ("isic2017", "he", "acc", "IV")
        noisy = value_of(made({isic[:3]: ratios(83.2, sd=1.6)}), *isic)
        assert noisy.verdict == CANNOT_TELL
        assert re.fullmatch(r"\d+ seeds", noisy.could_tell)

    def test_one_seed_is_not_testable_whatever_its_interval(self):
        config = paper_config(seeds=[0])
        found = value_of(made({CELL[:3]: ratios(50.0, seeds=1)}, config), *CELL, config)
        assert found.estimate.low is not None
        assert (found.verdict, found.corrected) == ("not testable", "not testable")
        assert ONE_SEED in found.remark

    def test_a_notice_makes_everything_not_testable_and_says_why(self):
        config = paper_config(notice="copies at 256 px, not comparable")
        found = judge(config, made(as_printed(), config))
        assert found.counts == {
            "values": {"not testable": 365},
            "claims": {"not testable": len(found.claims)},
            "rankings": {"not testable": 82},
        }
        reason = "not comparable: copies at 256 px"
        assert all(reason in v.remark for v in (*found.values, *found.rankings))
        assert found.tested == 0

    def test_how_many_differ_by_chance_is_said_and_corrected(self):
        """Of 365 equal values, some differ at 5 %; of those said to among all, hardly any does."""
        draw = np.random.default_rng(1)
        levels = {
            key: ratios(level + draw.normal(0, 0.9), sd=1.0, seeds=5, key=k)
            for k, (key, level) in enumerate(as_printed().items())
            if key[0] == "isic2017"
        }
        levels |= {key: ratios(level) for key, level in as_printed().items() if key not in levels}
        found = judge(CONFIG, made(levels))
        assert (found.tested, found.by_chance) == (365, pytest.approx(18.25))
        plain = sum(v.verdict == "differs" for v in found.values)
        still = sum(v.corrected == "differs" for v in found.values)
        assert still < plain
        changed = {(v.verdict, v.corrected) for v in found.values if v.verdict != v.corrected}
        assert changed <= {("differs", CANNOT_TELL), ("reproduced", CANNOT_TELL)}
        said = files(CONFIG, found)["values.md"]
        assert "If all 365 were equal, about 18 would be said to differ by chance" in said

    def test_without_an_interval_there_is_no_verdict(self):
        lone = ratios(98.4, seeds=1, groups=1)
        config = paper_config(seeds=[0])
        results = made({CELL[:3]: lone}, config)
        found = value_of(results, *CELL, config)
        assert found.verdict == "not testable"
        assert NO_INTERVAL in found.remark
        assert found.difference is not None

    def test_what_was_not_run_is_said(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        found = value_of(made({}), *CELL)
        assert (found.verdict, found.remark) == ("not testable", "not run")
        assert found.difference is None

    def test_what_failed_is_said(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for seed in (3, 4):
            folder = paths.run(CONFIG, "retouch_cirrus", "he", seed)
            folder.mkdir(parents=True)
            record = {"failure": {"message": f"loss {seed} is not finite"}}
            (folder / "run.json").write_text(json.dumps(record))
        results = made({CELL[:3]: ratios(98.4, seeds=2)})
        found = value_of(results, *CELL)
        assert found.verdict == "reproduced"
        assert found.estimate.n == 2
        assert "seed 3 failed: loss 3 is not finite; seed 4 failed" in found.remark
        assert "seed 2 not run" in found.remark

    def test_an_undefined_metric_is_said(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        some = ratios(98.4)
        some.denominator[1] = 0
        results = made({CELL[:3]: some})
        assert "undefined in seed 1" in value_of(results, *CELL).remark
        some.denominator[:] = 0
        results = made({CELL[:3]: some})
        found = value_of(results, *CELL)
        assert found.verdict == "not testable"
        assert found.remark == "undefined in seeds 0, 1, 2, 3, 4"

    def test_counts_without_the_task_are_said(self):
        results = made({("retouch_cirrus", "he", "dsc"): 80.0})
        assert value_of(results, *CELL).remark == ("its counts hold no acc")

    def test_only_what_the_tables_of_a_selection_hold(self):
        config = paper_config(select={"datasets": ["isic2017"], "methods": ["gende", "unetpp"]})
        levels = {key: v for key, v in as_printed().items() if config.chosen(*key[:2])}
        found = judge(config, made(levels, config))
        keys = {(v.key.table, v.key.method) for v in found.values}
        assert keys == {("IV", "gende"), ("VII", "unetpp")}
        assert len(found.values) == 7
        assert {v.claim.id for v in found.claims if v.claim.kind not in WITHOUT_RESULTS} == {
            "mtl-isic-best-rival"
        }
        (claim,) = (v for v in found.claims if v.claim.kind not in WITHOUT_RESULTS)
        assert claim.verdict == "not testable"
        assert claim.comparisons[0].remark == (
            f"He et al., Hervella et al., Tang et al.: {LEFT_OUT}"
        )
        assert found.rankings == (), "one method of a table is no ranking"

    def test_nothing_selected_is_no_error(self):
        config = paper_config(select={"datasets": [], "methods": []})
        found = judge(config, made({}, config))
        assert (found.values, found.claims, found.rankings) == ((), (), ())
        assert set(files(config, found)) == {
            f"{name}.{suffix}"
            for name in ("values", "claims", "rankings", "audit")
            for suffix in ("csv", "md")
        }


def test_tables_show_the_same_verdicts():
    draw = np.random.default_rng(3)
    levels = {
        key: ratios(min(level + draw.normal(0, 1), 99), sd=draw.uniform(0, 3), key=k)
        for k, (key, level) in enumerate(as_printed().items())
    }
    results = made(levels)
    results = Results(printed_results_frame(CONFIG.seeds), results.ratios, results.design)
    shown = {
        PrintedKey(key, *cell.run, cell.metric): cell.verdict
        for key in ("II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
        for cell in build_table(CONFIG, key, results, printed_results()).result_cells
        if cell.printed
    }
    assert shown == {v.key: v.verdict for v in value_verdicts(CONFIG, results)}
    assert set(shown.values()) == {"reproduced", CANNOT_TELL, "differs"}


class TestRankings:
    def column(self, levels, **noise):
        return made({("isic2017", m, "dsc"): level for m, level in levels.items()}, **noise)

    def printed(self):
        keys = {m: PrintedKey("IV", "isic2017", m, "dsc") for m in ISIC_MTL}
        return {m: float(printed_results()[key]) for m, key in keys.items()}

    def test_each_verdict(self):
        numbers = self.printed()
        survives = ranking_of(self.column(numbers), "IV", "isic2017", "dsc")
        assert (survives.verdict, survives.agreement.tau) == ("survives", 1.0)
        assert survives.printed == survives.measured
        turned = {m: 170.0 - value for m, value in numbers.items()}
        found = ranking_of(self.column(turned), "IV", "isic2017", "dsc")
        assert (found.verdict, found.agreement.tau) == ("reversed", -1.0)
        assert (survives.pairwise, survives.p) == (False, pytest.approx(2 / 720))
        noisy = ranking_of(self.column(numbers, sd=20.0), "IV", "isic2017", "dsc")
        assert noisy.verdict == "not resolvable"
        assert noisy.agreement.low < 0 < noisy.agreement.high
        assert "no two of the methods differ significantly" in noisy.remark

    def test_an_order_that_chance_explains_does_not_survive(self):
        numbers = self.printed()
        order = sorted(numbers, key=lambda name: numbers[name])
        # Of six methods, three are moved: tau is above 0 by seeds and groups, not by chance.
        moved = dict(zip([order[k] for k in (3, 0, 1, 2, 5, 4)], range(60, 90, 5), strict=True))
        found = ranking_of(self.column(moved), "IV", "isic2017", "dsc")
        assert found.agreement.low > 0
        assert found.p > 0.05
        assert (found.verdict, found.remark) == ("not resolvable", BY_CHANCE)

    def test_fewer_than_five_methods_are_compared_in_pairs(self):
        with_dfe, without = 83.0, 82.7  # as Table IX prints them
        where = ("IX", "retouch_cirrus", "dsc")
        for levels, word in [
            ((with_dfe, without), "pairs agree"),
            ((without, with_dfe), "pairs disagree"),
            ((ratios(83.0, sd=9.0, key=1), ratios(82.7, sd=9.0, key=2)), "not resolvable"),
        ]:
            methods = ("resformer_seq", "resformer_seq_no_dfe")
            results = made(
                {("retouch_cirrus", m, "dsc"): x for m, x in zip(methods, levels, strict=True)}
            )
            found = ranking_of(results, *where, column="Sequential")
            assert (found.verdict, found.pairwise, found.p) == (word, True, None)
        few = {m: self.printed()[m] for m in ISIC_MTL[:4]}
        found = ranking_of(self.column(few), "IV", "isic2017", "dsc")
        assert (found.verdict, found.pairwise) == ("pairs agree", True)

    def test_what_differs_is_corrected_over_the_table(self):
        """Two methods that differ by themselves do not among all the table's columns."""
        methods = ("resformer_seq", "resformer_seq_no_dfe")
        one = dict(zip([("retouch_cirrus", m, "dsc") for m in methods], (83.0, 82.7), strict=True))
        pair = {key: ratios(x, sd=0.35, key=k) for k, (key, x) in enumerate(one.items())}
        alone = ranking_of(made(pair), "IX", "retouch_cirrus", "dsc", column="Sequential")
        rest = {
            key: ratios(70.0, sd=5.0, key=9 + k)
            for k, key in enumerate(as_printed())
            if key not in pair
        }
        among = ranking_of(made(pair | rest), "IX", "retouch_cirrus", "dsc", column="Sequential")
        assert (alone.verdict, among.verdict) == ("pairs agree", "not resolvable")

    def test_one_seed_is_not_testable(self):
        numbers = self.printed()
        found = ranking_of(self.column(numbers, seeds=1), "IV", "isic2017", "dsc")
        assert (found.verdict, found.remark.split("; ")[0]) == ("not testable", ONE_SEED)

    def test_what_is_missing_is_left_out_and_named(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        numbers = self.printed()
        del numbers["he"]
        found = ranking_of(self.column(numbers), "IV", "isic2017", "dsc")
        assert found.verdict == "survives"
        assert (len(found.measured), len(found.printed)) == (5, 6)
        assert found.remark == "He et al.: not run"
        one = ranking_of(self.column({"he": 80.0}), "IV", "isic2017", "dsc")
        assert one.verdict == "not testable"
        assert one.remark.startswith("fewer than two methods have a result")

    def test_blocks_are_those_that_a_table_compares(self, golden):
        blocks = [v.block for v in golden.rankings if v.block.table == "VIII"]
        assert {(b.group, b.dataset) for b in blocks} == {
            (group, dataset) for group in ("Sequential", "Parallel") for dataset in DATASETS[:3]
        }
        dfe = [v for v in golden.rankings if v.block.table == "IX"]
        assert {v.block.column for v in dfe} == {"Sequential", "Parallel"}
        assert all(len(v.printed) == 2 for v in dfe)
        assert len([v for v in golden.rankings if v.block.table == "VII"]) == 5
